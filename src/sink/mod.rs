//! Where finished days go.

pub mod csv;
pub mod file;
mod leftover;
pub mod observed;
pub mod parquet;
pub mod postgres;

use std::sync::Arc;

use crate::database::Passing;
use crate::summary::row::{DayMeta, RowBatch};
use crate::telemetry::totals::DayInProgress;

use file::FileError;
use postgres::PostgresError;

/// A destination of finished days. Days come one at a time, each whole or not at all:
/// `begin_day`, any number of `write`, `end_day`; after the last day, `finish`.
///
/// Dropping a sink before `finish` abandons it: a file sink leaves no file, a database keeps the
/// days that were ended and nothing of the one in progress.
pub trait Sink: Send {
    fn begin_day(&mut self, day: &Arc<DayMeta>) -> Result<(), SinkError>;
    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError>;
    /// Instead of `write`: a whole day as the sink's own encoder made it.
    fn write_encoded(&mut self, _: &Encoded) -> Result<(), SinkError> {
        Err(SinkError::NotEncoded)
    }

    fn end_day(&mut self) -> Result<Ended, SinkError>;
    fn finish(self: Box<Self>) -> Result<(), SinkError>;

    /// Further sinks to the same place that take days beside this one; each is finished by itself.
    fn beside(&self) -> Vec<Box<dyn Sink>> {
        Vec::new()
    }

    /// What the user should know of how the days were written; asked before `finish`.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Gets ready to take the day anew whose call gave `failed`, from `begin_day` on, and says why
    /// that may succeed.
    ///
    /// # Errors
    /// `failed` itself if it would fail again, or why the sink gave up.
    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError>;

    /// What takes the encoding of days off the thread that writes; `None` where a sink has nothing
    /// to prepare.
    fn encoder(&self) -> Option<Arc<dyn Encode>> {
        None
    }
}

/// What the end of a day means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The day is in its place, or will be with [`Sink::finish`].
    InPlace,
    /// It waits for others, with which it will be put in its place.
    Waiting,
    /// These are in their places now, it among them: those that had waited.
    AllInPlace(Vec<Arc<DayMeta>>),
}

/// Prepares finished days for a sink, on the threads that finished them.
pub trait Encode: Send + Sync {
    /// Bytes that encoding a day takes beside its rows, about.
    fn bytes(&self, rows: &RowBatch) -> u64;

    /// A whole day, which the sink takes by [`Sink::write_encoded`]; `None` if it is better
    /// written as it is.
    fn encode(&self, rows: &RowBatch) -> Result<Option<Encoded>, SinkError>;
}

/// A day in the form of a sink.
pub struct Encoded {
    pub form: Form,
    /// What its rows come to, where someone wants to know: rows are not seen any more.
    pub totals: DayInProgress,
}

/// Of which sink.
pub enum Form {
    Parquet(Vec<parquet::RowGroup>),
}

impl Encoded {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        match &self.form {
            Form::Parquet(groups) => groups.iter().map(parquet::RowGroup::heap_bytes).sum(),
        }
    }
}

/// Why a sink could not take a day.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("a day was encoded for another sink than the one it came to")]
    NotEncoded,
}
