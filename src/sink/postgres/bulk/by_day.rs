//! A month that was loaded but cannot be put in place as a whole: its days go over one by one.

use std::sync::atomic::AtomicBool;

use postgres::Client;

use super::choice::DayOfRun;
use super::load::{Load, condition};
use crate::database::DatabaseError;
use crate::sink::postgres::target::Target;
use crate::sink::postgres::{PostgresError, check, day, partitions};

/// Replaces each day of the month by its rows in the new table, each in a transaction of its own.
pub(super) fn replace(
    client: &mut Client,
    target: &Target,
    load: &Load,
    interrupted: &AtomicBool,
) -> Result<(), PostgresError> {
    for &day in &load.days {
        check(interrupted, day.date)?;
        partitions::ensure(client, target, day.date)?;
        day::begin(client, day.date)?;
        let replaced = replace_day(client, target, load, day, interrupted);
        if replaced.is_err()
            && let Err(error) = client.batch_execute("ROLLBACK")
        {
            tracing::debug!(date = %day.date, "could not roll back: {error}");
        }
        replaced?;
    }
    Ok(())
}

fn replace_day(
    client: &mut Client,
    target: &Target,
    load: &Load,
    day: DayOfRun,
    interrupted: &AtomicBool,
) -> Result<(), PostgresError> {
    let DayOfRun { date, report_period_id, source_uuid } = day;
    day::lock(client, source_uuid, date)?;
    let deleted = day::delete(client, target, date, report_period_id)?;
    let insert = format!(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM ONLY {loaded} WHERE {rows}",
        table = target.table,
        columns = target.column_list(),
        loaded = load.table(),
        rows = condition(day),
    );
    let kept = client.execute(&insert, &[]).map_err(|source| {
        DatabaseError::querying(format!("moving the rows of {date} into the table"), source)
    })?;
    let sent = load.rows_of(day);
    if kept != sent {
        let table = target.table.clone();
        return Err(PostgresError::RowsDropped { table, date, sent, kept });
    }
    check(interrupted, date)?;
    tracing::debug!(%date, deleted, rows = kept, "moved a day");
    day::commit(client, date)
}
