//! What a day's transaction does beside its rows: begin, delete, commit.

use chrono::NaiveDate;
use postgres::Client;

use super::PostgresError;
use super::target::Target;
use crate::database::DatabaseError;

/// Begins a transaction. Read committed whatever the database's default: rows another run
/// committed while this one waited for a lock must be seen, to be deleted. And where commits are
/// not waited for, a server that dies would take a day back that was reported as done.
pub(super) fn begin(client: &mut Client, date: NaiveDate) -> Result<(), DatabaseError> {
    client
        .batch_execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED; \
             SELECT set_config('synchronous_commit', 'on', true) \
             WHERE current_setting('synchronous_commit') = 'off'",
        )
        .map_err(|source| DatabaseError::querying(format!("beginning {date}"), source))
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
