//! Why lookups could not be loaded.

use std::path::PathBuf;

use crate::database::DatabaseError;

/// Why lookups could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupsError {
    #[error(
        "cannot open the lookup file {path}: check --lookups, which names a directory with \
         enabled_tag_keys.csv, cost_category_namespace.csv and nodes.csv, or `postgres`"
    )]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{path} is not CSV in UTF-8 with the same number of fields on every line")]
    Malformed { path: PathBuf, source: ::csv::Error },
    #[error("{path} has no column `{column}`: its first line must name it")]
    MissingColumn { path: PathBuf, column: &'static str },
    #[error("{path}, line {line}, column `{column}`: `{value}` is not {expected}")]
    BadValue {
        path: PathBuf,
        line: u64,
        column: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
