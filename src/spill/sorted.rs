//! Records in the order of a hash, in compressed blocks: any range of hashes can be read back
//! without the rest.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use super::bytes::{Cursor, Malformed};
use super::{Block, SpillError, SpillFile};

/// Hashes as bounds of ranges: the end of the last range lies beyond 32 bits.
pub type Hashes = Range<u64>;

/// Every hash.
pub const ALL: Hashes = 0..1 << 32;

/// Bytes of a block before compression, unless one record is larger. A range that is read costs
/// about one block of each run more than it holds.
const BLOCK: usize = 16 * 1024;

/// What merging runs holds of each, compressed and not.
pub const RUN_BYTES: u64 = 2 * BLOCK as u64;

/// Sorted records on disk.
#[derive(Debug)]
pub struct SortedRun {
    file: Arc<SpillFile>,
    /// Each with the hash of its first record.
    blocks: Vec<(u32, Block)>,
}

impl SortedRun {
    /// Writes the records that `encode` makes of the second numbers of `order`, each under the hash
    /// before it. `order` is sorted.
    pub fn write(
        file: &Arc<SpillFile>,
        order: &[(u32, u32)],
        mut encode: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<Self, SpillError> {
        let mut writer = Writer::new(file.clone());
        for &(hash, index) in order {
            writer.put(hash, |raw| {
                raw.extend(hash.to_le_bytes());
                let start = raw.len();
                raw.extend([0; 4]);
                encode(index as usize, raw);
                let length = (raw.len() - start - 4) as u32;
                raw[start..start + 4].copy_from_slice(&length.to_le_bytes());
            })?;
        }
        writer.finish()
    }

    /// Writes the records of several runs as one.
    ///
    /// # Errors
    /// The files fail, or `go_on` does.
    pub fn merge<E: From<SpillError>>(
        file: Arc<SpillFile>,
        runs: &[SortedRun],
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut writer = Writer::new(file);
        let mut readers = BinaryHeap::new();
        for run in runs {
            let reader = Reader { run, next: 0, raw: Vec::new(), at: 0, hash: 0, end: 0 };
            readers.extend(reader.advanced()?);
        }
        while let Some(mut least) = readers.pop() {
            go_on()?;
            // Records of a run often follow each other.
            let next = readers.peek().map_or(u32::MAX, |reader| reader.hash);
            loop {
                let record = &least.raw[least.at..least.end];
                writer.put(least.hash, |raw| raw.extend(record))?;
                match least.advanced()? {
                    Some(reader) => least = reader,
                    None => break,
                }
                if least.hash > next {
                    readers.push(least);
                    break;
                }
            }
        }
        Ok(writer.finish()?)
    }

    /// The blocks that can hold a record of `hashes`.
    fn blocks(&self, hashes: &Hashes) -> &[(u32, Block)] {
        // The last block that begins below the range may reach into it.
        let from = self.blocks.partition_point(|&(first, _)| u64::from(first) < hashes.start);
        let to = self.blocks.partition_point(|&(first, _)| u64::from(first) < hashes.end);
        &self.blocks[from.saturating_sub(1)..to.max(from.saturating_sub(1))]
    }

    /// Bytes held for knowing where the blocks are.
    pub fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<(u32, Block)>()
    }
}

/// Packs records into blocks.
struct Writer {
    run: SortedRun,
    raw: Vec<u8>,
    /// Of the first record in `raw`.
    first: u32,
}

impl Writer {
    fn new(file: Arc<SpillFile>) -> Self {
        let run = SortedRun { file, blocks: Vec::new() };
        Writer { run, raw: Vec::with_capacity(BLOCK + 1024), first: 0 }
    }

    /// Appends what `put` does: a record with its hash and length before it.
    fn put(&mut self, hash: u32, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), SpillError> {
        if self.raw.is_empty() {
            self.first = hash;
        }
        put(&mut self.raw);
        if self.raw.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SpillError> {
        if !self.raw.is_empty() {
            self.run.blocks.push((self.first, self.run.file.write(&self.raw)?));
            self.raw.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<SortedRun, SpillError> {
        self.flush()?;
        self.run.blocks.shrink_to_fit();
        Ok(self.run)
    }
}

/// Reads one run from its first record to its last.
struct Reader<'r> {
    run: &'r SortedRun,
    /// The block after the one in `raw`.
    next: usize,
    raw: Vec<u8>,
    /// Where the record at hand begins and ends, hash and length included.
    at: usize,
    end: usize,
    hash: u32,
}

impl Reader<'_> {
    /// At the next record; `None` after the last.
    fn advanced(mut self) -> Result<Option<Self>, SpillError> {
        self.at = self.end;
        if self.at == self.raw.len() {
            let Some(&(_, block)) = self.run.blocks.get(self.next) else {
                return Ok(None);
            };
            self.raw = self.run.file.read(block)?;
            (self.next, self.at) = (self.next + 1, 0);
        }
        let mut cursor = Cursor::new(&self.raw[self.at..]);
        match record(&mut cursor) {
            Ok((hash, _)) => {
                (self.hash, self.end) = (hash, self.raw.len() - cursor.left());
                Ok(Some(self))
            }
            Err(Malformed) => Err(self.run.file.damaged()),
        }
    }
}

/// The least hash first out of a max-heap.
impl Ord for Reader<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.hash.cmp(&self.hash)
    }
}

impl PartialOrd for Reader<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Reader<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Reader<'_> {}

/// The next record with its hash.
fn record<'a>(cursor: &mut Cursor<'a>) -> Result<(u32, &'a [u8]), Malformed> {
    let hash = u32::from_le_bytes(cursor.array()?);
    let length = u32::from_le_bytes(cursor.array()?);
    Ok((hash, cursor.take(length as usize)?))
}

/// Gives every record of `hashes` in any of the runs to `take`.
///
/// # Errors
/// The file cannot be read, or does not hold what was written; `take` failed.
pub fn each<E: From<SpillError>>(
    runs: &[SortedRun],
    hashes: &Hashes,
    mut take: impl FnMut(Cursor<'_>) -> Result<(), Malformed>,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    let blocks =
        runs.iter().flat_map(|run| run.blocks(hashes).iter().map(|&(_, block)| (&run.file, block)));
    for (file, block) in blocks {
        go_on()?;
        let raw = file.read(block)?;
        let mut cursor = Cursor::new(&raw);
        let mut records = || -> Result<(), Malformed> {
            while !cursor.is_at_end() {
                let (hash, record) = record(&mut cursor)?;
                if hashes.contains(&u64::from(hash)) {
                    take(Cursor::new(record))?;
                }
            }
            Ok(())
        };
        records().map_err(|Malformed| file.damaged())?;
    }
    Ok(())
}

/// Where the bytes of runs lie among the hashes.
#[derive(Debug, Default)]
pub struct Spread {
    /// The first hash of each block and its bytes before compression, by hash.
    blocks: Vec<(u32, u32)>,
}

/// A range of hashes with about how many bytes it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub hashes: Hashes,
    pub bytes: u64,
}

impl Spread {
    pub fn of<'r>(runs: impl IntoIterator<Item = &'r SortedRun>) -> Self {
        let blocks = runs.into_iter().flat_map(|run| &run.blocks);
        let mut blocks: Vec<_> = blocks.map(|&(first, block)| (first, block.raw)).collect();
        blocks.sort_unstable();
        Spread { blocks }
    }

    /// Cuts `hashes` into parts of about `most` bytes, at multiples of `step`: a part may hold more
    /// where one step does.
    pub fn cut(&self, hashes: Hashes, most: u64, step: u64) -> Vec<Part> {
        let from = self.blocks.partition_point(|&(first, _)| u64::from(first) < hashes.start);
        let to = self.blocks.partition_point(|&(first, _)| u64::from(first) < hashes.end);
        let mut parts = Vec::new();
        let mut open = Part { hashes: hashes.clone(), bytes: 0 };
        for &(first, bytes) in &self.blocks[from..to] {
            let at = u64::from(first) / step * step;
            if open.bytes + u64::from(bytes) > most && at > open.hashes.start {
                parts.push(Part { hashes: open.hashes.start..at, bytes: open.bytes });
                open = Part { hashes: at..hashes.end, bytes: 0 };
            }
            open.bytes += u64::from(bytes);
        }
        parts.push(open);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(runs: &[SortedRun], hashes: &Hashes) -> Vec<u32> {
        let mut found = Vec::new();
        let take = |mut cursor: Cursor<'_>| {
            found.push(u32::from_le_bytes(cursor.array()?));
            Ok(())
        };
        each::<SpillError>(runs, hashes, take, || Ok(())).unwrap();
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn the_parts_of_runs_hold_every_record_once(
            hashes in prop::collection::vec(prop::collection::vec(
                prop_oneof![any::<u32>(), 0u32..4, Just(u32::MAX), Just(1 << 16)], 0..300), 1..4),
            most in 1u64..100_000,
            step in prop_oneof![Just(1u64), Just(1 << 16)],
            padding in 0usize..600,
            merged: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let file = Arc::new(SpillFile::create(folder.path(), Arc::default()).unwrap());
            let mut all = Vec::new();
            let mut runs = Vec::new();
            for hashes in hashes {
                let start = all.len() as u32;
                let mut order: Vec<(u32, u32)> =
                    hashes.iter().enumerate().map(|(i, &hash)| (hash, start + i as u32)).collect();
                all.extend(hashes);
                order.sort_unstable();
                let run = SortedRun::write(&file, &order, |index, out| {
                    out.extend((index as u32).to_le_bytes());
                    out.resize(out.len() + padding, 7);
                });
                runs.push(run.unwrap());
            }
            if merged {
                let all = SortedRun::merge::<SpillError>(file, &runs, || Ok(())).unwrap();
                runs = vec![all];
            }
            let parts = Spread::of(&runs).cut(ALL, most, step);
            prop_assert_eq!(parts[0].hashes.start, 0);
            prop_assert_eq!(parts[parts.len() - 1].hashes.end, 1 << 32);
            let mut found = Vec::new();
            for (part, next) in parts.iter().zip(parts.iter().skip(1)) {
                prop_assert_eq!(part.hashes.end, next.hashes.start);
                prop_assert_eq!(part.hashes.end % step, 0);
            }
            for part in &parts {
                found.extend(records(&runs, &part.hashes));
            }
            found.sort_unstable();
            prop_assert_eq!(found, (0..all.len() as u32).collect::<Vec<_>>());
        }
    }
}
