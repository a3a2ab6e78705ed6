//! Where the files of a source lie below the output folder, and making room for them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::Datelike;
use uuid::Uuid;

use super::GenerateError;
use super::calendar::Day;
use super::schema::{Grain, Report};

/// Koku's layout below `data/parquet`.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    account: String,
    source: Uuid,
}

impl Layout {
    /// `out` is the folder that is to hold `data/`.
    pub fn new(out: &Path, account: &str, source: Uuid) -> Self {
        Self { root: out.join("data").join("parquet"), account: account.to_owned(), source }
    }

    /// The file of a day, by its number in the day.
    pub fn file(&self, report: Report, grain: Grain, day: &Day, number: u32) -> PathBuf {
        let daily = match grain {
            Grain::Hourly => "",
            Grain::Daily => "daily_",
        };
        let (year, month) = (day.date.year(), day.date.month());
        self.source_folder(report, grain)
            .join(format!("year={year}"))
            .join(format!("month={month:02}"))
            .join(format!("{}.{}.1.{number}_{daily}0.parquet", report.as_str(), day.date))
    }

    fn source_folder(&self, report: Report, grain: Grain) -> PathBuf {
        let base = match grain {
            Grain::Hourly => self.root.clone(),
            Grain::Daily => self.root.join("daily"),
        };
        base.join(&self.account)
            .join("OCP")
            .join(report.as_str())
            .join(format!("source={}", self.source))
    }

    /// Makes sure that nothing of the source is there: old data is refused or, with `overwrite`,
    /// removed. Other sources are left alone.
    ///
    /// # Errors
    /// [`GenerateError::DataExists`], or what the file system reports.
    pub fn make_room(&self, overwrite: bool) -> Result<(), GenerateError> {
        let folders = [Grain::Hourly, Grain::Daily]
            .into_iter()
            .flat_map(|grain| Report::ALL.map(|report| self.source_folder(report, grain)));
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
