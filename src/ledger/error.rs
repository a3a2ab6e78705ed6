//! Why the ledger could not be read or written.

use crate::database::DatabaseError;

/// Why the ledger could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(
        "the database user may not make the table {table}, which keeps what each day was made of: \
         grant CREATE on the schema, have its owner make the table (docs/operations.md shows it), \
         or do without by --ledger off"
    )]
    MayNotCreate { table: String, source: DatabaseError },
    #[error(
        "the database user lacks {privilege} on {table}, which keeps what each day was made of: \
         grant it, or do without by --ledger off"
    )]
    NoPrivilege { table: String, privilege: &'static str },
    #[error(
        "the database user lacks SELECT on {table}, which says what each day was made of: grant it"
    )]
    MayNotRead { table: String },
    #[error(
        "{table} is not as this program makes it: drop it, after which every day counts as not yet \
         done, or do without by --ledger off"
    )]
    Foreign { table: String, source: DatabaseError },
}
