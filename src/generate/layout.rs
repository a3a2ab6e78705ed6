//! Where the files of a source lie below the output folder, and making room for them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::GenerateError;
use super::calendar::Day;
use crate::line_items::columns::{Grain, Report};
use crate::line_items::place::{Name, SourceTree};

/// The files of a generated source.
#[derive(Debug, Clone)]
pub struct Layout {
    tree: SourceTree,
}

impl Layout {
    /// `out` is the folder that is to hold `data/`.
    pub fn new(out: &Path, account: &str, source: Uuid) -> Self {
        Self { tree: SourceTree::new(out, account, source) }
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
        let folders = [Grain::Hourly, Grain::Daily]
            .into_iter()
            .flat_map(|grain| Report::ALL.map(|report| self.tree.folder(report, grain)));
        for path in folders {
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
}
