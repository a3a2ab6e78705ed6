//! What to read for which days: pure data, made from listings and footers only.

pub mod chunks;
pub mod discover;
pub mod error;
pub mod footers;
pub mod units;

use std::sync::Arc;

use crate::decode::row_group::InputFile;

pub use error::PlanError;
pub use units::{Skipped, Unit};

/// A row group that can hold rows of the asked days.
#[derive(Debug, Clone)]
pub struct PlannedGroup {
    pub file: Arc<InputFile>,
    /// Index into the sources of the run.
    pub source: usize,
    pub row_group: usize,
    pub rows: usize,
    /// Compressed bytes of the columns that are read.
    pub bytes: u64,
    /// Days since 1970-01-01 that its statistics promise; `None` without statistics.
    pub promised_days: Option<(i64, i64)>,
    /// Indices of the first and last unit whose rows it can hold.
    pub units: (usize, usize),
}

/// Everything a run reads, in the order in which it does.
#[derive(Debug)]
pub struct Plan {
    /// Days of sources, in the order of the output.
    pub units: Vec<Unit>,
    pub groups: Vec<PlannedGroup>,
    /// Months that have no pod files.
    pub skipped: Vec<Skipped>,
    pub files: usize,
    /// Rows of row groups that cannot hold an asked day.
    pub rows_pruned: u64,
    /// Columns that some files lack, with how many do.
    pub missing_columns: Vec<(String, usize)>,
}

/// The most that a page of a column takes: writers cut at 1 MiB of values.
const PAGE: u64 = 1280 * 1024;

impl Plan {
    /// Bytes that a task needs to decode a row group: a page and a dictionary of each column.
    pub fn decode_bytes(&self) -> u64 {
        let of_group = |group: &PlannedGroup| -> u64 {
            let metadata = group.file.metadata.row_group(group.row_group);
            let leaves = group.file.columns.iter().filter_map(|found| found.leaf);
            let sizes = leaves.map(|leaf| metadata.column(leaf).uncompressed_size().max(0) as u64);
            sizes.map(|size| size.min(2 * PAGE)).sum()
        };
        self.groups.iter().map(of_group).max().unwrap_or(0) + PAGE
    }

    /// Days that row groups of several days keep in memory until those are read.
    pub fn units_held_open(&self) -> usize {
        let mut open = vec![false; self.units.len()];
        for group in self.groups.iter().filter(|group| group.units.0 != group.units.1) {
            open[group.units.0..=group.units.1].fill(true);
        }
        open.into_iter().filter(|&open| open).count()
    }

    /// Bytes that the footers hold.
    pub fn footer_bytes(&self) -> u64 {
        let mut files: Vec<_> = self.groups.iter().map(|group| &group.file).collect();
        files.dedup_by(|a, b| Arc::ptr_eq(a, b));
        files.iter().map(|file| file.metadata.memory_size() as u64).sum()
    }
}
