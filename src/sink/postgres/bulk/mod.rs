//! Months in bulk: loaded into a table without indexes, which are built at once when all rows are
//! in; then the table takes the place of the month's partition. Readers see the old month until
//! then.
//!
//! Whatever stands against that, from the beginning or later on, has the days replaced one by one
//! as without bulk.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postgres::{Client, Transaction};

use super::connections::Connections;
use super::target::Target;
use super::{PostgresError, failpoint, partitions};
use crate::database::DatabaseError;
use crate::ledger::{Recorder, Rows};
use crate::settings::{BulkMode, Month, Session};
use crate::sink::Ended;
use crate::summary::row::DayMeta;
use choice::{DayOfRun, MonthOfRun};
use load::Load;
use partition::Partition;
use staging::Staging;

mod by_day;
pub mod choice;
mod indexes;
pub mod load;
mod partition;
pub mod staging;
mod swap;

/// The months of a run.
pub(super) struct Bulk {
    pub mode: BulkMode,
    pub target: Arc<Target>,
    pub connections: Arc<Connections>,
    /// Connections that may build indexes at once.
    pub builders: usize,
    pub interrupted: Arc<AtomicBool>,
    pub session: Session,
    pub recorder: Option<Arc<Recorder>>,
    pub months: Months,
    /// Holds the locks of the new tables; made with the first of them.
    pub control: Mutex<Option<Client>>,
    pub remarks: Mutex<Vec<String>>,
}

/// The months of a run, each with how it goes.
pub(super) type Months = BTreeMap<Month, Mutex<MonthState>>;

pub(super) enum MonthState {
    Undecided(MonthOfRun),
    ByDay,
    Loading(Arc<Load>),
    Done,
}

/// Why a month cannot be replaced as a whole.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its days still can.
    NotPossible(String),
    Fatal(PostgresError),
}

impl Failure {
    /// What PostgreSQL's refusal of `step` means.
    fn of(step: &'static str) -> impl Fn(postgres::Error) -> Failure {
        move |source| DatabaseError::querying(step, source).into()
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::ConnectionLost { .. } | DatabaseError::Cancelled { .. } => {
                Failure::Fatal(error.into())
            }
            _ => Failure::NotPossible(with_cause(&error)),
        }
    }
}

/// An error that ends here, with what lies beneath it.
fn with_cause(error: &DatabaseError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Bulk {
    /// Months of which nothing is decided yet.
    pub fn months(months: Vec<MonthOfRun>) -> Months {
        let undecided = |month: MonthOfRun| (month.month, Mutex::new(MonthState::Undecided(month)));
        months.into_iter().map(undecided).collect()
    }

    /// Where the rows of a day go first; `None` is the summary table itself.
    pub fn load_of(&self, day: DayOfRun) -> Result<Option<Arc<Load>>, PostgresError> {
        let Some(month) = self.months.get(&Month::of(day.date)) else { return Ok(None) };
        let mut state = lock(month);
        if let MonthState::Undecided(month) = &*state {
            *state = self.decide(month)?;
            failpoint("sink.postgres.bulk.decided", day.date)?;
        }
        Ok(match &*state {
            MonthState::Loading(load) if load.days.contains(&day) => Some(load.clone()),
            _ => None,
        })
    }

    fn decide(&self, month: &MonthOfRun) -> Result<MonthState, PostgresError> {
        let name = month.month;
        let begun = match month.against(self.mode) {
            Some(reason) => Err(Failure::NotPossible(reason)),
            None => self.begin(month),
        };
        match begun {
            Ok(load) => {
                tracing::info!(month = %name, table = %load.table(), "loads a month in bulk");
                Ok(MonthState::Loading(Arc::new(load)))
            }
            Err(Failure::NotPossible(reason)) => {
                tracing::info!(month = %name, "day by day, not in bulk: {reason}");
                self.remark(format!("{name} day by day: {reason}"));
                Ok(MonthState::ByDay)
            }
            Err(Failure::Fatal(error)) => Err(error),
        }
    }

    fn begin(&self, month: &MonthOfRun) -> Result<Load, Failure> {
        let target = &*self.target;
        if !target.by_day {
            return Err(Failure::NotPossible("the table has no monthly partitions".to_owned()));
        }
        let mut control = lock(&self.control);
        let client = match &mut *control {
            Some(client) if !client.is_closed() => client,
            control => {
                control.insert(self.connections.take().map_err(|e| Failure::Fatal(e.into()))?)
            }
        };
        let first = month.month.first_day();
        partitions::ensure(client, target, first, self.session.lock_wait, &self.interrupted)
            .map_err(Failure::Fatal)?;
        let partition_month = partitions::Month::of(first);
        let refused = Failure::of("looking at the month's partition");
        let mut transaction = transaction(client).map_err(&refused)?;
        let partition = Partition::find(&mut transaction, target, &partition_month)?;
        let foreign = partition.foreign_row(&mut transaction, target, &month.days)?;
        transaction.commit().map_err(&refused)?;
        if let Some(row) = foreign {
            return Err(Failure::NotPossible(row));
        }
        let staging = Staging::create(client, target, &partition_month, &partition)?;
        Ok(Load::new(partition_month, month.days.clone(), partition, staging))
    }

    /// Takes note of a day that was committed to the new table. With the last one all of the month's
    /// are put in their places.
    pub fn loaded(
        &self,
        client: &mut Client,
        load: &Load,
        day: DayOfRun,
        meta: Arc<DayMeta>,
        rows: Rows,
    ) -> Result<Ended, PostgresError> {
        if !load.end(day, meta, rows) {
            return Ok(Ended::Waiting);
        }
        let first = load.month.first;
        let name = Month::of(first);
        failpoint("sink.postgres.bulk.loaded", first)?;
        match self.put_in_place(client, load) {
            Ok(()) => {
                tracing::info!(month = %name, rows = load.rows(), "replaced a month");
                self.remark(format!("{name} in bulk: {} rows at once", load.rows()));
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::NotPossible(reason)) => {
                tracing::warn!(month = %name, "loaded in bulk, but goes day by day: {reason}");
                by_day::replace(client, self, load)?;
                self.remark(format!("{name} day by day after all: {reason}"));
            }
        }
        if let Some(control) = &mut *lock(&self.control) {
            // After a swap there is no table of that name, and the lock is what is left.
            load.staging.remove(control);
        }
        if let Some(month) = self.months.get(&name) {
            *lock(month) = MonthState::Done;
        }
        Ok(Ended::AllInPlace(load.loaded().into_iter().map(|(_, day)| day.meta).collect()))
    }

    fn put_in_place(&self, client: &mut Client, load: &Load) -> Result<(), Failure> {
        load.check(client)?;
        let later = indexes::Later::read(client, load)?;
        later.make(client, load, &self.connections, self.builders.saturating_sub(1))?;
        failpoint("sink.postgres.bulk.built", load.month.first).map_err(Failure::Fatal)?;
        swap::swap(client, self, load, &later)
    }

    fn remark(&self, remark: String) {
        lock(&self.remarks).push(remark);
    }

    /// What became of each month, in order.
    pub fn take_remarks(&self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut *lock(&self.remarks));
        remarks.sort();
        remarks
    }
}

impl Drop for Bulk {
    /// Removes what was not put in place.
    fn drop(&mut self) {
        let Some(mut control) = lock(&self.control).take() else { return };
        for month in self.months.values() {
            if let MonthState::Loading(load) = &*lock(month) {
                load.staging.remove(&mut control);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transaction in which definitions read the same whatever the session is set to, and which may
/// take its time.
fn transaction(client: &mut Client) -> Result<Transaction<'_>, postgres::Error> {
    let mut transaction = client
        .build_transaction()
        .isolation_level(postgres::IsolationLevel::ReadCommitted)
        .start()?;
    transaction.batch_execute(
        "SET LOCAL search_path = pg_catalog; SET LOCAL datestyle = 'ISO, YMD'; \
         SET LOCAL statement_timeout = 0",
    )?;
    Ok(transaction)
}
