//! Writes states out, into files that are made when they are needed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::sorted::SortedRun;
use super::{SpillError, SpillFile, capacity, claims, groups};
use crate::aggregate::partial::Partial;

/// Compressed bytes after which another file is begun.
const FULL: u64 = 128 * 1024 * 1024;

/// The spills of a run.
#[derive(Debug)]
pub struct Spiller {
    folder: PathBuf,
    /// What is written to now.
    file: Mutex<Option<Arc<SpillFile>>>,
    /// Compressed bytes written to all files.
    bytes: Arc<AtomicU64>,
    /// Spill as soon as a state has this many groups, as a test of the way back.
    forced: Option<usize>,
    groups: AtomicU64,
}

/// What of one day is on disk: each kind of record as runs in the order of its hash.
#[derive(Debug, Default)]
pub struct Spilled {
    /// Pod groups by node and namespace: [`groups::hash`].
    pub pods: Vec<SortedRun>,
    /// Capacity of nodes and intervals by node: [`groups::node_hash`].
    pub capacity: Vec<SortedRun>,
    /// Places of pods, and storage groups, by pod: [`claims::pod_hash`].
    pub places: Vec<SortedRun>,
    pub claims: Vec<SortedRun>,
}

impl Spilled {
    pub fn is_empty(&self) -> bool {
        self.runs().next().is_none()
    }

    /// Takes over what another spill of the day wrote.
    pub fn add(&mut self, other: Spilled) {
        self.pods.extend(other.pods);
        self.capacity.extend(other.capacity);
        self.places.extend(other.places);
        self.claims.extend(other.claims);
    }

    fn runs(&self) -> impl Iterator<Item = &SortedRun> {
        [&self.pods, &self.capacity, &self.places, &self.claims].into_iter().flatten()
    }

    /// Bytes held for knowing what is where.
    pub fn heap_bytes(&self) -> usize {
        self.runs().map(|run| run.heap_bytes() + size_of::<SortedRun>()).sum()
    }
}

impl Spiller {
    pub fn new(folder: PathBuf, forced: Option<usize>) -> Self {
        let (file, bytes) = (Mutex::new(None), Arc::default());
        Spiller { folder, file, bytes, forced, groups: AtomicU64::new(0) }
    }

    /// Whether a state of so many groups is spilled although there is room.
    pub fn is_forced(&self, groups: usize) -> bool {
        self.forced.is_some_and(|most| groups >= most.max(1))
    }

    /// Bytes of a part that is read back at once: `most`, unless few groups are forced out.
    pub fn part_bytes(&self, most: u64) -> u64 {
        const OF_GROUP: u64 = 256;
        self.forced.map_or(most, |groups| most.min((groups as u64).saturating_mul(OF_GROUP))).max(1)
    }

    /// Runs of rows that are merged at once: `most`, unless few groups are forced out.
    pub fn runs_at_once(&self, most: usize) -> usize {
        self.forced.map_or(most, |groups| most.min(groups.saturating_add(1))).max(2)
    }

    /// The file to write to. A full one is left to those who wrote to it, and is gone when they
    /// are, so that what is on disk are the open days and not all of the range.
    ///
    /// # Errors
    /// A file cannot be made.
    pub fn file(&self) -> Result<Arc<SpillFile>, SpillError> {
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(file) = file.as_ref().filter(|file| file.written() < FULL) {
            return Ok(file.clone());
        }
        let made = Arc::new(SpillFile::create(&self.folder, self.bytes.clone())?);
        *file = Some(made.clone());
        Ok(made)
    }

    /// Compressed bytes written, and groups spilled.
    pub fn written(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.groups.load(Ordering::Relaxed))
    }

    /// Writes all of a state but the label objects of nodes and namespaces.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn spill(&self, state: &Partial) -> Result<Spilled, SpillError> {
        let file = self.file()?;
        let (pods, storage) = (&state.pods.groups, &state.storage.groups);
        self.groups.fetch_add((pods.len() + storage.len()) as u64, Ordering::Relaxed);
        let mut spilled = Spilled::default();
        let mut order = Vec::new();
        let mut write = |runs: &mut Vec<SortedRun>,
                         count: usize,
                         hash: &dyn Fn(usize) -> u32,
                         encode: &dyn Fn(usize, &mut Vec<u8>)|
         -> Result<(), SpillError> {
            if count > 0 {
                order.clear();
                order.extend((0..count).map(|index| (hash(index), index as u32)));
                order.sort_unstable();
                runs.push(SortedRun::write(&file, &order, encode)?);
            }
            Ok(())
        };
        write(
            &mut spilled.pods,
            pods.len(),
            &|index| groups::hash(state, pods.key(index)),
            &|index, out| groups::encode(state, index, out),
        )?;
        write(
            &mut spilled.capacity,
            state.capacity.len(),
            &|index| groups::node_hash(&state.texts, state.capacity.at(index).0.node),
            &|index, out| capacity::encode(state, index, out),
        )?;
        write(
            &mut spilled.places,
            state.places.len(),
            &|index| {
                let place = state.places.at(index);
                claims::pod_hash(&state.texts, place.namespace, place.pod)
            },
            &|index, out| claims::encode_place(state, state.places.at(index), out),
        )?;
        write(
            &mut spilled.claims,
            storage.len(),
            &|index| {
                let key = storage.key(index);
                claims::pod_hash(&state.texts, key.namespace, key.pod)
            },
            &|index, out| claims::encode_group(state, index, out),
        )?;
        Ok(spilled)
    }
}
