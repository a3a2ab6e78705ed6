//! Why a side could not be read.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::canonical::Expected;

/// Why a side could not be read. `place` is a file or table with the line or row in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("`postgres` is compared but there is no connection: give the PostgreSQL flags")]
    NoDatabase,

    #[error("cannot open {}: check the path and its permissions", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("{place} cannot be read")]
    Read {
        place: String,
        #[source]
        source: io::Error,
    },

    #[error("{file} is empty: its first line must name the columns")]
    NoHeader { file: String },

    #[error(
        "the first line of {file} names no column of the summary (it begins with `{first}`): the \
         first line must name the columns"
    )]
    NotAHeader { file: String, first: String },

    #[error("{file} names the column {column} twice")]
    DuplicateColumn { file: String, column: String },

    #[error("{place} has {found} fields where the header has {expected}")]
    FieldCount { place: String, found: usize, expected: usize },

    #[error("{place} opens a quoted field that is never closed")]
    OpenQuote { place: String },

    #[error("{place} is not UTF-8")]
    NotUtf8 { place: String },

    #[error("{place}, column {column}: {value:?} is not {expected}{}", null_hint(value))]
    Value { place: String, column: String, value: String, expected: Expected },

    #[error(
        "{file} has no column {column}, which --from, --to and --provider-uuid go by: leave the \
         filter away"
    )]
    NoFilterColumn { file: String, column: &'static str },

    #[error("no Parquet file in {}", path.display())]
    NoParquet { path: PathBuf },

    #[error("{} is not a readable Parquet file", path.display())]
    Parquet {
        path: PathBuf,
        #[source]
        source: ParquetError,
    },

    #[error("{}: rows after row {row} cannot be decoded", path.display())]
    Decode {
        path: PathBuf,
        row: u64,
        #[source]
        source: ArrowError,
    },

    #[error("{}, column {column}: values of type {found} cannot be compared", path.display())]
    ColumnType { path: PathBuf, column: String, found: String },

    #[error("cannot read {table}")]
    Database {
        table: String,
        #[source]
        source: postgres::Error,
    },

    #[error("the connection broke while {table} was read: run again")]
    Interrupted {
        table: String,
        #[source]
        source: io::Error,
    },

    #[error(
        "there is no table {table}, or this user may not see it: check the schema and the user's \
         grants"
    )]
    NoTable { table: String },
}

impl LoadError {
    /// Whether the database, rather than a file, is the reason.
    pub fn is_database(&self) -> bool {
        matches!(
            self,
            LoadError::NoDatabase
                | LoadError::Database { .. }
                | LoadError::Interrupted { .. }
                | LoadError::NoTable { .. }
        )
    }
}

fn null_hint(value: &str) -> &'static str {
    if value.is_empty() { " (NULL is written \\N; psql: `null '\\N'`)" } else { "" }
}
