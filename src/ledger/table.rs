//! The table `ocp_rollup_ledger` of a tenant.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use postgres::error::SqlState;
use postgres::{Client, GenericClient, IsolationLevel, Row};
use uuid::Uuid;

use super::{Fingerprint, LedgerError, Rows};
use crate::database::{DatabaseError, qualify};
use crate::summary::row::DayMeta;

/// The table's name in every tenant schema.
pub const TABLE: &str = "ocp_rollup_ledger";

/// Everything of a row but its key and its time.
const COLUMNS: &str = "report_period_id, objects, object_count, lookups, settings, program, \
                       pod_rows, storage_rows, unallocated_rows";

/// What a command does with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    fn privileges(self) -> &'static [&'static str] {
        match self {
            Access::Read => &["SELECT"],
            Access::Write => &["SELECT", "INSERT", "UPDATE", "DELETE"],
        }
    }
}

/// The ledger of one tenant.
#[derive(Debug, Clone)]
pub struct Ledger {
    schema: String,
    /// Qualified and quoted.
    table: String,
    /// The table that holds the rows, the same way.
    summary: String,
}

/// What is recorded of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub fingerprint: Fingerprint,
    pub rows: Rows,
    /// Whether the summary holds any row of the day, its source and its report period.
    pub rows_present: bool,
    /// In UTC, like `2025-11-01 02:00:07`.
    pub written_at: String,
}

impl Ledger {
    /// The ledger of `schema`, made if it is not there. `summary` is the name of the table that
    /// holds the rows.
    ///
    /// # Errors
    /// A table that may not be made or used, or is another program's; what PostgreSQL refuses.
    pub fn open(client: &mut Client, schema: &str, summary: &str) -> Result<Self, LedgerError> {
        if let Some(ledger) = Self::find(client, schema, summary, Access::Write)? {
            return Ok(ledger);
        }
        let ledger = Self::named(schema, summary);
        ledger.make(client).map_err(|error| match error {
            source @ DatabaseError::Privilege { .. } => {
                LedgerError::MayNotCreate { table: ledger.table.clone(), source }
            }
            error => error.into(),
        })?;
        // What another run made meanwhile may not be for this user.
        ledger.check(client, Access::Write)?;
        Ok(ledger)
    }

    /// The ledger of `schema`, if it has one, for a user who needs `access` to it.
    ///
    /// # Errors
    /// As for [`Ledger::open`].
    pub fn find(
        client: &mut Client,
        schema: &str,
        summary: &str,
        access: Access,
    ) -> Result<Option<Self>, LedgerError> {
        let ledger = Self::named(schema, summary);
        let found = exists(client, schema)
            .map_err(|source| DatabaseError::querying("looking for the ledger", source))?;
        if !found {
            return Ok(None);
        }
        ledger.check(client, access)?;
        Ok(Some(ledger))
    }

    fn named(schema: &str, summary: &str) -> Self {
        Ledger {
            schema: schema.to_owned(),
            table: qualify(schema, TABLE),
            summary: qualify(schema, summary),
        }
    }

    /// Makes the table, or finds that another run has: of several that start at once one makes it
    /// and the others wait.
    fn make(&self, client: &mut Client) -> Result<(), DatabaseError> {
        let table = &self.table;
        let refused =
            |source| DatabaseError::querying(format!("the creation of the table {table}"), source);
        // So that after the wait the other's table is seen, whatever the database's default.
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .start()
            .map_err(refused)?;
        transaction
            .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&format!("making {table}")])
            .map_err(refused)?;
        if exists(&mut transaction, &self.schema).map_err(refused)? {
            return Ok(());
        }
        transaction
            .batch_execute(&format!(
                "CREATE TABLE {table} ( \
                 source_uuid uuid NOT NULL, \
                 usage_day date NOT NULL, \
                 report_period_id integer NOT NULL, \
                 objects text NOT NULL, \
                 object_count integer NOT NULL, \
                 lookups text NOT NULL, \
                 settings text NOT NULL, \
                 program text NOT NULL, \
                 pod_rows bigint NOT NULL, \
                 storage_rows bigint NOT NULL, \
                 unallocated_rows bigint NOT NULL, \
                 written_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(), \
                 PRIMARY KEY (source_uuid, usage_day)); \
                 COMMENT ON TABLE {table} IS 'What ocp-rollup made the rows of each day of; a day \
                 whose row is deleted counts as not yet done'"
            ))
            .map_err(refused)?;
        transaction.commit().map_err(refused)?;
        tracing::info!(%table, "made the ledger");
        Ok(())
    }

    /// Refuses a table that this user cannot use or that is another's.
    fn check(&self, client: &mut Client, access: Access) -> Result<(), LedgerError> {
        let table = &self.table;
        let step = || format!("looking at {table}");
        for privilege in access.privileges() {
            let granted: bool = client
                .query_one(
                    "SELECT has_table_privilege($1::text::regclass, $2)",
                    &[table, privilege],
                )
                .and_then(|row| row.try_get(0))
                .map_err(|source| DatabaseError::querying(step(), source))?;
            if !granted {
                let table = table.clone();
                return Err(match access {
                    Access::Read => LedgerError::MayNotRead { table },
                    Access::Write => LedgerError::NoPrivilege { table, privilege },
                });
            }
        }
        let columns = format!("SELECT source_uuid, usage_day, {COLUMNS}, written_at FROM {table}");
        match client.prepare(&columns) {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
                let source = DatabaseError::querying(step(), error);
                Err(LedgerError::Foreign { table: table.clone(), source })
            }
            Err(error) => Err(DatabaseError::querying(step(), error).into()),
        }
    }

    /// What is recorded of the days `from..=to` of `sources`.
    ///
    /// # Errors
    /// What PostgreSQL refuses.
    pub fn entries(
        &self,
        client: &mut Client,
        sources: &[Uuid],
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<BTreeMap<(Uuid, NaiveDate), Entry>, LedgerError> {
        let Ledger { table, summary, .. } = self;
        let names: Vec<String> = sources.iter().map(Uuid::to_string).collect();
        // Dates in the text let PostgreSQL leave out the partitions of other months.
        let query = format!(
            "SELECT l.source_uuid::text, to_char(l.usage_day, 'YYYY-MM-DD'), objects, object_count, lookups, \
                    settings, program, pod_rows, storage_rows, unallocated_rows, \
                    EXISTS (SELECT 1 FROM {summary} s WHERE s.usage_start = l.usage_day \
                            AND s.usage_start BETWEEN DATE '{from}' AND DATE '{to}' \
                            AND s.report_period_id = l.report_period_id \
                            AND s.source_uuid = l.source_uuid), \
                    to_char(written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') \
             FROM {table} l WHERE l.source_uuid = ANY($1::text[]::uuid[]) \
             AND l.usage_day BETWEEN DATE '{from}' AND DATE '{to}'"
        );
        let rows = client
            .query(&query, &[&names])
            .and_then(|rows| rows.iter().map(entry).collect::<Result<Vec<_>, _>>())
            .map_err(|source| DatabaseError::querying(format!("reading {table}"), source))?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Records what `day` was made of, in the transaction that writes its rows.
    ///
    /// # Errors
    /// What PostgreSQL refuses.
    pub(super) fn record(
        &self,
        client: &mut impl GenericClient,
        day: &DayMeta,
        period: i32,
        made_of: &Fingerprint,
        rows: Rows,
    ) -> Result<(), DatabaseError> {
        let table = &self.table;
        let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        let statement = format!(
            "INSERT INTO {table} (source_uuid, usage_day, {COLUMNS}) \
             VALUES ($1::text::uuid, DATE '{date}', $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (source_uuid, usage_day) DO UPDATE SET ({COLUMNS}, written_at) = \
             ROW ($2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())",
            date = day.date,
        );
        client
            .execute(
                &statement,
                &[
                    &day.source_uuid.to_string(),
                    &period,
                    &made_of.objects,
                    &i32::try_from(made_of.object_count).unwrap_or(i32::MAX),
                    &made_of.lookups,
                    &made_of.settings,
                    &made_of.program,
                    &count(rows.pod),
                    &count(rows.storage),
                    &count(rows.unallocated),
                ],
            )
            .map_err(|source| {
                DatabaseError::querying(format!("recording {} in {table}", day.date), source)
            })?;
        Ok(())
    }

    /// Deletes the record of a day, in the transaction that writes rows without one.
    ///
    /// # Errors
    /// What PostgreSQL refuses.
    pub(super) fn forget(
        &self,
        client: &mut impl GenericClient,
        day: &DayMeta,
    ) -> Result<(), DatabaseError> {
        let (table, date) = (&self.table, day.date);
        let statement = format!(
            "DELETE FROM {table} WHERE source_uuid = $1::text::uuid AND usage_day = DATE '{date}'"
        );
        client.execute(&statement, &[&day.source_uuid.to_string()]).map_err(|source| {
            DatabaseError::querying(format!("taking {date} out of {table}"), source)
        })?;
        Ok(())
    }
}

/// By a query of the catalogue: `to_regclass` answers from a cache that within a transaction may
/// not know of a table that another has made meanwhile.
fn exists(client: &mut impl GenericClient, schema: &str) -> Result<bool, postgres::Error> {
    let found = client.query_opt(
        "SELECT 1 FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
        &[&schema, &TABLE],
    )?;
    Ok(found.is_some())
}

/// Source and date of a day, and what is recorded of it.
type Recorded = ((Uuid, NaiveDate), Entry);

/// `None` for a key that this program did not write.
fn entry(row: &Row) -> Result<Option<Recorded>, postgres::Error> {
    let (source, day): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let (Ok(source), Ok(day)) = (source.parse(), day.parse()) else { return Ok(None) };
    let count = |column: usize| Ok(row.try_get::<_, i64>(column)?.max(0) as u64);
    let entry = Entry {
        fingerprint: Fingerprint {
            objects: row.try_get(2)?,
            object_count: row.try_get::<_, i32>(3)?.max(0) as u32,
            lookups: row.try_get(4)?,
            settings: row.try_get(5)?,
            program: row.try_get(6)?,
        },
        rows: Rows { pod: count(7)?, storage: count(8)?, unallocated: count(9)? },
        rows_present: row.try_get(10)?,
        written_at: row.try_get(11)?,
    };
    Ok(Some(((source, day), entry)))
}
