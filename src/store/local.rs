//! A tree on local disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Object, StoreError};

/// The folder that holds `data/`.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// `source` is a path, or a `file://` URI.
    pub fn new(source: &str) -> Result<Self, StoreError> {
        let path = match source.split_once("://") {
            None => source,
            Some(("file", path)) => path,
            Some(_) => return Err(StoreError::NotLocal { source_uri: source.to_owned() }),
        };
        let root = PathBuf::from(path);
        if !root.is_dir() {
            return Err(StoreError::NoSuchFolder { source_uri: source.to_owned() });
        }
        Ok(LocalStore { root })
    }

    /// All files below `prefix` (a folder ending in `/`, or empty), in order of their paths. A
    /// folder that does not exist holds none.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
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
            } else if let Some(relative) = self.relative(&path) {
                objects.push(Object { path: relative.into(), size: metadata.len() });
            } else {
                tracing::warn!(path = %path.display(), "left out: its name is not UTF-8");
            }
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }

    /// The names of the folders right below `prefix`; none if it does not exist.
    pub fn folders(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(prefix)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    pub fn open(&self, path: &str) -> Result<File, StoreError> {
        File::open(self.root.join(path))
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })
    }
}
