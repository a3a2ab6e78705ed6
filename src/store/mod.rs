//! Objects by path below a source.

pub mod local;

use std::sync::Arc;

/// An object that a listing showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Relative to the source, separated by `/`.
    pub path: Arc<str>,
    /// In bytes.
    pub size: u64,
}

/// Why a store could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the source {source_uri} is no folder: give the folder that holds data/ with --source")]
    NoSuchFolder { source_uri: String },

    #[error("cannot list {path}")]
    List { path: String, source: std::io::Error },

    #[error("cannot open {path}")]
    Open { path: String, source: std::io::Error },

    #[error("cannot read {path}")]
    Read { path: Arc<str>, source: std::io::Error },

    #[error(
        "{path} changed while the run was reading it: run again when no one writes to the source"
    )]
    Changed { path: Arc<str> },

    #[error("the source {source_uri} is in an object store, which this version cannot read")]
    NotLocal { source_uri: String },
}
