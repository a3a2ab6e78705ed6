//! The new table takes the place of a month's partition, in one short transaction.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, Transaction};

use super::indexes::Later;
use super::load::{Load, LoadedDay};
use super::partition::{Partition, description, difference, oid_of};
use super::staging::BOUNDS;
use super::{Bulk, Failure, transaction};
use crate::database::{DatabaseError, quote_identifier};
use crate::sink::postgres::target::Target;
use crate::sink::postgres::{PostgresError, check, failpoint};

/// How often the swap is tried while others keep the table from it.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
/// How long other writers may keep the table from the swap, which does not keep readers waiting.
const WAIT_FOR_WRITERS: &str = "30s";
/// How long readers may, while all who come later wait behind the swap.
const WAIT_FOR_READERS: &str = "1s";
/// How long transactions that began before the load was complete are waited for.
const WAIT_FOR_SNAPSHOTS: u32 = 30;

/// Whether something else than the swap was the cause.
enum Try {
    /// The table was in use.
    Busy(String),
    Failed(Failure),
}

impl From<Failure> for Try {
    fn from(failure: Failure) -> Self {
        Try::Failed(failure)
    }
}

/// Puts the new table in the partition's place.
///
/// # Errors
/// Where the partition holds, or has, what the new table does not; where it is in use for too
/// long. Nothing has changed then.
pub(super) fn swap(
    client: &mut Client,
    bulk: &Bulk,
    load: &Load,
    later: &Later,
) -> Result<(), Failure> {
    let interrupted = &bulk.interrupted;
    wait_for_snapshots(client, load, interrupted)?;
    let mut attempt = 1;
    loop {
        match try_swap(client, bulk, load, later) {
            Ok(()) => return Ok(()),
            Err(Try::Failed(failure)) => return Err(failure),
            Err(Try::Busy(reason)) if attempt == ATTEMPTS => {
                return Err(Failure::NotPossible(format!("the table is in use: {reason}")));
            }
            Err(Try::Busy(reason)) => {
                tracing::debug!(attempt, "could not put a month in place yet: {reason}");
                std::thread::sleep(PAUSE);
                check(interrupted, load.month.first).map_err(Failure::Fatal)?;
                attempt += 1;
            }
        }
    }
}

/// Waits until no transaction is left that began to read before the load was complete: one that
/// keeps reading by its snapshot would see part of the month after the swap.
fn wait_for_snapshots(
    client: &mut Client,
    load: &Load,
    interrupted: &AtomicBool,
) -> Result<(), Failure> {
    let refused = Failure::of("looking for transactions that are older than the load");
    let row = client.query_one("SELECT txid_snapshot_xmax(txid_current_snapshot())", &[]);
    let horizon: i64 = row.and_then(|row| row.try_get(0)).map_err(&refused)?;
    for _ in 0..WAIT_FOR_SNAPSHOTS {
        let older: i64 = client
            .query_one(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND backend_type = 'client backend' \
                   AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL \
                   AND age(backend_xmin) > age(($1::int8 % 4294967296)::text::xid)",
                &[&horizon],
            )
            .and_then(|row| row.try_get(0))
            .map_err(&refused)?;
        if older == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
        check(interrupted, load.month.first).map_err(Failure::Fatal)?;
    }
    Err(Failure::NotPossible("a transaction that is older than the load goes on".to_owned()))
}

fn try_swap(client: &mut Client, bulk: &Bulk, load: &Load, later: &Later) -> Result<(), Try> {
    let month = load.month.first;
    let mut transaction =
        transaction(client).map_err(refused("beginning to put a month in place"))?;
    lock(&mut transaction, &bulk.target, load)?;
    put_in_place(&mut transaction, &bulk.target, load, later)
        .map_err(refused("putting a month in place"))??;
    if let Some(recorder) = &bulk.recorder {
        for (day, LoadedDay { meta, rows }) in load.loaded() {
            recorder
                .written(&mut transaction, &meta, day.report_period_id, rows)
                .map_err(Failure::from)?;
        }
    }
    failpoint("sink.postgres.bulk.before_swap", month).map_err(Failure::Fatal)?;
    check(&bulk.interrupted, month).map_err(Failure::Fatal)?;
    let committed = transaction.commit();
    committed.map_err(|source| {
        match DatabaseError::querying(format!("committing the month of {month}"), source) {
            source @ DatabaseError::ConnectionLost { .. } => {
                Failure::Fatal(PostgresError::MonthCommitUnknown { month, source })
            }
            refused => Failure::from(refused),
        }
    })?;
    failpoint("sink.postgres.bulk.after_swap", month).map_err(Failure::Fatal)?;
    Ok(())
}

fn refused(step: &'static str) -> impl Fn(postgres::Error) -> Try {
    move |source| match source.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED) => {
            Try::Busy(source.as_db_error().map_or_else(String::new, |e| e.message().to_owned()))
        }
        _ => Try::Failed(Failure::of(step)(source)),
    }
}

/// Takes the locks: of the sources, then against writers, and once nothing stands against the swap
/// also against readers.
fn lock(transaction: &mut Transaction<'_>, target: &Target, load: &Load) -> Result<(), Try> {
    let waiting = refused("waiting for the locks of a month");
    transaction
        .batch_execute(&format!("SET LOCAL lock_timeout = '{WAIT_FOR_WRITERS}'"))
        .map_err(&waiting)?;
    for source in load.sources() {
        transaction
            .execute("SELECT pg_advisory_xact_lock(hashtext($1))", &[&source.to_string()])
            .map_err(&waiting)?;
    }
    transaction
        .batch_execute(&format!(
            "LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE; \
             LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE",
            target.table, load.partition.table,
        ))
        .map_err(&waiting)?;
    let partition = Partition::find(transaction, target, &load.month)?;
    if (partition.oid, &partition.name) != (load.partition.oid, &load.partition.name) {
        let name = &load.partition.name;
        return Err(Failure::NotPossible(format!("{name} was replaced meanwhile")).into());
    }
    if let Some(row) = partition.foreign_row(transaction, target, &load.days)? {
        return Err(Failure::NotPossible(row).into());
    }
    transaction
        .batch_execute(&format!(
            "SET LOCAL lock_timeout = '{WAIT_FOR_READERS}'; \
             LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE",
            target.table,
        ))
        .map_err(&waiting)
}

/// Has the new table be all that the partition was.
fn put_in_place(
    transaction: &mut Transaction<'_>,
    target: &Target,
    load: &Load,
    later: &Later,
) -> Result<Result<(), Failure>, postgres::Error> {
    let (parent, old) = (&target.table, &load.partition);
    let new_oid = oid_of(transaction, load)?;
    let before = description(transaction, old.oid)?;
    let row = transaction.query_one(
        "SELECT quote_literal(obj_description($1, 'pg_class')), relreplident::text \
         FROM pg_class WHERE oid = $1",
        &[&old.oid],
    )?;
    let (comment, identity): (Option<String>, String) = (row.try_get(0)?, row.try_get(1)?);
    let (new, name) = (&old.table, quote_identifier(&old.name));
    let mut statements = vec![
        format!("ALTER TABLE {parent} DETACH PARTITION {new}"),
        format!("DROP TABLE {new}"),
        format!("ALTER TABLE {} RENAME TO {name}", load.table()),
        old.final_options(new),
        format!("COMMENT ON TABLE {new} IS {}", comment.as_deref().unwrap_or("NULL")),
    ];
    let schema = quote_identifier(&target.schema);
    for index in &later.indexes {
        let (name, temporary) = (&index.name, &index.temporary_name);
        statements.push(match &index.constraint {
            Some(kind) => {
                format!("ALTER TABLE {new} ADD CONSTRAINT {name} {kind} USING INDEX {temporary}")
            }
            None => format!("ALTER INDEX {schema}.{temporary} RENAME TO {name}"),
        });
        if index.is_replica_identity {
            statements.push(format!("ALTER TABLE {new} REPLICA IDENTITY USING INDEX {name}"));
        }
    }
    match identity.as_str() {
        "f" => statements.push(format!("ALTER TABLE {new} REPLICA IDENTITY FULL")),
        "n" => statements.push(format!("ALTER TABLE {new} REPLICA IDENTITY NOTHING")),
        _ => {}
    }
    statements.push(format!(
        "ALTER TABLE {parent} ATTACH PARTITION {new} FOR VALUES FROM ('{}') TO ('{}')",
        load.month.first, load.month.next
    ));
    statements.push(format!("ALTER TABLE {new} DROP CONSTRAINT {BOUNDS}"));
    transaction.batch_execute(&statements.join("; "))?;
    let after = description(transaction, new_oid)?;
    if let Some(what) = difference(&before, &after) {
        let reason = format!("the new table would differ from {} in its {what}", old.name);
        return Ok(Err(Failure::NotPossible(reason)));
    }
    Ok(Ok(()))
}
