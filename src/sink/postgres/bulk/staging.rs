//! The new table of a month: made, told from all others, removed.

use postgres::error::SqlState;
use postgres::{Client, Transaction};
use uuid::Uuid;

use super::partition::Partition;
use super::{Failure, transaction};
use crate::database::{DatabaseError, qualify, quote_identifier};
use crate::sink::postgres::PostgresError;
use crate::sink::postgres::partitions::Month;
use crate::sink::postgres::target::Target;

/// What names of new tables begin with; year, month and a random number follow.
const PREFIX: &str = "ocp_rollup_bulk_";
const NAME: &str = "^ocp_rollup_bulk_[0-9]{4}_[0-9]{2}_[0-9a-f]{32}$";
/// The comment that a new table bears until it is a partition.
const MARK: &str = "ocp-rollup: a month that is being loaded, no partition yet; a run that died \
                    leaves it, and the next one removes it";
/// First half of the advisory lock that the run which loads a table holds.
const LOCK_CLASS: i32 = 0x6f63_7031;
/// The bounds of the month, so that attaching need not look at the rows.
pub(super) const BOUNDS: &str = "ocp_rollup_bulk_bounds";
/// How often a removal is tried: an interrupted run has its statements cancelled again and again.
const ATTEMPTS: u32 = 20;

/// A table that is to become a partition.
pub(super) struct Staging {
    pub name: String,
    /// Qualified and quoted.
    pub table: String,
}

impl Staging {
    /// Makes a table like `partition`, but for its indexes and foreign keys. The session of
    /// `client` holds a lock that tells the table from one that was left behind.
    pub fn create(
        client: &mut Client,
        target: &Target,
        month: &Month,
        partition: &Partition,
    ) -> Result<Self, Failure> {
        let name =
            format!("{PREFIX}{}_{}", month.first.format("%Y_%m"), Uuid::new_v4().as_simple());
        let staging = Staging { table: qualify(&target.schema, &name), name };
        let refused = Failure::of("making a table for a month");
        // Before others can see the table.
        client
            .execute("SELECT pg_advisory_lock($1, hashtext($2))", &[&LOCK_CLASS, &staging.table])
            .map_err(&refused)?;
        let made = staging.make(client, month, partition);
        if made.is_err() {
            staging.unlock(client);
        }
        made.map_err(refused)?;
        Ok(staging)
    }

    fn make(
        &self,
        client: &mut Client,
        month: &Month,
        partition: &Partition,
    ) -> Result<(), postgres::Error> {
        let mut transaction = transaction(client)?;
        transaction.batch_execute(&format!(
            "CREATE TABLE {table} (LIKE {like} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS, \
             CONSTRAINT {BOUNDS} CHECK ({bounds})) WITH ({options}); \
             COMMENT ON TABLE {table} IS '{MARK}'",
            table = self.table,
            like = partition.table,
            bounds = month.condition(),
            options = partition.options_while_loading(),
        ))?;
        for statement in likeness(&mut transaction, partition, &self.table)? {
            transaction.batch_execute(&statement)?;
        }
        transaction.commit()
    }

    /// Drops the table. Where that fails, the next run does.
    pub fn remove(&self, client: &mut Client) {
        for _ in 0..ATTEMPTS {
            match self.drop(client) {
                Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {}
                Ok(()) => return self.unlock(client),
                Err(error) => {
                    tracing::debug!("could not drop {}: {error}", self.table);
                    break;
                }
            }
        }
        tracing::warn!(table = %self.name, "left a table behind; the next run removes it");
    }

    fn drop(&self, client: &mut Client) -> Result<(), postgres::Error> {
        let mut transaction = transaction(client)?;
        transaction.batch_execute(&format!(
            "SET LOCAL lock_timeout = '5s'; DROP TABLE IF EXISTS {}",
            self.table
        ))?;
        transaction.commit()
    }

    /// Lets go of the lock that [`Staging::create`] took.
    pub fn unlock(&self, client: &mut Client) {
        let unlock = "SELECT pg_advisory_unlock($1, hashtext($2))";
        // Where this fails the session is gone, and its locks with it.
        let _ = client.execute(unlock, &[&LOCK_CLASS, &self.table]);
    }
}

/// Statements that give `table` the owner, privileges and column settings of `partition`, which
/// `LIKE` does not copy.
fn likeness(
    transaction: &mut Transaction<'_>,
    partition: &Partition,
    table: &str,
) -> Result<Vec<String>, postgres::Error> {
    let rows = transaction.query(
        "WITH old AS (SELECT * FROM pg_class WHERE oid = $1), \
              new AS (SELECT * FROM pg_class WHERE oid = $2::text::regclass), \
              columns AS (SELECT * FROM pg_attribute \
                          WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped) \
         SELECT 1 AS rank, format('REVOKE ALL ON TABLE %s FROM %s', $2::text, \
                    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) \
         FROM (SELECT DISTINCT grantee FROM new, aclexplode(new.relacl)) granted \
         UNION ALL \
         SELECT 2, format('ALTER TABLE %s OWNER TO %I', $2::text, pg_get_userbyid(old.relowner)) \
         FROM old, new WHERE old.relowner <> new.relowner \
         UNION ALL \
         SELECT 3, format('GRANT %s ON TABLE %s TO %s%s', privilege_type, $2::text, \
                    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
                    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
         FROM old, aclexplode(coalesce(old.relacl, acldefault('r', old.relowner))) \
         UNION ALL \
         SELECT 4, format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, attname, $2::text, \
                    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
                    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
         FROM columns, aclexplode(attacl) \
         UNION ALL \
         SELECT 5, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', $2::text, attname, \
                          attstattarget) \
         FROM columns WHERE attstattarget >= 0 \
         UNION ALL \
         SELECT 6, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', $2::text, attname, \
                          string_agg(option, ', ')) \
         FROM columns, unnest(attoptions) option \
         WHERE NOT starts_with(option, 'pg_') GROUP BY attname \
         ORDER BY rank",
        &[&partition.oid, &table],
    )?;
    rows.iter().map(|row| row.try_get(1)).collect()
}

/// Drops tables of months that runs which died left behind. A table of a run that is alive is
/// locked by it, and one that became a partition bears neither name nor mark any more.
///
/// # Errors
/// The tables cannot be looked for. One that cannot be dropped is left with a warning.
pub(in crate::sink::postgres) fn remove_orphans(
    client: &mut Client,
    target: &Target,
) -> Result<(), PostgresError> {
    let looking = |source| DatabaseError::querying("looking for tables of runs that died", source);
    let names: Vec<String> = client
        .query(
            "SELECT c.relname::text FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname ~ $2 AND c.relkind = 'r' \
               AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') = $3 \
               AND pg_has_role(c.relowner, 'USAGE')",
            &[&target.schema, &NAME, &MARK],
        )
        .and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
        .map_err(looking)?;
    for name in names {
        let table = qualify(&target.schema, &name);
        let orphaned: bool = client
            .query_one("SELECT pg_try_advisory_lock($1, hashtext($2))", &[&LOCK_CLASS, &table])
            .and_then(|row| row.try_get(0))
            .map_err(looking)?;
        if !orphaned {
            continue;
        }
        let staging = Staging { name, table };
        tracing::info!(table = %staging.name, "removing a table that a run which died left");
        staging.remove(client);
    }
    Ok(())
}

/// The name of one of the new table's indexes while it is built.
pub(super) fn index_name(staging: &Staging, number: usize) -> String {
    // With the prefix and the random number it is as long as a name may be.
    quote_identifier(&format!("{}_{number}", staging.name))
}
