//! Indexes and foreign keys of a new table, made when its rows are in.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use postgres::{Client, Row};

use super::load::Load;
use super::staging::index_name;
use super::{Failure, transaction};
use crate::database::quote_identifier;
use crate::sink::postgres::connections::Connections;

/// What the server may take to sort for all indexes that are built at once.
const MAINTENANCE_MIB: usize = 256;

/// What a new table gets after its rows.
pub(super) struct Later {
    pub indexes: Vec<Index>,
    /// Names, quoted, and definitions.
    pub foreign_keys: Vec<(String, String)>,
}

/// An index of the partition, and its likeness on the new table.
pub(super) struct Index {
    /// Quoted, as on the partition.
    pub name: String,
    /// Quoted, as on the new table until the swap.
    pub temporary_name: String,
    /// `PRIMARY KEY` or `UNIQUE` where it belongs to a constraint of its name.
    pub constraint: Option<String>,
    pub is_replica_identity: bool,
    create: String,
}

impl Later {
    /// Reads what the partition has. Those that take longest to build come first.
    pub fn read(client: &mut Client, load: &Load) -> Result<Self, Failure> {
        let refused = Failure::of("reading the indexes of the month's partition");
        let mut transaction = transaction(client).map_err(&refused)?;
        let indexes = transaction.query(INDEXES, &[&load.partition.oid]).map_err(&refused)?;
        let foreign_keys =
            transaction.query(FOREIGN_KEYS, &[&load.partition.oid]).map_err(&refused)?;
        let mut later = Later { indexes: Vec::new(), foreign_keys: Vec::new() };
        for (number, row) in indexes.iter().enumerate() {
            later.indexes.push(Index::of(row, number, load).map_err(&refused)?);
        }
        for row in &foreign_keys {
            let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
            later.foreign_keys.push(read(row).map_err(&refused)?);
        }
        Ok(later)
    }

    /// Builds the indexes by this and `others` further connections, then adds the foreign keys and
    /// has the table analyzed.
    pub fn make(
        &self,
        client: &mut Client,
        load: &Load,
        connections: &Connections,
        others: usize,
    ) -> Result<(), Failure> {
        let queue: Mutex<VecDeque<&Index>> = Mutex::new(self.indexes.iter().collect());
        let builders = others.min(self.indexes.len().saturating_sub(1)) + 1;
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let give_up = || queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let build = |client: &mut Client| -> Result<(), Failure> {
            while let Some(index) = next() {
                index.build(client, builders).inspect_err(|_| give_up())?;
            }
            Ok(())
        };
        std::thread::scope(|threads| {
            let helpers: Vec<_> = (1..builders)
                .map(|_| {
                    threads.spawn(|| match connections.take() {
                        Ok(mut client) => {
                            let built = build(&mut client);
                            connections.give_back(client);
                            built
                        }
                        // The others build what this would have.
                        Err(error) => {
                            tracing::debug!("one connection fewer to build indexes: {error}");
                            Ok(())
                        }
                    })
                })
                .collect();
            let mut built = build(client);
            for helper in helpers {
                match helper.join() {
                    Ok(result) => built = built.and(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            built
        })?;
        self.finish(client, load)
    }

    fn finish(&self, client: &mut Client, load: &Load) -> Result<(), Failure> {
        let table = load.table();
        for (name, definition) in &self.foreign_keys {
            let refused = Failure::of("adding a foreign key to the new table");
            let mut transaction = transaction(client).map_err(&refused)?;
            // Not valid at first: the table referred to is locked only for a moment so.
            transaction
                .batch_execute(&format!(
                    "SET LOCAL lock_timeout = '10s'; \
                     ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID"
                ))
                .map_err(&refused)?;
            transaction.commit().map_err(&refused)?;
            client
                .batch_execute(&format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))
                .map_err(&refused)?;
        }
        client
            .batch_execute(&format!("ANALYZE {table}"))
            .map_err(Failure::of("analyzing the new table"))
    }
}

impl Index {
    fn of(row: &Row, number: usize, load: &Load) -> Result<Self, postgres::Error> {
        let (name, unique, method): (String, bool, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let temporary_name = index_name(&load.staging, number);
        let create = format!(
            "CREATE {}INDEX {temporary_name} ON {} {method}",
            if unique { "UNIQUE " } else { "" },
            load.table()
        );
        Ok(Index {
            name: quote_identifier(&name),
            temporary_name,
            constraint: row.try_get(3)?,
            is_replica_identity: row.try_get(4)?,
            create,
        })
    }

    fn build(&self, client: &mut Client, builders: usize) -> Result<(), Failure> {
        let refused = Failure::of("building an index");
        let mut transaction = transaction(client).map_err(&refused)?;
        transaction
            .batch_execute(&format!(
                "SET LOCAL maintenance_work_mem = '{}MB'; {}",
                MAINTENANCE_MIB / builders,
                self.create
            ))
            .map_err(&refused)?;
        transaction.commit().map_err(&refused)
    }
}

/// Name, uniqueness, definition from USING on, kind of constraint, whether it is the replica
/// identity; GIN first, since those take longest. The definition begins with what is known of it,
/// which is cut off by its length.
const INDEXES: &str = "\
SELECT x.relname::text, i.indisunique,
  substr(pg_get_indexdef(x.oid), 1 + length(format('CREATE %sINDEX %I ON %I.%I ',
    CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname, n.nspname, t.relname))),
  CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END,
  i.indisreplident
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_am a ON a.oid = x.relam
LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u')
WHERE i.indrelid = $1
ORDER BY a.amname = 'gin' DESC, i.indisunique DESC, x.relname";

const FOREIGN_KEYS: &str = "\
SELECT quote_ident(conname), pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' AND convalidated
ORDER BY conname";
