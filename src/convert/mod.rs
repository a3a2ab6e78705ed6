//! What a cluster's metrics operator uploads to line items in Koku's layout.
//!
//! A payload is unpacked into a staging folder of the output root, its CSV files become hourly
//! Parquet files there, a day and at most 200,000 rows each, and every one of those is rolled up to
//! its daily file. Only when all of the payload was read well do the files get their places.

mod archive;
mod clean;
mod csv_file;
mod daily;
mod error;
mod header;
mod hourly;
mod inputs;
mod manifest;
mod publish;
mod summary;
mod upload;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{NaiveDate, Timelike};
use uuid::Uuid;

pub use self::error::{ConvertError, Fault};
pub use self::summary::Summary;

use self::csv_file::CsvFile;
use self::hourly::{Hourly, Staged};
use self::inputs::Payload;
use self::summary::Counts;
use crate::line_items::columns::Report;
use crate::line_items::place::SourceTree;
use crate::store::S3Store;

/// Bytes an archive may unpack to, where no other limit is given.
pub const MAX_UNPACKED: u64 = 20 << 30;

/// Rows between two looks at whether to stop.
const ROWS_BETWEEN_LOOKS: u64 = 4096;

/// What to convert, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Archives of one payload, or a folder with its CSV files, or CSV files.
    pub inputs: Vec<PathBuf>,
    /// The folder that is to hold `data/`, or the name of a store's.
    pub out: PathBuf,
    /// Schema or account; the account part of the paths follows from it.
    pub org_id: String,
    pub provider_uuid: Uuid,
    /// `None`: the payload's own id, or one that follows from the content of the CSV files.
    pub manifest_id: Option<String>,
    /// Bytes that the archives may unpack to, together.
    pub max_unpacked: u64,
}

impl Plan {
    fn check(&self) -> Result<(), ConvertError> {
        let plain = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=64).contains(&text.len()) && text.chars().all(plain)
        };
        let must_be = "1 to 64 letters, digits, '-' and '_'";
        let option =
            |option, value: &str| ConvertError::Option { option, value: value.to_owned(), must_be };
        if !plain(&self.org_id) {
            return Err(option("--org-id", &self.org_id));
        }
        match &self.manifest_id {
            Some(id) if !plain(id) => Err(option("--manifest-id", id)),
            _ => Ok(()),
        }
    }
}

/// Converts one payload into an object store: [`run`] where [`Plan::out`] is one, of which it is
/// only the name here. What is not finished yet lies in the system's folder for temporary files.
///
/// # Errors
/// As for [`run`].
pub fn run_to_store(
    plan: &Plan,
    store: &S3Store,
    cancelled: &AtomicBool,
) -> Result<Summary, ConvertError> {
    plan.check()?;
    let staging = tempfile::Builder::new()
        .prefix("convert-")
        .tempdir()
        .map_err(|source| ConvertError::Write { path: std::env::temp_dir(), source })?;
    convert(plan, staging.path(), Some(store), cancelled)
}

/// Converts one payload and says what was made of it. Files of an earlier conversion of the same
/// payload are replaced; those of other payloads are left alone.
///
/// # Errors
/// [`ConvertError`]; nothing is left behind then, unless it was the last step, giving the files
/// their places, that failed. `cancelled` stops at the next row or file.
pub fn run(plan: &Plan, cancelled: &AtomicBool) -> Result<Summary, ConvertError> {
    plan.check()?;
    let new = !plan.out.exists();
    let failed = |source| ConvertError::Write { path: plan.out.clone(), source };
    fs::create_dir_all(&plan.out).map_err(failed)?;
    let done = tempfile::Builder::new()
        .prefix(".convert-")
        .tempdir_in(&plan.out)
        .map_err(failed)
        .and_then(|staging| convert(plan, staging.path(), None, cancelled));
    if done.is_err() && new {
        // The failure is what will be reported; a folder with something in it stays.
        let _ = fs::remove_dir(&plan.out);
    }
    done
}

fn convert(
    plan: &Plan,
    staging: &Path,
    store: Option<&S3Store>,
    cancelled: &AtomicBool,
) -> Result<Summary, ConvertError> {
    let payload = inputs::open(plan, staging, cancelled)?;
    let mut reports: BTreeMap<Report, Counts> = BTreeMap::new();
    // A bit for every hour of the day.
    let mut hours_met: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    let mut staged = Vec::new();
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for report in Report::ALL {
        let mut hourly = Hourly::new(report, staging);
        for found in payload.files.iter().filter(|found| found.mapping.report == report) {
            let counts = reports.entry(report).or_default();
            let mut csv = CsvFile::open(&found.source, &found.mapping)?;
            tell_ignored_columns(&found.source.name, &found.mapping.ignored);
            hourly.begin(&found.mapping.columns)?;
            while let Some(row) = csv.next()? {
                counts.rows += 1;
                if counts.rows.is_multiple_of(ROWS_BETWEEN_LOOKS) {
                    go_on(cancelled)?;
                }
                if row.is_anomalous() {
                    counts.dropped += 1;
                    continue;
                }
                let time = row.interval_start();
                *hours_met.entry(time.date()).or_default() |= 1 << time.hour();
                hourly.push(time.date(), row)?;
            }
            hash.update(&csv.digest().to_le_bytes());
        }
        for hourly in hourly.finish()? {
            go_on(cancelled)?;
            let counts = reports.entry(report).or_default();
            let daily = daily::roll_up(&hourly, staging)?;
            counts.daily_rows += daily.written.rows;
            staged.extend([hourly, daily]);
        }
    }
    let manifest_id = plan
        .manifest_id
        .clone()
        .or_else(|| payload.manifest.as_ref().map(manifest::Manifest::id))
        .unwrap_or_else(|| format!("{:032x}", hash.digest128()));
    // As Koku has it: payloads that add to others hold new hours only, and the files of all of them
    // count, which 0 says.
    let is_additive = payload.manifest.as_ref().is_some_and(manifest::Manifest::is_additive);
    let hours: BTreeMap<NaiveDate, u32> = hours_met
        .into_iter()
        .map(|(date, hours)| (date, if is_additive { 0 } else { hours.count_ones() }))
        .collect();
    let account = crate::settings::account(&plan.org_id);
    let tree = |root: &Path| SourceTree::new(root, account, plan.provider_uuid);
    go_on(cancelled)?;
    match store {
        None => publish::publish(&tree(&plan.out), &manifest_id, &staged, &hours)?,
        Some(store) => {
            upload::upload(store, &tree(Path::new("")), &manifest_id, &staged, &hours)?;
        }
    }
    Ok(summary(plan, payload, manifest_id, reports, &hours, &staged))
}

fn tell_ignored_columns(file: &str, ignored: &[String]) {
    if !ignored.is_empty() {
        tracing::warn!(
            file,
            columns = ignored.join(", "),
            "columns that nothing reads are left out"
        );
    }
}

/// An error if a signal asked to stop.
fn go_on(cancelled: &AtomicBool) -> Result<(), ConvertError> {
    if cancelled.load(Ordering::Relaxed) { Err(ConvertError::Interrupted) } else { Ok(()) }
}

fn summary(
    plan: &Plan,
    payload: Payload,
    manifest_id: String,
    reports: BTreeMap<Report, Counts>,
    hours: &BTreeMap<NaiveDate, u32>,
    staged: &[Staged],
) -> Summary {
    Summary {
        manifest_id,
        manifest: payload.manifest,
        days: hours.keys().copied().collect(),
        reports,
        left_out: payload.left_out,
        files: staged.len(),
        bytes: staged.iter().map(|file| file.written.bytes).sum(),
        out: plan.out.clone(),
    }
}
