//! What a day's transaction does beside its rows: begin, lock, delete; commit.

use chrono::NaiveDate;
use postgres::Client;
use uuid::Uuid;

use super::PostgresError;
use super::target::Target;
use crate::database::DatabaseError;

/// Begins a transaction. Read committed whatever the database's default: rows another run
/// committed while this one waited for a lock must be seen, to be deleted.
pub(super) fn begin(client: &mut Client, date: NaiveDate) -> Result<(), DatabaseError> {
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        .map_err(|source| DatabaseError::querying(format!("beginning {date}"), source))
}

/// Takes the lock of the source, which Koku's own tasks take whole, shared with other days of the
/// source, and the lock of the day for this transaction alone.
pub(super) fn lock(
    client: &mut Client,
    source_uuid: Uuid,
    date: NaiveDate,
) -> Result<(), DatabaseError> {
    client
        .execute(
            "SELECT pg_advisory_xact_lock_shared(hashtext($1)), \
                    pg_advisory_xact_lock(hashtext($1), $2::text::date - DATE '1970-01-01')",
            &[&source_uuid.to_string(), &date.to_string()],
        )
        .map(|_| ())
        .map_err(|source| {
            DatabaseError::querying(format!("waiting for the lock of {source_uuid}"), source)
        })
}

/// Deletes what the new rows of a day replace, and says how many rows that were.
pub(super) fn delete(
    client: &mut Client,
    target: &Target,
    date: NaiveDate,
    period: i32,
) -> Result<u64, DatabaseError> {
    // The date stands in the text so that only its partition is planned for and locked.
    let mut delete = format!(
        "DELETE FROM {} WHERE usage_start = DATE '{date}' AND report_period_id = $1",
        target.table
    );
    if target.has_raw_cost {
        delete.push_str(" AND (infrastructure_raw_cost IS NULL OR infrastructure_raw_cost = 0)");
    }
    client.execute(&delete, &[&period]).map_err(|source| {
        DatabaseError::querying(format!("deleting the old rows of {date}"), source)
    })
}

/// Commits a day.
pub(super) fn commit(client: &mut Client, date: NaiveDate) -> Result<(), PostgresError> {
    client.batch_execute("COMMIT").map_err(|source| {
        match DatabaseError::querying(format!("committing {date}"), source) {
            source @ DatabaseError::ConnectionLost { .. } => {
                PostgresError::CommitUnknown { date, source }
            }
            refused => refused.into(),
        }
    })
}
