//! Days into PostgreSQL: each replaced in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use chrono::NaiveDate;
use postgres::{Client, Statement};

use super::{Sink, SinkError};
use crate::database::{Canceller, DatabaseError, Passing, lock};
use crate::failpoint;
use crate::ledger::{Recorder, Rows};
use crate::settings::{Postgres, Session};
use crate::summary::columns::DayTexts;
use crate::summary::row::{DayMeta, RowBatch};
use recovery::Recovery;
use target::Target;

mod copy;
pub mod encode;
mod error;
mod partitions;
mod recovery;
mod target;

pub use encode::Unstorable;
pub use error::PostgresError;
pub use target::TABLE;

/// The summary table of a tenant.
///
/// A day is one transaction: it takes its lock, deletes the old rows, copies the new ones, and
/// records what they were made of. Readers see either, and of two runs of a day the second waits
/// for the first.
/// When a call fails, or the sink is dropped, the day in progress is rolled back.
pub struct PostgresSink {
    client: Client,
    target: Target,
    copy: Statement,
    buffer: BytesMut,
    day: Option<OpenDay>,
    interrupted: Arc<AtomicBool>,
    recorder: Option<Arc<Recorder>>,
    recovery: Option<Recovery>,
}

struct OpenDay {
    meta: Arc<DayMeta>,
    period: i32,
    texts: DayTexts,
    rows: Rows,
}

impl PostgresSink {
    /// Takes over `client` to write to the summary table of `schema`.
    ///
    /// # Errors
    /// A table that is missing, lacks required columns, has columns of other types or unknown ones
    /// that must be filled; missing privileges; a read-only database.
    pub fn open(mut client: Client, schema: &str) -> Result<Self, PostgresError> {
        let (target, copy) = prepare(&mut client, schema)?;
        let (buffer, interrupted) = (BytesMut::new(), Arc::default());
        let (recorder, recovery) = (None, None);
        Ok(PostgresSink {
            client,
            target,
            copy,
            buffer,
            day: None,
            interrupted,
            recorder,
            recovery,
        })
    }

    /// Keeps a ledger beside the rows.
    pub fn recording(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Lets days that fail in passing be done again, over a new connection where need be, which
    /// `canceller` then goes over to.
    pub fn recovering(mut self, settings: Postgres, canceller: Canceller) -> Self {
        self.recovery = Some(Recovery::new(settings, canceller));
        self
    }

    /// Has the day in progress rolled back once `flag` is set.
    pub fn interrupted_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupted = flag;
        self
    }

    /// Takes over another connection to the same table.
    fn use_connection(&mut self, mut client: Client) -> Result<(), PostgresError> {
        (self.target, self.copy) = prepare(&mut client, &self.target.schema)?;
        self.client = client;
        Ok(())
    }

    fn begin(&mut self, meta: &Arc<DayMeta>) -> Result<(), PostgresError> {
        if self.day.is_some() {
            return Err(PostgresError::OutOfOrder { call: "begin_day" });
        }
        let (date, source_uuid) = (meta.date, meta.source_uuid);
        if let Some(recovery) = &mut self.recovery {
            recovery.day_begun(date);
        }
        let period =
            meta.report_period_id.ok_or(PostgresError::NoReportPeriod { date, source_uuid })?;
        let session = self.recovery.as_ref().map_or_else(Session::default, Recovery::session);
        let (wait, interrupted) = (session.lock_wait, &self.interrupted);
        partitions::ensure(&mut self.client, &self.target, date, wait, interrupted)?;
        // Read committed whatever the database's default: rows another run committed while this
        // one waited for the lock must be seen, to be deleted. And where commits are not waited
        // for, a server that dies would take a day back that was reported as done.
        self.client
            .batch_execute(
                "BEGIN ISOLATION LEVEL READ COMMITTED; \
                 SELECT set_config('synchronous_commit', 'on', true) \
                 WHERE current_setting('synchronous_commit') = 'off'",
            )
            .map_err(|source| DatabaseError::querying(format!("beginning {date}"), source))?;
        let (texts, rows) = (DayTexts::new(meta), Rows::default());
        self.day = Some(OpenDay { meta: Arc::clone(meta), period, texts, rows });
        failpoint("sink.postgres.after_begin", date)?;
        lock::day(&mut self.client, source_uuid, date, &session)?;
        failpoint("sink.postgres.after_lock", date)?;
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
        day.rows.count(batch);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PostgresError> {
        let Some(day) = &self.day else {
            return Err(PostgresError::OutOfOrder { call: "end_day" });
        };
        let (date, rows) = (day.meta.date, day.rows);
        failpoint("sink.postgres.before_ledger", date)?;
        if let Some(recorder) = &self.recorder {
            recorder.written(&mut self.client, &day.meta, day.period, rows)?;
        }
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
        if let Some(recovery) = &mut self.recovery {
            recovery.day_done();
        }
        tracing::debug!(%date, rows = rows.total(), "committed");
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

    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError> {
        match failed {
            SinkError::Postgres(failed) => Ok(self.recover_from(failed)?),
            failed => Err(failed),
        }
    }
}

impl Drop for PostgresSink {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn prepare(client: &mut Client, schema: &str) -> Result<(Target, Statement), PostgresError> {
    let target = Target::read(client, schema)?;
    let copy = client
        .prepare(&target.copy_statement())
        .map_err(|source| DatabaseError::querying("preparing the copy of rows", source))?;
    Ok((target, copy))
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
