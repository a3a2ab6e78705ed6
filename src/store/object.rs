//! What is known of an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// An object that a listing showed, or that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Relative to the source, separated by `/`.
    pub path: Arc<str>,
    /// In bytes.
    pub size: u64,
    pub modified: Option<DateTime<Utc>>,
    /// The version's tag, in quotes as stores send it; local files have none.
    pub e_tag: Option<Arc<str>>,
}

/// The end of an object with what its store says of it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// As it is now: every later read is of this version or fails.
    pub object: Object,
    /// The last bytes, as many as were asked for; all of a smaller object.
    pub tail: Bytes,
    /// User metadata, the names in lower case.
    pub metadata: BTreeMap<String, String>,
}
