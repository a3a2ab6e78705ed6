//! The right to replace a day of a source.
//!
//! Koku's own convention for writers of a source is an advisory lock on `hashtext` of its uuid. A
//! day takes that lock shared, so that it waits for such a writer and such a writer for it, and
//! one of its own, exclusively: of two runs that replace one day the second waits, while
//! other days of the source go on.

use std::fmt;
use std::time::Duration;

use chrono::NaiveDate;
use postgres::error::SqlState;
use postgres::{Client, Row};
use uuid::Uuid;

use super::{DatabaseError, milliseconds};
use crate::decode::times::day_number;
use crate::settings::Session;

/// Takes the locks of a day for the rest of the transaction that `client` is in. While another
/// has them it says who.
///
/// # Errors
/// [`DatabaseError::Locked`] if `session.lock_wait` runs out, the transaction then rolled back;
/// what PostgreSQL refuses.
pub(crate) fn day(
    client: &mut Client,
    source: Uuid,
    date: NaiveDate,
    session: &Session,
) -> Result<(), DatabaseError> {
    let key = source.to_string();
    // Dates of the calendar here are some hundred million days at most.
    let number = day_number(date) as i32;
    let step = || format!("waiting for the lock of {date} of source {source}");
    let refused = |error| DatabaseError::querying(step(), error);
    // In this order always, or two writers could wait for each other.
    let free: bool = client
        .query_one(
            "SELECT CASE WHEN pg_try_advisory_xact_lock_shared(hashtext($1)) \
             THEN pg_try_advisory_xact_lock(hashtext($1), $2) ELSE false END",
            &[&key, &number],
        )
        .and_then(|row| row.try_get(0))
        .map_err(refused)?;
    if free {
        return Ok(());
    }
    let holders = holders(client, &key, number).map_err(refused)?;
    tracing::info!(%source, %date, "waiting for another writer of {date}: {holders}");
    client
        .batch_execute(&limits(Some(session.lock_wait), Some(Duration::ZERO)))
        .map_err(refused)?;
    let waited =
        client.execute("SELECT pg_advisory_xact_lock_shared(hashtext($1))", &[&key]).and_then(
            |_| client.execute("SELECT pg_advisory_xact_lock(hashtext($1), $2)", &[&key, &number]),
        );
    match waited {
        Ok(_) => client
            .batch_execute(&limits(session.lock_timeout, session.statement_timeout))
            .map_err(refused),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            client.batch_execute("ROLLBACK").map_err(refused)?;
            let holders = self::holders(client, &key, number).map_err(refused)?;
            Err(DatabaseError::Locked {
                source_uuid: source,
                date,
                waited: session.lock_wait,
                holders: holders.to_string(),
            })
        }
        Err(error) => Err(refused(error)),
    }
}

/// Sets both timeouts for the rest of the transaction; `None` is what the server says.
fn limits(lock: Option<Duration>, statement: Option<Duration>) -> String {
    let text = |time: Option<Duration>| time.map_or("DEFAULT".to_owned(), milliseconds);
    format!(
        "SET LOCAL lock_timeout TO {}; SET LOCAL statement_timeout TO {}",
        text(lock),
        text(statement)
    )
}

/// Who has the locks that a day waits for.
struct Holders(Vec<String>);

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => f.write_str("it has just gone"),
            holders => f.write_str(&holders.join("; ")),
        }
    }
}

fn holders(client: &mut Client, key: &str, day: i32) -> Result<Holders, postgres::Error> {
    // Of a lock by one bigint the halves stand in classid and objid, and objsubid is 1; by two
    // integers they stand there one by one, and it is 2. What others hide is null.
    let rows = client.query(
        "SELECT DISTINCT l.pid, a.application_name::text, a.usename::text, \
                CASE WHEN a.client_port = -1 THEN 'a local socket' \
                     ELSE host(a.client_addr) || ' port ' || a.client_port END, \
                to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), a.state::text \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database \
                             WHERE datname = current_database()) \
           AND ((l.objsubid = 1 AND l.mode = 'ExclusiveLock' \
                 AND (l.classid::int8 << 32 | l.objid::int8) = hashtext($1)::int8) \
             OR (l.objsubid = 2 AND l.classid::int8 = hashtext($1)::int8 & 4294967295 \
                 AND l.objid::int8 = $2::int4::int8 & 4294967295)) \
         ORDER BY l.pid",
        &[&key, &day],
    )?;
    rows.iter().map(holder).collect::<Result<_, _>>().map(Holders)
}

fn holder(row: &Row) -> Result<String, postgres::Error> {
    let pid: i32 = row.try_get(0)?;
    let text = |column: usize| row.try_get::<_, Option<String>>(column);
    let shown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    Ok(format!(
        "pid {pid}, application `{}`, user {}, from {}, in its transaction since {} UTC, {}",
        shown(text(1)?),
        shown(text(2)?),
        shown(text(3)?),
        shown(text(4)?),
        shown(text(5)?)
    ))
}
