//! The hourly files of one report type, in the making.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use super::ConvertError;
use super::csv_file::Row;
use super::header::Column;
use crate::line_items::columns::{Grain, Kind, Report};
use crate::line_items::table_file::{TableFile, Written};

/// Rows a file has at most, all of them in one row group.
pub const ROWS_PER_FILE: usize = 200_000;
/// Bytes that the open files may hold in memory, together.
const MOST_MEMORY: usize = 128 << 20;
/// Files that may be open.
const MOST_OPEN: usize = 200;
/// Rows between two looks at the memory.
const ROWS_BETWEEN_LOOKS: u64 = 1024;

/// Columns by name and kind.
pub type Columns = Arc<[(&'static str, Kind)]>;

/// A finished file in the staging folder.
#[derive(Debug, Clone)]
pub struct Staged {
    pub report: Report,
    pub grain: Grain,
    pub date: NaiveDate,
    /// Which of the day's files it is.
    pub chunk: u32,
    pub columns: Columns,
    pub path: PathBuf,
    pub written: Written,
}

/// One open file for every day met lately. Reports are in order of time as a rule, but need not
/// be: under pressure the file that holds most, or the earliest, is finished, and its day goes on in
/// another.
pub struct Hourly<'a> {
    report: Report,
    staging: &'a Path,
    columns: Columns,
    open: BTreeMap<NaiveDate, Open>,
    chunks: BTreeMap<NaiveDate, u32>,
    staged: Vec<Staged>,
    rows: u64,
}

struct Open {
    file: TableFile,
    path: PathBuf,
    chunk: u32,
}

impl<'a> Hourly<'a> {
    pub fn new(report: Report, staging: &'a Path) -> Self {
        Self {
            report,
            staging,
            columns: Arc::new([]),
            open: BTreeMap::new(),
            chunks: BTreeMap::new(),
            staged: Vec::new(),
            rows: 0,
        }
    }

    /// Begins with the rows of another CSV file. All files of a payload have the same columns as a
    /// rule; where they do not, days go on in files of their own.
    ///
    /// # Errors
    /// If a file cannot be finished.
    pub fn begin(&mut self, columns: &[Column]) -> Result<(), ConvertError> {
        let columns: Columns = columns.iter().map(|column| (column.name, column.kind)).collect();
        if columns != self.columns {
            self.finish_all()?;
            self.columns = columns;
        }
        Ok(())
    }

    /// Appends a row to its day.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn push(&mut self, date: NaiveDate, row: &Row) -> Result<(), ConvertError> {
        let open = match self.open.entry(date) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let chunk = self.chunks.entry(date).or_default();
                let name = format!("{}.{date}.{chunk}.hourly", self.report.as_str());
                let path = self.staging.join(name);
                let file = TableFile::new(path.clone(), &self.columns, ROWS_PER_FILE);
                *chunk += 1;
                entry.insert(Open { file, path, chunk: *chunk - 1 })
            }
        };
        let texts: Vec<Option<&str>> = row.texts.iter().map(|text| Some(text.as_str())).collect();
        let numbers: Vec<Option<f64>> = row.numbers.iter().copied().map(Some).collect();
        open.file.push(&row.times, &texts, &numbers)?;
        if open.file.rows() >= ROWS_PER_FILE as u64 {
            self.finish_day(date)?;
        }
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_BETWEEN_LOOKS) || self.open.len() > MOST_OPEN {
            self.relieve()?;
        }
        Ok(())
    }

    /// Finishes the files that hold most, until the rest is within the limits.
    fn relieve(&mut self) -> Result<(), ConvertError> {
        loop {
            let held = || self.open.iter().map(|(date, open)| (open.file.memory(), *date));
            let total: usize = held().map(|(bytes, _)| bytes).sum();
            let finished = if total > MOST_MEMORY {
                held().max().map(|(_, date)| date)
            } else if self.open.len() > MOST_OPEN {
                self.open.keys().next().copied()
            } else {
                None
            };
            let Some(date) = finished else { return Ok(()) };
            self.finish_day(date)?;
        }
    }

    fn finish_day(&mut self, date: NaiveDate) -> Result<(), ConvertError> {
        let Some(Open { file, path, chunk }) = self.open.remove(&date) else { return Ok(()) };
        if let Some(written) = file.finish()? {
            self.staged.push(Staged {
                report: self.report,
                grain: Grain::Hourly,
                date,
                chunk,
                columns: self.columns.clone(),
                path,
                written,
            });
        }
        Ok(())
    }

    fn finish_all(&mut self) -> Result<(), ConvertError> {
        while let Some(date) = self.open.keys().next().copied() {
            self.finish_day(date)?;
        }
        Ok(())
    }

    /// All files, in the order they were finished.
    ///
    /// # Errors
    /// If a file cannot be finished.
    pub fn finish(mut self) -> Result<Vec<Staged>, ConvertError> {
        self.finish_all()?;
        Ok(self.staged)
    }
}
