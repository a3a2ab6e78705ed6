//! A month on its way: a table without indexes, and what it holds so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use postgres::Client;
use uuid::Uuid;

use super::choice::DayOfRun;
use super::partition::Partition;
use super::staging::Staging;
use super::{Failure, PostgresError};
use crate::database::DatabaseError;
use crate::ledger::Rows;
use crate::sink::postgres::partitions::Month;
use crate::summary::row::DayMeta;

/// A month that is being loaded.
pub struct Load {
    pub(super) month: Month,
    pub(super) days: Vec<DayOfRun>,
    /// What the new table is to take the place of.
    pub(super) partition: Partition,
    pub(super) staging: Staging,
    progress: Mutex<Progress>,
}

/// A day that is in the new table.
#[derive(Debug, Clone)]
pub(super) struct LoadedDay {
    pub meta: Arc<DayMeta>,
    pub rows: Rows,
}

#[derive(Default)]
struct Progress {
    begun: BTreeSet<DayOfRun>,
    /// The days that are committed.
    loaded: BTreeMap<DayOfRun, LoadedDay>,
}

impl Load {
    pub(super) fn new(
        month: Month,
        days: Vec<DayOfRun>,
        partition: Partition,
        staging: Staging,
    ) -> Self {
        Load { month, days, partition, staging, progress: Mutex::default() }
    }

    /// The new table, qualified and quoted.
    pub fn table(&self) -> &str {
        &self.staging.table
    }

    /// Deletes what an earlier attempt at a day may have left; to be called in the transaction
    /// that loads it.
    pub fn begin(&self, client: &mut Client, day: DayOfRun) -> Result<u64, DatabaseError> {
        if self.progress(|progress| progress.begun.insert(day)) {
            return Ok(0);
        }
        let delete = format!("DELETE FROM {} WHERE {}", self.table(), condition(day));
        client.execute(&delete, &[]).map_err(|source| {
            DatabaseError::querying(
                format!("deleting rows of {} from a new table", day.date),
                source,
            )
        })
    }

    /// Takes note of a day that was committed, and says whether it was the last one.
    pub(super) fn end(&self, day: DayOfRun, meta: Arc<DayMeta>, rows: Rows) -> bool {
        self.progress(|progress| {
            progress.loaded.insert(day, LoadedDay { meta, rows });
            progress.loaded.len() == self.days.len()
        })
    }

    /// The days that were committed, in order.
    pub(super) fn loaded(&self) -> Vec<(DayOfRun, LoadedDay)> {
        self.progress(|progress| progress.loaded.clone().into_iter().collect())
    }

    pub(super) fn rows(&self) -> u64 {
        self.progress(|progress| progress.loaded.values().map(|day| day.rows.total()).sum())
    }

    /// The sources, each once, in the order in which their locks are taken.
    pub(super) fn sources(&self) -> BTreeSet<Uuid> {
        self.days.iter().map(|day| day.source_uuid).collect()
    }

    fn progress<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes sure that the table holds each day once, with as many rows as were sent.
    pub(super) fn check(&self, client: &mut Client) -> Result<(), Failure> {
        let query = format!(
            "SELECT to_char(usage_start, 'YYYY-MM-DD'), report_period_id, count(*) \
             FROM ONLY {} GROUP BY usage_start, report_period_id",
            self.table()
        );
        let found: BTreeMap<(String, Option<i32>), i64> = client
            .query(&query, &[])
            .and_then(|rows| {
                let convert =
                    |row: &postgres::Row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
                rows.iter().map(convert).collect()
            })
            .map_err(Failure::of("counting the rows that were loaded"))?;
        let expected: BTreeMap<(String, Option<i32>), i64> = self
            .loaded()
            .into_iter()
            .map(|(day, LoadedDay { rows, .. })| {
                let key = (day.date.to_string(), Some(day.report_period_id));
                (key, i64::try_from(rows.total()).unwrap_or(i64::MAX))
            })
            .filter(|&(_, rows)| rows > 0)
            .collect();
        if found == expected {
            return Ok(());
        }
        let (table, month) = (self.staging.table.clone(), self.month.first);
        let (sent, found) = (expected.values().sum(), found.values().sum());
        Err(Failure::Fatal(PostgresError::LoadDiffers { table, month, sent, found }))
    }
}

/// A condition on the rows of a day.
pub(super) fn condition(day: DayOfRun) -> String {
    let DayOfRun { date, report_period_id, .. } = day;
    format!("usage_start = DATE '{date}' AND report_period_id = {report_period_id}")
}
