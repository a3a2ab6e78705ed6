//! Why a tree could not be generated.

use std::path::PathBuf;

use crate::line_items::table_file::TableError;
use crate::store::StoreError;

/// Why a tree could not be generated. The message says where; the cause is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    #[error("{option} {value}: must be {must_be}")]
    Option { option: &'static str, value: String, must_be: &'static str },
    #[error(
        "{} already holds data of this source; choose another --out or --provider-uuid, or replace the source's data with --overwrite",
        path.display()
    )]
    DataExists { path: PathBuf },
    #[error("cannot look into {}", path.display())]
    Look { path: PathBuf, source: std::io::Error },
    #[error("cannot remove the source's old data in {}", path.display())]
    Remove { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("cannot create the folder {}", path.display())]
    CreateFolder { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read or write the lookup {}", path.display())]
    Lookup { path: PathBuf, source: csv::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start the worker threads; try fewer with --threads")]
    Threads { source: rayon::ThreadPoolBuildError },
}

impl GenerateError {
    /// Whether other options, and nothing else, would help.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Option { .. } | Self::DataExists { .. })
    }
}
