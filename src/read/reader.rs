//! The reader thread's work: fetch the bytes of chunks, in order.

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use super::bytes::ColumnBytes;
use crate::decode::row_group::{InputFile, Segment};
use crate::memory::permits::Permit;
use crate::plan::chunks::Chunk;
use crate::plan::footers::{self, RowGroup};
use crate::plan::{Plan, PlanError, PlannedGroup};
use crate::store::StoreError;
use crate::store::local::LocalStore;

/// A chunk with its bytes, ready to be aggregated.
#[derive(Debug)]
pub struct FetchedChunk {
    /// With the source that each belongs to.
    pub segments: Vec<(usize, Segment)>,
    pub units: (usize, usize),
    pub rows: usize,
    /// The memory that the bytes take.
    _permit: Permit,
}

/// Ranges closer than this are read in one go.
const GAP: u64 = 64 * 1024;

/// Reads row groups of a plan.
pub struct Reader<'p> {
    plan: &'p Plan,
    store: &'p LocalStore,
    all_columns: bool,
    /// Row groups with more bytes than this are read page by page instead of at once.
    most_bytes: u64,
    /// The row group read last: a large one is cut into several chunks.
    last: Option<(usize, ColumnBytes)>,
    last_footer: Option<(Arc<InputFile>, Arc<ParquetMetaData>)>,
}

impl<'p> Reader<'p> {
    pub fn new(plan: &'p Plan, store: &'p LocalStore, all_columns: bool, most_bytes: u64) -> Self {
        Reader { plan, store, all_columns, most_bytes, last: None, last_footer: None }
    }

    /// Compressed bytes that fetching a chunk puts into memory.
    pub fn bytes_of(&self, chunk: &Chunk) -> u64 {
        let groups = chunk.cuts.iter().map(|cut| self.plan.groups[cut.group].group.bytes);
        groups.filter(|&bytes| bytes <= self.most_bytes).sum()
    }

    /// Fetches a chunk, whose bytes `permit` stands for.
    pub fn fetch(&mut self, chunk: &Chunk, permit: Permit) -> Result<FetchedChunk, PlanError> {
        let mut segments = Vec::with_capacity(chunk.cuts.len());
        for cut in &chunk.cuts {
            let group = &self.plan.groups[cut.group];
            let metadata = self.metadata(group)?;
            let bytes = self.group_bytes(cut.group, &metadata)?;
            let segment = Segment {
                file: group.file.clone(),
                metadata,
                row_group: group.row_group,
                rows: cut.rows.clone(),
                bytes,
                promised_days: group.group.promised_days,
            };
            segments.push((group.source, segment));
        }
        Ok(FetchedChunk { segments, units: chunk.units, rows: chunk.rows(), _permit: permit })
    }

    /// The footer of a group's file, which must still promise what it did when it was planned.
    fn metadata(&mut self, group: &PlannedGroup) -> Result<Arc<ParquetMetaData>, PlanError> {
        if let Some((file, metadata)) = &self.last_footer
            && Arc::ptr_eq(file, &group.file)
        {
            return Ok(metadata.clone());
        }
        let file = &group.file;
        let metadata = footers::read_metadata(self.store, &file.object, file.size)?;
        let row_groups = metadata.row_groups();
        let same = row_groups
            .get(group.row_group)
            .is_some_and(|now| RowGroup::of(now, &file.columns, self.all_columns) == group.group);
        if !same {
            return Err(StoreError::Changed { path: file.object.clone() }.into());
        }
        let metadata = Arc::new(metadata);
        self.last_footer = Some((file.clone(), metadata.clone()));
        Ok(metadata)
    }

    fn group_bytes(
        &mut self,
        index: usize,
        metadata: &ParquetMetaData,
    ) -> Result<ColumnBytes, StoreError> {
        if let Some((last, bytes)) = &self.last
            && *last == index
        {
            return Ok(bytes.clone());
        }
        let bytes = self.read_group(&self.plan.groups[index], metadata)?;
        self.last = Some((index, bytes.clone()));
        Ok(bytes)
    }

    fn read_group(
        &self,
        group: &PlannedGroup,
        metadata: &ParquetMetaData,
    ) -> Result<ColumnBytes, StoreError> {
        let path = &group.file.object;
        let failed = |source| StoreError::Read { path: path.clone(), source };
        let file = self.store.open(path)?;
        let size = file.metadata().map_err(failed)?.len();
        if group.group.bytes > self.most_bytes {
            return Ok(ColumnBytes::Paged { size, file: Arc::new(file) });
        }
        let mut ranges = Vec::new();
        for range in coalesced(self.column_ranges(group, metadata)) {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start).map_err(failed)?;
            ranges.push((range.start, Bytes::from(bytes)));
        }
        Ok(ColumnBytes::Fetched { size, ranges: Arc::new(ranges) })
    }

    fn column_ranges(&self, group: &PlannedGroup, metadata: &ParquetMetaData) -> Vec<Range<u64>> {
        let metadata = metadata.row_group(group.row_group);
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
