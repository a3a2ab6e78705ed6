//! Where the files of a source lie in Koku's layout.

use std::path::{Path, PathBuf};

use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use super::columns::{Grain, Report};

/// The folders of one source below the folder that holds `data/`.
#[derive(Debug, Clone)]
pub struct SourceTree {
    root: PathBuf,
    account: String,
    source: Uuid,
}

impl SourceTree {
    /// `out` is the folder that is to hold `data/`, `account` the account part of the paths.
    pub fn new(out: &Path, account: &str, source: Uuid) -> Self {
        Self { root: out.join("data").join("parquet"), account: account.to_owned(), source }
    }

    /// The folder of all files of the source of one kind.
    pub fn folder(&self, report: Report, grain: Grain) -> PathBuf {
        let base = match grain {
            Grain::Hourly => self.root.clone(),
            Grain::Daily => self.root.join("daily"),
        };
        base.join(&self.account)
            .join("OCP")
            .join(report.as_str())
            .join(format!("source={}", self.source))
    }

    /// The file of a day: `chunk` numbers the files that `part` of `manifest` was split into.
    pub fn file(&self, report: Report, grain: Grain, date: NaiveDate, name: Name<'_>) -> PathBuf {
        let Name { manifest, part, chunk } = name;
        let daily = match grain {
            Grain::Hourly => "",
            Grain::Daily => "daily_",
        };
        self.folder(report, grain)
            .join(format!("year={}", date.year()))
            .join(format!("month={:02}", date.month()))
            .join(format!("{}.{date}.{manifest}.{part}_{daily}{chunk}.parquet", report.as_str()))
    }
}

/// What tells the files of a day apart.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    pub manifest: &'a str,
    pub part: u32,
    pub chunk: u32,
}
