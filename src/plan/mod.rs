//! What to read for which days: pure data, made from listings and footers only.

pub mod chunks;
pub mod discover;
pub mod error;
pub mod footers;
pub mod generations;
mod open;
pub mod ranges;
pub mod shards;
pub mod units;
pub mod weights;

use std::ops::Range;
use std::sync::Arc;

use crate::decode::row_group::InputFile;
use footers::RowGroup;

pub use error::PlanError;
pub use generations::{OddMark, Superseded};
pub use units::{Skipped, Unit};

/// A row group that can hold rows of the asked days.
#[derive(Debug, Clone)]
pub struct PlannedGroup {
    pub file: Arc<InputFile>,
    /// Index into the sources of the run.
    pub source: usize,
    pub row_group: usize,
    pub group: RowGroup,
    /// The bytes that are read of it, in order.
    pub ranges: Box<[Range<u64>]>,
    /// Indices of the first and last unit whose rows it can hold.
    pub units: (usize, usize),
}

#[cfg(test)]
impl PlannedGroup {
    /// One of so many rows, of a file that is nowhere.
    pub(crate) fn made_up(units: (usize, usize), rows: usize) -> Self {
        let path: Arc<str> = "p".into();
        let file = InputFile {
            object: path.clone(),
            stored: crate::store::Object { path, size: 0, modified: None, e_tag: None },
            footer_length: 0,
            part: crate::decode::schema::Part::Pods,
            columns: Arc::default(),
            days: (0, 0),
        };
        let group = RowGroup {
            rows,
            columns: 0,
            bytes: 0,
            unpacked_bytes: 0,
            decode_bytes: 0,
            promised_days: None,
        };
        let (file, ranges) = (Arc::new(file), Box::new([]));
        PlannedGroup { file, source: 0, row_group: 0, group, ranges, units }
    }
}

/// Everything a run reads, in the order in which it does.
#[derive(Debug, Default)]
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
    /// Files that count although what their metadata says of their upload is odd.
    pub odd_marks: Vec<(Arc<str>, OddMark)>,
    /// Files among those that are read which look as if they were, but match no template.
    pub unread: Vec<Arc<str>>,
    /// Days that were left out since they are done already.
    pub unchanged: usize,
    /// Columns that some files lack, with how many do.
    pub missing_columns: Vec<(String, usize)>,
}

impl Plan {
    /// Leaves out the units that are `done`, and the row groups that no other needs.
    pub fn leave_out(&mut self, done: &[bool]) {
        let before = self.units.len();
        self.drop_units(done);
        self.unchanged += before - self.units.len();
    }

    /// Drops the units that are `dropped`, and the row groups that no other needs.
    pub fn drop_units(&mut self, dropped: &[bool]) {
        // For each unit, and the one beyond the last, how many before it stay.
        let mut staying = Vec::with_capacity(dropped.len() + 1);
        staying.push(0);
        for (index, dropped) in dropped.iter().enumerate() {
            staying.push(staying[index] + usize::from(!dropped));
        }
        self.groups.retain_mut(|group| {
            let (first, end) = (staying[group.units.0], staying[group.units.1 + 1]);
            group.units = (first, end.saturating_sub(1));
            first < end
        });
        let mut dropped = dropped.iter();
        self.units.retain(|_| dropped.next() != Some(&true));
    }

    /// Days that row groups of several days keep in memory until those are read.
    pub fn units_held_open(&self) -> usize {
        let mut open = vec![false; self.units.len()];
        for group in self.groups.iter().filter(|group| group.units.0 != group.units.1) {
            open[group.units.0..=group.units.1].fill(true);
        }
        open.into_iter().filter(|&open| open).count()
    }

    /// The most bytes that a task needs to decode any of the row groups.
    pub fn decode_bytes(&self) -> u64 {
        self.groups.iter().map(|g| g.group.decode_bytes).max().unwrap_or(0)
    }
}
