//! Why a store could not be read.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::traffic::Fault;
use crate::contained::Panicked;

/// Each message names the object or folder and what to check; paths are below the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the source {source_uri} is no folder: give the folder that holds data/ with --source")]
    NoSuchFolder { source_uri: String },

    #[error("the source {source_uri} is neither a folder nor s3://bucket[/prefix]: check --source")]
    UnknownScheme { source_uri: String },

    #[error("cannot list {path}")]
    List { path: String, source: std::io::Error },

    #[error("cannot open {path}")]
    Open { path: String, source: std::io::Error },

    #[error("cannot read {path}")]
    Read { path: Arc<str>, source: std::io::Error },

    #[error(
        "the sidecar {path} is not what it should be, an object of texts and numbers: repair or \
         remove it"
    )]
    Sidecar { path: String, source: serde_json::Error },

    #[error(
        "{path} was replaced while it was read, so that its old and new rows could have been mixed: \
         run again when nothing uploads"
    )]
    Changed { path: Arc<str> },

    #[error("{path} was removed after it was listed: run again when nothing uploads")]
    Vanished { path: Arc<str> },

    #[error("cannot read the certificates in {}; check --s3-ca (or AWS_CA_BUNDLE)", path.display())]
    CaBundle { path: PathBuf, source: std::io::Error },

    #[error(
        "{} holds no certificate in PEM form that can be used; check --s3-ca (or AWS_CA_BUNDLE)",
        path.display()
    )]
    NoCertificates { path: PathBuf },

    #[error("cannot set up a client for {store}")]
    Client { store: String, source: Cause },

    #[error(
        "{setting} holds a line break, or another character that a request cannot carry: correct it (a \
         secret made from a file often ends in a line break)"
    )]
    Unsendable { setting: &'static str },

    #[error(
        "no request can be made to {store}: check s3.endpoint, the bucket in --source, --s3-addressing and \
         the variables AWS_* for what an address cannot hold"
    )]
    Request { store: String, source: Panicked },

    #[error("there is no bucket {bucket} at {store}: check --source and s3.endpoint")]
    NoSuchBucket { bucket: String, store: String },

    #[error("cannot {action}: the store answered {status}{}; {advice}", code_text(code.as_deref()))]
    Refused { action: String, status: u16, code: Option<String>, advice: &'static str },

    #[error("cannot {action}: no credentials for it; {advice}")]
    Credentials { action: String, advice: &'static str, source: Cause },

    #[error("cannot {action}: {advice}")]
    Tls { action: String, advice: &'static str, source: Cause },

    #[error(
        "cannot {action}: {fault} at each of {tries} tries in {} s (--s3-retry-for); check \
         s3.endpoint, the network and the store",
        time.as_secs()
    )]
    GaveUp { action: String, fault: Fault, tries: u32, time: Duration, source: Cause },

    #[error(
        "cannot {action}: the store's answer makes no sense; check s3.endpoint, and that no key there has \
         `.`, `..` or nothing between two slashes"
    )]
    Answer { action: String, source: Cause },

    #[error("interrupted while waiting for the store; nothing of the day in progress was written")]
    Interrupted,

    #[error("reading {path} ended without a result; run again")]
    Stopped { path: Arc<str> },
}

impl StoreError {
    /// Whether the input moved under the run, so that starting over is right.
    pub fn is_moved(&self) -> bool {
        matches!(self, StoreError::Changed { .. } | StoreError::Vanished { .. })
    }

    /// The store's error among the causes of `error`, also where a reader wrapped it as an I/O
    /// error.
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e StoreError> {
        causes(error).find_map(|cause| {
            let shared = || cause.downcast_ref::<Arc<StoreError>>().map(|error| &**error);
            cause.downcast_ref().or_else(shared)
        })
    }
}

fn code_text(code: Option<&str>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

/// An error and its causes, with what I/O errors wrap: their `source` passes it over.
pub fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

/// The innermost cause of a failed request: those around it repeat its text, or the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Cause(causes(error).last().map(ToString::to_string).unwrap_or_default())
    }

    pub fn text(text: impl Into<String>) -> Self {
        Cause(text.into())
    }
}
