//! Writes pod groups out by partition, into a file that is made when it is first needed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::groups::{self, PARTITIONS};
use super::{Block, SpillError, SpillFile};
use crate::aggregate::partial::Partial;

/// Bytes of a block before compression, unless one group is larger.
const BLOCK: usize = 256 * 1024;

/// The spills of a run.
#[derive(Debug)]
pub struct Spiller {
    folder: PathBuf,
    file: Mutex<Option<Arc<SpillFile>>>,
    /// Spill as soon as a state has this many groups, as a test of the way back.
    forced: Option<usize>,
    groups: AtomicU64,
}

/// The blocks of one day, by partition.
#[derive(Debug, Default)]
pub struct Spilled {
    partitions: Vec<Vec<Block>>,
}

impl Spilled {
    pub fn add(&mut self, blocks: Vec<(usize, Block)>) {
        self.partitions.resize(PARTITIONS, Vec::new());
        for (partition, block) in blocks {
            self.partitions[partition].push(block);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The blocks of each partition that has any.
    pub fn partitions(&self) -> impl Iterator<Item = &[Block]> {
        self.partitions.iter().map(Vec::as_slice).filter(|blocks| !blocks.is_empty())
    }
}

impl Spiller {
    pub fn new(folder: PathBuf, forced: Option<usize>) -> Self {
        Spiller { folder, file: Mutex::new(None), forced, groups: AtomicU64::new(0) }
    }

    /// Whether a state of so many groups is spilled although there is room.
    pub fn is_forced(&self, groups: usize) -> bool {
        self.forced.is_some_and(|most| groups >= most.max(1))
    }

    /// The file of the run.
    pub fn file(&self) -> Result<Arc<SpillFile>, SpillError> {
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        let made = Arc::new(SpillFile::create(&self.folder)?);
        *file = Some(made.clone());
        Ok(made)
    }

    /// Compressed bytes written, and groups spilled.
    pub fn written(&self) -> (u64, u64) {
        let file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        let bytes = file.as_ref().map_or(0, |file| file.written());
        (bytes, self.groups.load(Ordering::Relaxed))
    }

    /// Writes the pod groups of a state.
    pub fn spill(&self, state: &Partial) -> Result<Vec<(usize, Block)>, SpillError> {
        let count = state.pods.groups.len();
        self.groups.fetch_add(count as u64, Ordering::Relaxed);
        let mut order: Vec<(u16, u32)> = (0..count)
            .map(|index| {
                let key = state.pods.groups.key(index);
                (groups::partition(state, key) as u16, index as u32)
            })
            .collect();
        order.sort_unstable();
        let file = self.file()?;
        let mut blocks = Vec::new();
        let mut raw = Vec::with_capacity(BLOCK + 4096);
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let partition = usize::from(same[0].0);
            for &(_, index) in same {
                groups::encode(state, index as usize, &mut raw);
                if raw.len() >= BLOCK {
                    blocks.push((partition, file.write(&raw)?));
                    raw.clear();
                }
            }
            if !raw.is_empty() {
                blocks.push((partition, file.write(&raw)?));
                raw.clear();
            }
        }
        Ok(blocks)
    }
}
