//! The reader thread's work: fetch the bytes of chunks, in order.

use std::ops::Range;
use std::sync::Arc;

use super::bytes::ColumnBytes;
use crate::decode::row_group::Segment;
use crate::plan::chunks::Chunk;
use crate::plan::{Plan, PlannedGroup};
use crate::store::{Store, StoreError};

/// A chunk with its bytes, ready to be aggregated.
#[derive(Debug)]
pub struct FetchedChunk {
    /// With the source that each belongs to.
    pub segments: Vec<(usize, Segment)>,
    pub units: (usize, usize),
}

/// Ranges closer than this are read in one go.
const GAP: u64 = 64 * 1024;

/// Reads row groups of a plan.
pub struct Reader<'p> {
    plan: &'p Plan,
    store: &'p Store,
    all_columns: bool,
    /// Row groups with more bytes than this are read page by page instead of at once.
    most_bytes: u64,
    /// The row group read last: a large one is cut into several chunks.
    last: Option<(usize, ColumnBytes)>,
}

impl<'p> Reader<'p> {
    pub fn new(plan: &'p Plan, store: &'p Store, all_columns: bool, most_bytes: u64) -> Self {
        Reader { plan, store, all_columns, most_bytes, last: None }
    }

    pub fn fetch(&mut self, chunk: &Chunk) -> Result<FetchedChunk, StoreError> {
        let mut segments = Vec::with_capacity(chunk.cuts.len());
        for cut in &chunk.cuts {
            let group = &self.plan.groups[cut.group];
            let bytes = self.group_bytes(cut.group)?;
            let segment = Segment {
                file: group.file.clone(),
                row_group: group.row_group,
                rows: cut.rows.clone(),
                bytes,
                promised_days: group.promised_days,
            };
            segments.push((group.source, segment));
        }
        Ok(FetchedChunk { segments, units: chunk.units })
    }

    fn group_bytes(&mut self, index: usize) -> Result<ColumnBytes, StoreError> {
        if let Some((last, bytes)) = &self.last
            && *last == index
        {
            return Ok(bytes.clone());
        }
        let bytes = self.read_group(&self.plan.groups[index])?;
        self.last = Some((index, bytes.clone()));
        Ok(bytes)
    }

    fn read_group(&self, group: &PlannedGroup) -> Result<ColumnBytes, StoreError> {
        let object = &group.file.stored;
        if group.bytes > self.most_bytes {
            return ColumnBytes::paged(self.store, object);
        }
        let ranges = coalesced(self.column_ranges(group));
        let starts: Vec<u64> = ranges.iter().map(|range| range.start).collect();
        let fetched = self.store.fetch(object, ranges).wait()?;
        let ranges = starts.into_iter().zip(fetched).collect();
        Ok(ColumnBytes::Fetched { size: object.size, ranges: Arc::new(ranges) })
    }

    fn column_ranges(&self, group: &PlannedGroup) -> Vec<Range<u64>> {
        let metadata = group.file.metadata.row_group(group.row_group);
        let range = |leaf: usize| {
            let (start, length) = metadata.column(leaf).byte_range();
            start..start + length
        };
        if self.all_columns {
            (0..metadata.num_columns()).map(range).collect()
        } else {
            group.file.columns.iter().filter_map(|found| found.leaf).map(range).collect()
        }
    }
}

/// The same bytes in fewer ranges, in order.
fn coalesced(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_one() {
        let far = GAP + 200;
        assert_eq!(coalesced(vec![50..60, 0..10, far..far + 5, 5..20]), vec![0..60, far..far + 5]);
    }
}
