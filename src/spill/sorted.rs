//! Records in the order of a hash, in compressed blocks: any range of hashes can be read back
//! without the rest.

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
        let mut blocks = Vec::new();
        let mut raw = Vec::with_capacity(BLOCK + 1024);
        let mut first = 0;
        for &(hash, index) in order {
            if raw.is_empty() {
                first = hash;
            }
            let start = raw.len();
            raw.extend(hash.to_le_bytes());
            raw.extend([0; 4]);
            encode(index as usize, &mut raw);
            let length = (raw.len() - start - 8) as u32;
            raw[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
            if raw.len() >= BLOCK {
                blocks.push((first, file.write(&raw)?));
                raw.clear();
            }
        }
        if !raw.is_empty() {
            blocks.push((first, file.write(&raw)?));
        }
        blocks.shrink_to_fit();
        Ok(SortedRun { file: file.clone(), blocks })
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
                let hash = u32::from_le_bytes(cursor.array()?);
                let length = u32::from_le_bytes(cursor.array()?);
                let record = cursor.take(length as usize)?;
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
