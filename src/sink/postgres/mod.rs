//! Days into PostgreSQL: each replaced in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use chrono::NaiveDate;
use postgres::{Client, Statement};

use super::{Sink, SinkError};
use crate::database::DatabaseError;
use crate::failpoint;
use crate::summary::columns::DayTexts;
use crate::summary::row::{DayMeta, RowBatch};
use target::Target;

mod copy;
pub mod encode;
mod error;
mod partitions;
mod target;

pub use encode::Unstorable;
pub use error::PostgresError;

/// The summary table of a tenant.
///
/// A day is one transaction: it takes the lock of its source, deletes the old rows and copies the
/// new ones. Readers see either, and of two runs of one source the second waits for the first.
/// When a call fails, or the sink is dropped, the day in progress is rolled back.
pub struct PostgresSink {
    client: Client,
    target: Target,
    copy: Statement,
    buffer: BytesMut,
    day: Option<OpenDay>,
    interrupted: Arc<AtomicBool>,
}

struct OpenDay {
    meta: Arc<DayMeta>,
    texts: DayTexts,
    rows: usize,
}

impl PostgresSink {
    /// Takes over `client` to write to the summary table of `schema`.
    ///
    /// # Errors
    /// A table that is missing, lacks required columns, has columns of other types or unknown ones
    /// that must be filled; missing privileges; a read-only database.
    pub fn open(mut client: Client, schema: &str) -> Result<Self, PostgresError> {
        let target = Target::read(&mut client, schema)?;
        let copy = client
            .prepare(&target.copy_statement())
            .map_err(|source| DatabaseError::querying("preparing the copy of rows", source))?;
        let (buffer, interrupted) = (BytesMut::new(), Arc::default());
        Ok(PostgresSink { client, target, copy, buffer, day: None, interrupted })
    }

    /// Has the day in progress rolled back once `flag` is set.
    pub fn interrupted_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupted = flag;
        self
    }

    fn begin(&mut self, meta: &Arc<DayMeta>) -> Result<(), PostgresError> {
        if self.day.is_some() {
            return Err(PostgresError::OutOfOrder { call: "begin_day" });
        }
        let (date, source_uuid) = (meta.date, meta.source_uuid);
        let period =
            meta.report_period_id.ok_or(PostgresError::NoReportPeriod { date, source_uuid })?;
        partitions::ensure(&mut self.client, &self.target, date)?;
        // Read committed whatever the database's default: rows another run committed while this
        // one waited for the lock must be seen, to be deleted.
        self.client
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            .map_err(|source| DatabaseError::querying(format!("beginning {date}"), source))?;
        self.day = Some(OpenDay { meta: Arc::clone(meta), texts: DayTexts::new(meta), rows: 0 });
        failpoint("sink.postgres.after_begin", date)?;
        self.client
            .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&source_uuid.to_string()])
            .map_err(|source| {
                DatabaseError::querying(format!("waiting for the lock of {source_uuid}"), source)
            })?;
        let deleted = self.delete(date, period)?;
        tracing::debug!(%date, deleted, "deleted the old rows");
        failpoint("sink.postgres.after_delete", date)
    }

    fn delete(&mut self, date: NaiveDate, period: i32) -> Result<u64, DatabaseError> {
        // The date stands in the text so that only its partition is planned for and locked.
        let mut delete = format!(
            "DELETE FROM {} WHERE usage_start = DATE '{date}' AND report_period_id = $1",
            self.target.table
        );
        if self.target.has_raw_cost {
            delete
                .push_str(" AND (infrastructure_raw_cost IS NULL OR infrastructure_raw_cost = 0)");
        }
        self.client.execute(&delete, &[&period]).map_err(|source| {
            DatabaseError::querying(format!("deleting the old rows of {date}"), source)
        })
    }

    fn copy(&mut self, batch: &RowBatch) -> Result<(), PostgresError> {
        let day = match &mut self.day {
            Some(day) if *day.meta == *batch.day => day,
            _ => return Err(PostgresError::OutOfOrder { call: "write" }),
        };
        copy::copy(
            &mut self.client,
            &self.copy,
            &self.target,
            &day.texts,
            batch,
            &mut self.buffer,
            &self.interrupted,
        )?;
        day.rows += batch.rows.len();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PostgresError> {
        let Some(day) = &self.day else {
            return Err(PostgresError::OutOfOrder { call: "end_day" });
        };
        let (date, rows) = (day.meta.date, day.rows);
        failpoint("sink.postgres.before_commit", date)?;
        check(&self.interrupted, date)?;
        self.client.batch_execute("COMMIT").map_err(|source| {
            match DatabaseError::querying(format!("committing {date}"), source) {
                source @ DatabaseError::ConnectionLost { .. } => {
                    PostgresError::CommitUnknown { date, source }
                }
                refused => refused.into(),
            }
        })?;
        self.day = None;
        tracing::debug!(%date, rows, "committed");
        failpoint("sink.postgres.after_commit", date)
    }

    /// Rolls back the day in progress, if any.
    fn abandon(&mut self) {
        // Where this fails the connection is gone, and the server rolls back by itself.
        if let Some(day) = self.day.take()
            && let Err(error) = self.client.batch_execute("ROLLBACK")
        {
            tracing::debug!(date = %day.meta.date, "could not roll back: {error}");
        }
    }

    fn or_abandon(&mut self, result: Result<(), PostgresError>) -> Result<(), SinkError> {
        if result.is_err() {
            self.abandon();
        }
        Ok(result?)
    }
}

impl Sink for PostgresSink {
    fn begin_day(&mut self, day: &Arc<DayMeta>) -> Result<(), SinkError> {
        let result = self.begin(day);
        self.or_abandon(result)
    }

    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError> {
        let result = self.copy(rows);
        self.or_abandon(result)
    }

    fn end_day(&mut self) -> Result<(), SinkError> {
        let result = self.commit();
        self.or_abandon(result)
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        match self.day {
            Some(_) => Err(PostgresError::OutOfOrder { call: "finish" }.into()),
            None => Ok(()),
        }
    }
}

impl Drop for PostgresSink {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn check(interrupted: &AtomicBool, date: NaiveDate) -> Result<(), PostgresError> {
    match interrupted.load(Ordering::Relaxed) {
        true => Err(PostgresError::Interrupted { date }),
        false => Ok(()),
    }
}

fn failpoint(name: &str, date: NaiveDate) -> Result<(), PostgresError> {
    failpoint::hit(name).map_err(|source| PostgresError::Failpoint { date, source })
}
