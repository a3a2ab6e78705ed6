//! A month that was loaded but cannot be put in place as a whole: its days go over one by one.

use postgres::Client;

use super::Bulk;
use super::choice::DayOfRun;
use super::load::{Load, LoadedDay, condition};
use crate::database::{DatabaseError, lock};
use crate::sink::postgres::{PostgresError, check, day, partitions};

/// Replaces each day of the month by its rows in the new table, each in a transaction of its own.
pub(super) fn replace(client: &mut Client, bulk: &Bulk, load: &Load) -> Result<(), PostgresError> {
    for (day, loaded) in load.loaded() {
        let (date, wait) = (day.date, bulk.session.lock_wait);
        check(&bulk.interrupted, date)?;
        partitions::ensure(client, &bulk.target, date, wait, &bulk.interrupted)?;
        day::begin(client, date)?;
        let replaced = replace_day(client, bulk, load, day, &loaded);
        if replaced.is_err()
            && let Err(error) = client.batch_execute("ROLLBACK")
        {
            tracing::debug!(%date, "could not roll back: {error}");
        }
        replaced?;
    }
    Ok(())
}

fn replace_day(
    client: &mut Client,
    bulk: &Bulk,
    load: &Load,
    day: DayOfRun,
    loaded: &LoadedDay,
) -> Result<(), PostgresError> {
    let DayOfRun { date, report_period_id, source_uuid } = day;
    let target = &bulk.target;
    lock::day(client, source_uuid, date, &bulk.session)?;
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
    let sent = loaded.rows.total();
    if kept != sent {
        let table = target.table.clone();
        return Err(PostgresError::RowsDropped { table, date, sent, kept });
    }
    if let Some(recorder) = &bulk.recorder {
        recorder.written(client, &loaded.meta, report_period_id, loaded.rows)?;
    }
    check(&bulk.interrupted, date)?;
    tracing::debug!(%date, deleted, rows = kept, "moved a day");
    day::commit(client, date)
}
