//! Monthly partitions of the summary table.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{Datelike, Months, NaiveDate};
use postgres::error::SqlState;
use postgres::{Client, GenericClient, IsolationLevel, Transaction};

use super::target::{TABLE, Target};
use super::{PostgresError, check};
use crate::database::{Backoff, DatabaseError, qualify, quote_identifier};

/// How often a creation is tried when another writer gets in the way.
const ATTEMPTS: u32 = 3;
/// How long a creation waits for the table at a time: whoever comes after it waits behind it.
const AT_A_TIME: &str = "2s";
/// Where rows wait while their partition is made.
const MOVED: &str = "pg_temp.ocp_rollup_moved_rows";

/// Makes sure that a partition holds `date`, in a short transaction of its own: creating one locks
/// the whole table, and no reader should wait for a day's rows. While the table is in use it is
/// tried again, for `wait` at most.
///
/// # Errors
/// A partition of that name that is not attached, a table in use, and what PostgreSQL refuses.
pub(super) fn ensure(
    client: &mut Client,
    target: &Target,
    date: NaiveDate,
    wait: Duration,
    interrupted: &AtomicBool,
) -> Result<(), PostgresError> {
    if !target.by_day || look(client, target, date)? {
        return Ok(());
    }
    let month = Month::of(date);
    let mut attempt = 1;
    let mut backoff = Backoff::new(wait);
    loop {
        match create(client, target, &month, date) {
            Ok(()) => return Ok(()),
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::InUse) => {
                if !backoff.sleep(interrupted) {
                    check(interrupted, date)?;
                    let (table, name) = (target.table.clone(), month.name.clone());
                    return Err(PostgresError::InUse { table, name, waited: wait });
                }
            }
            Err(Failure::InTheWay(error)) => {
                // Someone else made it, or its name is taken, or a deadlock was broken.
                if look(client, target, date)? {
                    return Ok(());
                }
                if attempt == ATTEMPTS {
                    return Err(error);
                }
                attempt += 1;
            }
        }
    }
}

/// A calendar month and the partition that holds it.
pub(super) struct Month {
    pub name: String,
    pub first: NaiveDate,
    pub next: NaiveDate,
}

impl Month {
    pub fn of(date: NaiveDate) -> Self {
        let first = date.with_day(1).unwrap_or(date);
        Month {
            name: format!("{TABLE}_{}", first.format("%Y_%m")),
            first,
            next: first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX),
        }
    }

    /// A condition on `usage_start`; dates in this form mean the same under any DateStyle.
    pub fn condition(&self) -> String {
        format!("usage_start >= DATE '{}' AND usage_start < DATE '{}'", self.first, self.next)
    }
}

enum Failure {
    /// Worth another look: another writer may have done it.
    InTheWay(PostgresError),
    /// The table was not free.
    InUse,
    Other(PostgresError),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Failure::Other(error.into())
    }
}

/// Whether some partition, of any name but the default one, holds `date`: PostgreSQL evaluates the
/// partitions' own constraints, so no bound has to be parsed here.
fn covered(
    client: &mut impl GenericClient,
    target: &Target,
    date: NaiveDate,
) -> Result<bool, postgres::Error> {
    let constraint: Option<String> = client
        .query_one(
            "SELECT string_agg('(' || pg_get_partition_constraintdef(i.inhrelid) || ')', ' OR ') \
             FROM pg_catalog.pg_inherits i \
             JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent \
             WHERE i.inhparent = $1 AND i.inhrelid <> p.partdefid",
            &[&target.oid],
        )?
        .try_get(0)?;
    let Some(constraint) = constraint else { return Ok(false) };
    client
        .query_one(
            &format!("SELECT {constraint} FROM (SELECT DATE '{date}' AS usage_start) d"),
            &[],
        )?
        .try_get(0)
}

/// [`covered`], outside of a transaction. A partition that another run replaces in bulk may be gone
/// between its name and its bounds.
fn look(client: &mut Client, target: &Target, date: NaiveDate) -> Result<bool, DatabaseError> {
    let mut attempt = 1;
    loop {
        match covered(client, target, date) {
            Err(error) if error.code() == Some(&SqlState::INTERNAL_ERROR) && attempt < ATTEMPTS => {
                attempt += 1;
            }
            read => {
                return read.map_err(|source| {
                    let step = format!("reading the partitions of {}", target.table);
                    DatabaseError::querying(step, source)
                });
            }
        }
    }
}

fn create(
    client: &mut Client,
    target: &Target,
    month: &Month,
    date: NaiveDate,
) -> Result<(), Failure> {
    let refused = |source: postgres::Error| {
        if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            return Failure::InUse;
        }
        let race = matches!(
            source.code(),
            Some(
                // The name is taken; a partition is gone that was just there; the bounds overlap;
                // the row is there; a deadlock.
                &SqlState::DUPLICATE_TABLE
                    | &SqlState::INTERNAL_ERROR
                    | &SqlState::INVALID_OBJECT_DEFINITION
                    | &SqlState::UNIQUE_VIOLATION
                    | &SqlState::T_R_DEADLOCK_DETECTED
            )
        );
        let taken = source.code() == Some(&SqlState::DUPLICATE_TABLE);
        let error = if taken {
            taken_error(target, month, date)
        } else {
            let step = format!("the creation of partition {}", month.name);
            DatabaseError::querying(step, source).into()
        };
        if race { Failure::InTheWay(error) } else { Failure::Other(error) }
    };
    let mut transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .map_err(refused)?;
    let registry = lock(&mut transaction, target).map_err(refused)?;
    // Whoever held the locks before may have made it.
    if covered(&mut transaction, target, date).map_err(refused)? {
        return Ok(());
    }
    let moved = take_from_default(&mut transaction, target, month).map_err(refused)?;
    let made = match registry {
        Some(registry) => register(&mut transaction, target, &registry, month).map_err(refused)?,
        None => attach(&mut transaction, target, month).map_err(refused).map(|()| true)?,
    };
    if !made {
        return Err(Failure::Other(taken_error(target, month, date)));
    }
    if !covered(&mut transaction, target, date).map_err(refused)? {
        let (table, name) = (target.table.clone(), month.name.clone());
        return Err(Failure::Other(PostgresError::PartitionNotMade { table, name, date }));
    }
    if moved {
        put_back(&mut transaction, target).map_err(refused)?;
    }
    transaction.commit().map_err(refused)?;
    tracing::info!(partition = %month.name, "made a partition");
    Ok(())
}

fn taken_error(target: &Target, month: &Month, date: NaiveDate) -> PostgresError {
    let (table, name) = (target.table.clone(), month.name.clone());
    PostgresError::PartitionTaken { table, name, date }
}

/// Takes, in one order always, what a creation locks anyway: rows moved before the table is locked
/// would deadlock with a day that deletes them. Returns `partitioned_tables`, where it exists.
fn lock(
    transaction: &mut Transaction<'_>,
    target: &Target,
) -> Result<Option<String>, postgres::Error> {
    let key = format!("partitions of {}", target.table);
    transaction.batch_execute(&format!("SET LOCAL lock_timeout TO '{AT_A_TIME}'"))?;
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&key])?;
    let registry = qualify(&target.schema, "partitioned_tables");
    let exists: bool = transaction
        .query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&registry])?
        .try_get(0)?;
    if exists {
        transaction.batch_execute(&format!("LOCK TABLE {registry} IN SHARE ROW EXCLUSIVE MODE"))?;
    }
    transaction
        .batch_execute(&format!("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE", target.table))?;
    if let Some(default) = default_partition(transaction, target)? {
        transaction.batch_execute(&format!("LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"))?;
    }
    Ok(exists.then_some(registry))
}

/// The default partition, qualified and quoted.
fn default_partition(
    transaction: &mut Transaction<'_>,
    target: &Target,
) -> Result<Option<String>, postgres::Error> {
    let row = transaction.query_opt(
        "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_partitioned_table p \
         JOIN pg_catalog.pg_class c ON c.oid = p.partdefid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.partrelid = $1",
        &[&target.oid],
    )?;
    row.map(|row| {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(qualify(&schema, &name))
    })
    .transpose()
}

/// Moves the month's rows aside: PostgreSQL makes no partition for rows that the default one
/// holds. They are read through the parent, whose column order the way back has too.
fn take_from_default(
    transaction: &mut Transaction<'_>,
    target: &Target,
    month: &Month,
) -> Result<bool, postgres::Error> {
    let Target { table, .. } = target;
    let condition = month.condition();
    let held = transaction
        .query_opt(&format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1"), &[])?
        .is_some();
    if held {
        transaction.batch_execute(&format!(
            "CREATE TEMPORARY TABLE {MOVED} ON COMMIT DROP AS \
             SELECT * FROM {table} WHERE {condition}; \
             DELETE FROM {table} WHERE {condition}"
        ))?;
    }
    Ok(held)
}

fn put_back(transaction: &mut Transaction<'_>, target: &Target) -> Result<(), postgres::Error> {
    let table = &target.table;
    let rows = transaction.execute(&format!("INSERT INTO {table} SELECT * FROM {MOVED}"), &[])?;
    tracing::info!(rows, "moved rows out of the default partition");
    Ok(())
}

/// Has the trigger of `partitioned_tables` make the partition, so that Koku's retention finds it.
/// `false` if the partition is listed already.
fn register(
    transaction: &mut Transaction<'_>,
    target: &Target,
    registry: &str,
    month: &Month,
) -> Result<bool, postgres::Error> {
    let parameters =
        format!(r#"{{"default": false, "from": "{}", "to": "{}"}}"#, month.first, month.next);
    let rows = transaction.execute(
        &format!(
            "INSERT INTO {registry} (schema_name, table_name, partition_of_table_name, \
             partition_type, partition_col, partition_parameters, active) \
             VALUES ($1, $2, $3, 'range', 'usage_start', $4::text::jsonb, true) \
             ON CONFLICT DO NOTHING"
        ),
        &[&target.schema, &month.name, &TABLE, &parameters],
    )?;
    Ok(rows == 1)
}

fn attach(
    transaction: &mut Transaction<'_>,
    target: &Target,
    month: &Month,
) -> Result<(), postgres::Error> {
    transaction.batch_execute(&format!(
        "CREATE TABLE {}.{} PARTITION OF {} FOR VALUES FROM ('{}') TO ('{}')",
        quote_identifier(&target.schema),
        quote_identifier(&month.name),
        target.table,
        month.first,
        month.next,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let month = Month::of(NaiveDate::from_ymd_opt(2025, 12, 31).unwrap());
        assert_eq!(month.name, "reporting_ocpusagelineitem_daily_summary_2025_12");
        assert_eq!(
            month.condition(),
            "usage_start >= DATE '2025-12-01' AND usage_start < DATE '2026-01-01'"
        );
    }
}
