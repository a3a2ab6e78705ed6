//! What a plan holds, in figures.

use std::time::Duration;

use chrono::NaiveDate;
use uuid::Uuid;

use super::Volume;
use crate::plan::{Plan, Skipped, Superseded};

/// What is to be done, and what is left out of it.
#[derive(Debug, Clone)]
pub struct Planned {
    pub volume: Volume,
    pub files: usize,
    pub row_groups: usize,
    pub row_groups_pruned: usize,
    pub rows_pruned: u64,
    /// Source and date of each day, in the order of the output.
    pub days: Vec<(Uuid, NaiveDate)>,
    pub skipped: Vec<Skipped>,
    /// The first of the superseded files, at most [`Planned::MOST_FILES`].
    pub superseded: Vec<Superseded>,
    /// All of them.
    pub superseded_files: usize,
    /// Columns that some files lack, with how many do.
    pub missing_columns: Vec<(String, usize)>,
}

impl Planned {
    pub const MOST_FILES: usize = 100;

    /// `at`: when the plan was made, since the start of the run.
    pub fn new(plan: &Plan, at: Duration) -> Self {
        let volume = Volume {
            bytes: plan.groups.iter().map(|group| group.group.bytes).sum(),
            rows: plan.groups.iter().map(|group| group.group.rows as u64).sum(),
            days: plan.units.len() as u64,
            unchanged: plan.unchanged as u64,
            at,
        };
        Planned {
            volume,
            files: plan.files,
            row_groups: plan.groups.len(),
            row_groups_pruned: plan.groups_pruned,
            rows_pruned: plan.rows_pruned,
            days: plan.units.iter().map(|u| (u.meta.source_uuid, u.meta.date)).collect(),
            skipped: plan.skipped.clone(),
            superseded: plan.superseded.iter().take(Self::MOST_FILES).cloned().collect(),
            superseded_files: plan.superseded.len(),
            missing_columns: plan.missing_columns.clone(),
        }
    }
}
