//! A tree on local disk.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Object, Opened, PROGRESS, StoreError};

/// Beside a file: what an object store would keep as its user metadata.
const SIDECAR: &str = ".metadata.json";

/// The folder that holds `data/`.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// `source` is a path, or a `file://` URI.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn new(source: &str) -> Result<Self, StoreError> {
        let path = match source.split_once("://") {
            None => source,
            Some(("file", path)) => path,
            Some(_) => return Err(StoreError::UnknownScheme { source_uri: source.to_owned() }),
        };
        let root = PathBuf::from(path);
        if !root.is_dir() {
            return Err(StoreError::NoSuchFolder { source_uri: source.to_owned() });
        }
        Ok(LocalStore { root })
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut objects = Vec::new();
        self.list_folder(&self.root.join(prefix), &mut objects)?;
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    fn list_folder(&self, folder: &Path, objects: &mut Vec<Object>) -> Result<(), StoreError> {
        let failed = |source| StoreError::List { path: folder.display().to_string(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let metadata = fs::metadata(&path)
                .map_err(|source| StoreError::Open { path: path.display().to_string(), source })?;
            if metadata.is_dir() {
                self.list_folder(&path, objects)?;
            } else if !metadata.is_file() {
                // To open a pipe would wait for someone to write to it.
                tracing::warn!(path = %path.display(), "left out: it is no regular file");
            } else if let Some(relative) = self.relative(&path) {
                if objects.len() % PROGRESS == PROGRESS - 1 {
                    tracing::info!(objects = objects.len() + 1, "listing");
                }
                objects.push(Object {
                    path: relative.into(),
                    size: metadata.len(),
                    modified: modified(&metadata),
                    e_tag: None,
                });
            } else {
                tracing::warn!(path = %path.display(), "left out: its name is not UTF-8");
            }
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }

    pub(super) fn folders(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(prefix)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// The file of a listed object.
    ///
    /// # Errors
    /// If it cannot be opened or is no longer the one that was listed.
    pub fn open(&self, object: &Object) -> Result<File, StoreError> {
        let path = &object.path;
        let file = File::open(self.root.join(&**path)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Vanished { path: path.clone() },
            _ => StoreError::Open { path: path.to_string(), source },
        })?;
        let metadata =
            file.metadata().map_err(|source| StoreError::Read { path: path.clone(), source })?;
        if metadata.len() != object.size || modified(&metadata) != object.modified {
            return Err(StoreError::Changed { path: path.clone() });
        }
        Ok(file)
    }

    pub(super) fn read(
        &self,
        object: &Object,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        let file = self.open(object)?;
        let read = |range: &Range<u64>| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)
                .map_err(|source| StoreError::Read { path: object.path.clone(), source })?;
            Ok(Bytes::from(bytes))
        };
        ranges.iter().map(read).collect()
    }

    pub(super) fn tail(&self, object: &Object, length: u64) -> Result<Opened, StoreError> {
        let end = object.size.saturating_sub(length)..object.size;
        let mut ranges = self.read(object, std::slice::from_ref(&end))?;
        Ok(Opened {
            object: object.clone(),
            tail: ranges.pop().unwrap_or_default(),
            metadata: self.sidecar(&object.path)?,
        })
    }

    fn sidecar(&self, path: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let path = format!("{path}{SIDECAR}");
        let file = self.root.join(&path);
        if fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file()) {
            let source = io::Error::other("it is no regular file");
            return Err(StoreError::Open { path, source });
        }
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(source) => return Err(StoreError::Open { path, source }),
        };
        let facts: BTreeMap<String, Value> =
            serde_json::from_slice(&text).map_err(|source| StoreError::Sidecar { path, source })?;
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        Ok(facts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?)))
            .collect())
    }
}

fn modified(metadata: &Metadata) -> Option<DateTime<Utc>> {
    metadata.modified().ok().map(DateTime::from)
}
