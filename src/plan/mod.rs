//! What to read for which days: pure data, made from listings and footers only.

pub mod chunks;
pub mod discover;
pub mod error;
pub mod footers;
pub mod generations;
mod open;
pub mod units;

use std::sync::Arc;

use crate::decode::row_group::InputFile;

pub use error::PlanError;
pub use generations::Superseded;
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
    /// Row groups that cannot hold an asked day, and their rows.
    pub groups_pruned: usize,
    pub rows_pruned: u64,
    /// Files of uploads that others of the same day supersede.
    pub superseded: Vec<Superseded>,
    /// Columns that some files lack, with how many do.
    pub missing_columns: Vec<(String, usize)>,
}
