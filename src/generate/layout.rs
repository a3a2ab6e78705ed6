//! Where the files of a source lie below the output folder, and making room for them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::GenerateError;
use super::calendar::Day;
use crate::line_items::columns::{Grain, Report};
use crate::line_items::place::{Name, SourceTree};
use crate::store::S3Store;

/// The files of a generated source.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    tree: SourceTree,
}

impl Layout {
    /// `out` is the folder that is to hold `data/`.
    pub fn new(out: &Path, account: &str, source: Uuid) -> Self {
        Self { root: out.to_owned(), tree: SourceTree::new(out, account, source) }
    }

    /// The file of a day, by its number in the day.
    pub fn file(&self, report: Report, grain: Grain, day: &Day, number: u32) -> PathBuf {
        self.tree.file(report, grain, day.date, Name { manifest: "1", part: number, chunk: 0 })
    }

    /// Makes sure that nothing of the source is there: old data is refused or, with `overwrite`,
    /// removed. Other sources are left alone.
    ///
    /// # Errors
    /// [`GenerateError::DataExists`], or what the file system reports.
    pub fn make_room(&self, overwrite: bool) -> Result<(), GenerateError> {
        for (report, grain) in kinds() {
            let path = self.tree.folder(report, grain);
            let mut entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(source) => return Err(GenerateError::Look { path, source }),
            };
            if entries.next().is_none() {
                continue;
            }
            if !overwrite {
                return Err(GenerateError::DataExists { path });
            }
            fs::remove_dir_all(&path)
                .map_err(|source| GenerateError::Remove { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// The same in an object store, whose folder `out` names.
    ///
    /// # Errors
    /// [`GenerateError::DataExists`], or what the store reports.
    pub fn make_room_in(
        &self,
        store: &S3Store,
        out: &Path,
        overwrite: bool,
    ) -> Result<(), GenerateError> {
        for (report, grain) in kinds() {
            let folder = self.key(&self.tree.folder(report, grain));
            let there = store.list(&format!("{folder}/"))?;
            if !there.is_empty() && !overwrite {
                return Err(GenerateError::DataExists { path: out.join(folder) });
            }
            for object in there {
                store.remove(&object.path)?;
            }
        }
        Ok(())
    }

    /// Moves the files of all types for one part of a day into an object store.
    ///
    /// # Errors
    /// What the file system or the store reports.
    pub fn upload(&self, store: &S3Store, day: &Day, number: u32) -> Result<(), GenerateError> {
        for (report, grain) in kinds() {
            let path = self.file(report, grain, day, number);
            if path.exists() {
                store.put(&self.key(&path), path.clone(), Vec::new()).wait()?;
                fs::remove_file(&path).map_err(|source| GenerateError::Write { path, source })?;
            }
        }
        Ok(())
    }

    /// The path below the store's folder of a path below that of `self`.
    fn key(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

fn kinds() -> impl Iterator<Item = (Report, Grain)> {
    let grains = [Grain::Hourly, Grain::Daily].into_iter();
    grains.flat_map(|grain| Report::ALL.map(|report| (report, grain)))
}
