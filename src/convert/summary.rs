//! What a conversion has made.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::inputs::LeftOut;
use super::manifest::Manifest;
use crate::line_items::columns::Report;

/// Rows of a report type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows read.
    pub rows: u64,
    /// Those of them with a measure above 1e18.
    pub dropped: u64,
    /// Rows of the daily files.
    pub daily_rows: u64,
}

/// What a conversion has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub manifest_id: String,
    pub manifest: Option<Manifest>,
    pub days: Vec<NaiveDate>,
    pub reports: BTreeMap<Report, Counts>,
    pub left_out: Vec<LeftOut>,
    /// Parquet files written, and their bytes.
    pub files: usize,
    pub bytes: u64,
    pub out: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "payload    {}", self.manifest_id)?;
        match &self.manifest {
            None => f.write_str(" (no manifest)")?,
            Some(manifest) if manifest.is_additive() => f.write_str(" (adds to others)")?,
            Some(_) => {}
        }
        writeln!(f)?;
        let facts = self.manifest.as_ref();
        let known = |fact: Option<&String>| fact.map_or("unknown", |text| text.as_str()).to_owned();
        writeln!(
            f,
            "cluster    {}, operator {}",
            known(facts.and_then(|manifest| manifest.cluster_id.as_ref())),
            known(facts.and_then(|manifest| manifest.version.as_ref()))
        )?;
        match (self.days.first(), self.days.last()) {
            (Some(first), Some(last)) => {
                writeln!(f, "days       {first} to {last}, {} with rows", self.days.len())?;
            }
            _ => writeln!(f, "days       none")?,
        }
        for (report, counts) in &self.reports {
            let Counts { rows, dropped, daily_rows } = counts;
            write!(f, "rows       {}: {rows} hourly, {daily_rows} daily", report.as_str())?;
            if *dropped > 0 {
                write!(f, "; {dropped} DROPPED: a value above 1e18")?;
            }
            writeln!(f)?;
        }
        for LeftOut { file, why } in &self.left_out {
            writeln!(f, "left out   {file}: {why}")?;
        }
        writeln!(f, "files      {}, {}, in {}", self.files, human(self.bytes), self.out.display())
    }
}

/// Bytes in the unit that leaves the fewest digits.
pub fn human(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        None => format!("{bytes} bytes"),
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
    }
}
