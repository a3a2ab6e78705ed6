//! Days into PostgreSQL: each replaced in one transaction, or a whole month at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use chrono::NaiveDate;
use postgres::Client;

use super::{Ended, Sink, SinkError};
use crate::database::{Passing, lock};
use crate::failpoint;
use crate::ledger::{Recorder, Rows};
use crate::settings::{BulkMode, Session};
use crate::summary::columns::DayTexts;
use crate::summary::row::{DayMeta, RowBatch};
use bulk::Bulk;
use bulk::load::Load;
use recovery::Recovery;
use target::Target;

mod bulk;
mod connections;
mod copy;
mod day;
pub mod encode;
mod error;
mod partitions;
mod recovery;
mod target;

pub use bulk::choice::{DayOfRun, MonthOfRun};
pub use connections::Connections;
pub use encode::Unstorable;
pub use error::PostgresError;
pub use target::TABLE;

/// Encoded bytes that are sent at once, where nothing else is said.
const COPY_BUFFER: usize = 256 * 1024;

/// The summary table of a tenant.
///
/// A day is one transaction: it takes its lock, deletes the old rows, copies the new ones, and
/// records what they were made of. Readers see either, and of two runs of a day the second waits
/// for the first. When a call fails, or the sink is dropped, the day in progress is rolled back.
///
/// A month that is loaded in bulk is replaced as a whole when the last of its days was ended.
/// Until then readers see its old rows, and when the sink is dropped nothing of it is kept.
pub struct PostgresSink {
    shared: Arc<Shared>,
    /// Opened with the first day.
    client: Option<Client>,
    buffer: BytesMut,
    day: Option<OpenDay>,
    recovery: Option<Recovery>,
}

/// How a sink writes. Days that fail in passing can be done again.
pub struct Writing {
    pub connections: Arc<Connections>,
    /// Days that are written at once.
    pub writers: usize,
    /// Encoded bytes that are sent at once.
    pub copy_buffer: usize,
    pub bulk: BulkMode,
    /// All months with all their days that will be written.
    pub months: Vec<MonthOfRun>,
    /// Keeps a ledger beside the rows.
    pub recorder: Option<Arc<Recorder>>,
    /// Has the days in progress rolled back once it is set.
    pub interrupted: Arc<AtomicBool>,
}

/// What the sinks beside each other share.
struct Shared {
    target: Arc<Target>,
    connections: Option<Arc<Connections>>,
    writers: usize,
    copy_buffer: usize,
    interrupted: Arc<AtomicBool>,
    session: Session,
    recorder: Option<Arc<Recorder>>,
    bulk: Option<Bulk>,
}

struct OpenDay {
    meta: Arc<DayMeta>,
    day: DayOfRun,
    texts: DayTexts,
    rows: Rows,
    /// Where the rows go first, if not into the summary table.
    load: Option<Arc<Load>>,
}

impl PostgresSink {
    /// Takes over `client` to write to the summary table of `schema`, day after day.
    ///
    /// # Errors
    /// A table that is missing, lacks required columns, has columns of other types or unknown ones
    /// that must be filled; missing privileges; a read-only database.
    pub fn open(mut client: Client, schema: &str) -> Result<Self, PostgresError> {
        let target = Arc::new(Target::read(&mut client, schema)?);
        let shared = Shared {
            target,
            connections: None,
            writers: 1,
            copy_buffer: COPY_BUFFER,
            interrupted: Arc::default(),
            session: Session::default(),
            recorder: None,
            bulk: None,
        };
        Ok(Self::of(Arc::new(shared), Some(client)))
    }

    /// Writes to the summary table of `schema` by several connections, and by whole months where
    /// that is faster. First removes what a run that died left of a month.
    ///
    /// # Errors
    /// As for [`PostgresSink::open`], and a connection that cannot be had.
    pub fn open_with(writing: Writing, schema: &str) -> Result<Self, PostgresError> {
        let Writing { connections, writers, copy_buffer, bulk, months, recorder, interrupted } =
            writing;
        let session = connections.settings().session.clone();
        let mut client = connections.take()?;
        let target = Arc::new(Target::read(&mut client, schema)?);
        bulk::staging::remove_orphans(&mut client, &target)?;
        let bulk = (bulk != BulkMode::Off).then(|| Bulk {
            mode: bulk,
            target: target.clone(),
            connections: connections.clone(),
            builders: writers,
            interrupted: interrupted.clone(),
            session: session.clone(),
            recorder: recorder.clone(),
            months: Bulk::months(months),
            control: Default::default(),
            remarks: Default::default(),
        });
        let connections = Some(connections);
        let shared = Shared {
            target,
            connections,
            writers,
            copy_buffer,
            interrupted,
            session,
            recorder,
            bulk,
        };
        Ok(Self::of(Arc::new(shared), Some(client)))
    }

    fn of(shared: Arc<Shared>, client: Option<Client>) -> Self {
        let recovery = shared.connections.clone().map(Recovery::new);
        PostgresSink { shared, client, buffer: BytesMut::new(), day: None, recovery }
    }

    /// Takes over another connection to the same table.
    fn use_connection(&mut self, mut client: Client) -> Result<(), PostgresError> {
        // It may lead to a server that cannot take the rows.
        Target::read(&mut client, &self.shared.target.schema)?;
        self.client = Some(client);
        Ok(())
    }

    fn client(&mut self) -> Result<&mut Client, PostgresError> {
        if self.client.is_none() {
            self.client = self.shared.connections.as_ref().map(|c| c.take()).transpose()?;
        }
        // Only sinks beside another one begin without a connection, and those can have one.
        self.client.as_mut().ok_or(PostgresError::OutOfOrder { call: "begin_day" })
    }

    fn begin(&mut self, meta: &Arc<DayMeta>) -> Result<(), PostgresError> {
        if self.day.is_some() {
            return Err(PostgresError::OutOfOrder { call: "begin_day" });
        }
        let (date, source_uuid) = (meta.date, meta.source_uuid);
        if let Some(recovery) = &mut self.recovery {
            recovery.day_begun(date);
        }
        let report_period_id =
            meta.report_period_id.ok_or(PostgresError::NoReportPeriod { date, source_uuid })?;
        let day = DayOfRun { date, report_period_id, source_uuid };
        let shared = self.shared.clone();
        let load = match &shared.bulk {
            Some(bulk) => bulk.load_of(day)?,
            None => None,
        };
        let client = self.client()?;
        if load.is_none() {
            let wait = shared.session.lock_wait;
            partitions::ensure(client, &shared.target, date, wait, &shared.interrupted)?;
        }
        day::begin(client, date)?;
        let (meta, texts) = (Arc::clone(meta), DayTexts::new(meta));
        self.day = Some(OpenDay { meta, day, texts, rows: Rows::default(), load: load.clone() });
        failpoint("sink.postgres.after_begin", date)?;
        let client = self.client()?;
        let deleted = match load {
            Some(load) => load.begin(client, day)?,
            None => {
                lock::day(client, source_uuid, date, &shared.session)?;
                failpoint("sink.postgres.after_lock", date)?;
                day::delete(client, &shared.target, date, report_period_id)?
            }
        };
        tracing::debug!(%date, deleted, "deleted the old rows");
        failpoint("sink.postgres.after_delete", date)
    }

    fn copy(&mut self, batch: &RowBatch) -> Result<(), PostgresError> {
        let (Some(client), Some(day)) = (&mut self.client, &mut self.day) else {
            return Err(PostgresError::OutOfOrder { call: "write" });
        };
        if *day.meta != *batch.day {
            return Err(PostgresError::OutOfOrder { call: "write" });
        }
        let target = &self.shared.target;
        let table = day.load.as_ref().map_or(target.table.as_str(), |load| load.table());
        let copy = copy::Copy {
            target,
            table,
            texts: &day.texts,
            buffer: self.shared.copy_buffer,
            interrupted: &self.shared.interrupted,
        };
        copy.send(client, batch, &mut self.buffer)?;
        day.rows.count(batch);
        Ok(())
    }

    fn commit(&mut self) -> Result<Ended, PostgresError> {
        let (Some(client), Some(day)) = (&mut self.client, &self.day) else {
            return Err(PostgresError::OutOfOrder { call: "end_day" });
        };
        let (date, rows) = (day.meta.date, day.rows);
        if day.load.is_none() {
            failpoint("sink.postgres.before_ledger", date)?;
            if let Some(recorder) = &self.shared.recorder {
                recorder.written(client, &day.meta, day.day.report_period_id, rows)?;
            }
        }
        failpoint("sink.postgres.before_commit", date)?;
        check(&self.shared.interrupted, date)?;
        day::commit(client, date)?;
        let (load, day, meta) = (day.load.clone(), day.day, day.meta.clone());
        self.day = None;
        if let Some(recovery) = &mut self.recovery {
            recovery.day_done();
        }
        tracing::debug!(%date, rows = rows.total(), "committed");
        failpoint("sink.postgres.after_commit", date)?;
        match (&self.shared.bulk, load) {
            (Some(bulk), Some(load)) => bulk.loaded(client, &load, day, meta, rows),
            _ => Ok(Ended::InPlace),
        }
    }

    /// Rolls back the day in progress, if any.
    fn abandon(&mut self) {
        // Where this fails the connection is gone, and the server rolls back by itself.
        if let (Some(day), Some(client)) = (self.day.take(), &mut self.client)
            && let Err(error) = client.batch_execute("ROLLBACK")
        {
            tracing::debug!(date = %day.meta.date, "could not roll back: {error}");
        }
    }

    fn or_abandon<T>(&mut self, result: Result<T, PostgresError>) -> Result<T, SinkError> {
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

    fn end_day(&mut self) -> Result<Ended, SinkError> {
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

    fn beside(&self) -> Vec<Box<dyn Sink>> {
        (1..self.shared.writers)
            .map(|_| Box::new(Self::of(self.shared.clone(), None)) as Box<dyn Sink>)
            .collect()
    }

    fn remarks(&self) -> Vec<String> {
        self.shared.bulk.as_ref().map_or_else(Vec::new, Bulk::take_remarks)
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
