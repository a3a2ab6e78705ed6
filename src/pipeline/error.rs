//! Why a run failed.

use chrono::NaiveDate;
use uuid::Uuid;

use crate::database::DatabaseError;
use crate::decode::error::InputError;
use crate::memory::shares::mebibytes;
use crate::plan::PlanError;
use crate::sink::SinkError;
use crate::sink::postgres::PostgresError;
use crate::spill::SpillError;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Read(#[from] PlanError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Spill(#[from] SpillError),
    #[error(
        "{date} of source {source_uuid} does not fit into memory: the labels of its nodes and \
         namespaces take {held}, which must be held while rows are made; this input needs a \
         memory limit of at least {least}",
        held = mebibytes(*held),
        least = mebibytes(*least)
    )]
    TooLarge { date: NaiveDate, source_uuid: Uuid, held: u64, least: u64 },
    #[error(
        "only {written} of {planned} days were written: this is a fault of the program, the output \
         was not completed; run the same range again"
    )]
    Incomplete { written: usize, planned: usize },
    #[error(
        "interrupted: the day or file in progress was rolled back, days that a database has \
         already stay; run the same range again"
    )]
    Interrupted,
}

impl RunError {
    /// Whether it may come from ending a run early rather than from a fault.
    pub(super) fn may_be_interruption(&self) -> bool {
        let RunError::Sink(SinkError::Postgres(error)) = self else { return false };
        matches!(
            error,
            PostgresError::Interrupted { .. }
                | PostgresError::Database(DatabaseError::Cancelled { .. })
        )
    }
}
