//! Why a payload could not be converted.

use std::path::PathBuf;

use crate::line_items::table_file::TableError;
use crate::store::StoreError;

/// Why a payload could not be converted. The message says where and what to do; the cause is the
/// source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    #[error("{option} {value:?}: must be {must_be}")]
    Option { option: &'static str, value: String, must_be: &'static str },
    #[error("cannot read {}; check --input", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error(
        "{} is neither a folder, nor a .tar.gz archive, nor a .csv file; check --input",
        path.display()
    )]
    NotAPayload { path: PathBuf },
    #[error("{}: the archive is truncated or damaged; get it again", path.display())]
    Archive { path: PathBuf, source: std::io::Error },
    #[error("{}: the member {member:?} is refused: {why}", path.display())]
    Member { path: PathBuf, member: String, why: &'static str },
    #[error("{}: unpacks to more than {limit}; {way_out}", path.display())]
    Bomb { path: PathBuf, limit: String, way_out: &'static str },
    #[error(
        "{}: has no manifest.json, so it is no payload of the operator; unpack it and give the folder to convert its CSV files nevertheless",
        path.display()
    )]
    NoManifest { path: PathBuf },
    #[error("{place}: is no manifest of the operator")]
    Manifest { place: String, source: serde_json::Error },
    #[error("{place}: {field} {value:?} must be {must_be}")]
    ManifestField { place: String, field: &'static str, value: String, must_be: &'static str },
    #[error(
        "{first} belongs to the payload {first_id}, {second} to {second_id}; convert each payload by itself"
    )]
    OtherPayload { first: String, first_id: String, second: String, second_id: String },
    #[error(
        "{} of the files that the manifest of payload {payload} lists are missing: {}; give all archives of a payload that was split, each with --input, or, if they are lost, unpack the rest into a folder without manifest.json",
        missing.len(),
        missing.join(", ")
    )]
    MissingFiles { payload: String, missing: Vec<String> },
    #[error("{file} is there twice; give each file of a payload once")]
    Twice { file: String },
    #[error("there is no CSV file with pods, storage, node labels or namespace labels in {inputs}")]
    NothingToConvert { inputs: String },
    #[error("{file}: unknown header: {hint}")]
    Header { file: String, hint: String },
    #[error("{file}: cannot be read")]
    Read { file: String, source: csv::Error },
    #[error("{file}, line {line}: has {fields} fields, the header has {expected}")]
    Fields { file: String, line: u64, fields: u64, expected: u64 },
    #[error("{file}, line {line}: is longer than {limit} bytes; is a quote not closed?")]
    LongLine { file: String, line: u64, limit: usize },
    #[error("{file}, line {line}, column {column}: {value:?} must be {must_be}")]
    Cell { file: String, line: u64, column: String, value: String, must_be: &'static str },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("cannot read {} back for the daily roll-up", path.display())]
    ReadBack { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("cannot read {} back for the daily roll-up", path.display())]
    ReadBatch { path: PathBuf, source: arrow::error::ArrowError },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "cannot give {} its place; some files of the payload may have theirs already: convert it again",
        path.display()
    )]
    Publish { path: PathBuf, source: std::io::Error },
    #[error(
        "cannot bring {path} up to date in the store; some files of the payload may be there already: convert it again"
    )]
    Upload { path: String, source: StoreError },
    #[error("interrupted; nothing was converted")]
    Interrupted,
}

/// Where the fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Usage,
    Input,
    Output,
    Interrupted,
}

impl ConvertError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Option { .. } => Fault::Usage,
            Self::Table(_)
            | Self::ReadBack { .. }
            | Self::ReadBatch { .. }
            | Self::Write { .. }
            | Self::Publish { .. } => Fault::Output,
            Self::Upload { source: StoreError::Interrupted, .. } | Self::Interrupted => {
                Fault::Interrupted
            }
            Self::Upload { .. } => Fault::Output,
            _ => Fault::Input,
        }
    }
}
