//! Why a file of the demo could not be read back.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("cannot make a temporary folder in {}; set TMPDIR to a folder that can be written", path.display())]
    Folder { path: PathBuf, source: io::Error },

    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },

    #[error("cannot open {} to read it back", path.display())]
    Open { path: PathBuf, source: io::Error },

    #[error("cannot read {} back as Parquet", path.display())]
    Parquet { path: PathBuf, source: ParquetError },

    #[error("cannot read the rows of {} back", path.display())]
    Rows { path: PathBuf, source: ArrowError },

    #[error("{} has no column {column} of the type that was written", path.display())]
    Column { path: PathBuf, column: &'static str },
}
