//! The daily roll-up of an hourly file, as Koku makes it: file by file, so that a day in several
//! files has several rows of a pod, which add up as one would.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use arrow::error::ArrowError;
use chrono::NaiveTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ConvertError;
use super::hourly::{Columns, ROWS_PER_FILE, Staged};
use crate::line_items::columns::{Grain, Kind};
use crate::line_items::table_file::{TableFile, Written};

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;

/// Texts that are no part of the group: the largest counts.
const LARGEST_TEXT: [&str; 2] = ["resource_id", "node_role"];
/// Sizes, of which the largest counts; all other measures add up.
const LARGEST_NUMBER: [&str; 3] = [
    "node_capacity_cpu_cores",
    "node_capacity_memory_bytes",
    "persistentvolumeclaim_capacity_bytes",
];

/// Sums the rows of an hourly file by day and names, and writes them beside it. Memory is bounded
/// by the rows of one file.
///
/// # Errors
/// If the file cannot be read back or the roll-up not be written.
pub fn roll_up(hourly: &Staged, staging: &Path) -> Result<Staged, ConvertError> {
    let columns = daily_columns(hourly);
    let mut groups = Groups::new(&columns);
    let unreadable = |source| ConvertError::ReadBack { path: hourly.path.clone(), source };
    let file = File::open(&hourly.path)
        .map_err(|source| ConvertError::Open { path: hourly.path.clone(), source })?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(unreadable)?;
    for batch in batches {
        batch
            .and_then(|batch| groups.add(&batch))
            .map_err(|source| ConvertError::ReadBatch { path: hourly.path.clone(), source })?;
    }
    let name = format!("{}.{}.{}.daily", hourly.report.as_str(), hourly.date, hourly.chunk);
    let path = staging.join(name);
    let start = hourly.date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    let written = groups.write(TableFile::new(path.clone(), &columns, ROWS_PER_FILE), start)?;
    Ok(Staged { grain: Grain::Daily, columns, path, written, ..hourly.clone() })
}

/// The daily columns that the hourly ones allow; `node_role` is there even if it is unknown.
fn daily_columns(hourly: &Staged) -> Columns {
    let known = |name: &str| {
        name == "node_role" || hourly.columns.iter().any(|(column, _)| *column == name)
    };
    let daily = hourly.report.columns(Grain::Daily).iter();
    daily.filter(|(name, _)| known(name)).copied().collect()
}

/// The groups of a file, with every text kept once.
struct Groups {
    keys: Vec<&'static str>,
    /// Texts of which the largest counts.
    largest: Vec<&'static str>,
    numbers: Vec<&'static str>,
    /// For each text column of the file: whether it is of the key, and its place there.
    texts: Vec<(bool, usize)>,
    interned: HashMap<Arc<str>, u32>,
    by_id: Vec<Arc<str>>,
    by_key: HashMap<Box<[u32]>, usize>,
    groups: Vec<Group>,
}

/// A row of the daily file.
struct Group {
    key: Box<[u32]>,
    /// Start and end of the report period.
    period: [i64; 2],
    largest: Vec<Option<u32>>,
    numbers: Vec<f64>,
}

impl Groups {
    fn new(columns: &Columns) -> Self {
        let of = |kind: Kind| {
            columns.iter().filter(move |(_, found)| *found == kind).map(|(name, _)| *name)
        };
        let (largest, keys): (Vec<_>, Vec<_>) =
            of(Kind::Text).partition(|name| LARGEST_TEXT.contains(name));
        let place = |name: &str| {
            let at = |names: &[&str]| names.iter().position(|found| *found == name);
            at(&keys).map(|at| (true, at)).or_else(|| at(&largest).map(|at| (false, at)))
        };
        let texts = of(Kind::Text).filter_map(place).collect();
        let numbers = of(Kind::Number).collect();
        Self {
            keys,
            largest,
            numbers,
            texts,
            interned: HashMap::new(),
            by_id: Vec::new(),
            by_key: HashMap::new(),
            groups: Vec::new(),
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("the column {name} is missing")))
        };
        let keys = self.keys.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
        // Only `node_role` may be missing.
        let largest: Vec<_> = self.largest.iter().map(|name| batch.column_by_name(name)).collect();
        let numbers =
            self.numbers.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
        let periods = [column("report_period_start")?, column("report_period_end")?];

        let keys: Vec<_> = keys.iter().map(|array| array.as_string::<i32>()).collect();
        let largest: Vec<_> =
            largest.iter().map(|array| array.map(|array| array.as_string::<i32>())).collect();
        let numbers: Vec<_> =
            numbers.iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        let periods = periods.map(|array| array.as_primitive::<TimestampMillisecondType>());
        let mut key = Vec::with_capacity(keys.len());
        for row in 0..batch.num_rows() {
            key.clear();
            for array in &keys {
                key.push(self.intern(array.value(row)));
            }
            let period = periods.map(|array| array.value(row));
            let at = match self.by_key.get(key.as_slice()) {
                Some(at) => *at,
                None => {
                    let key: Box<[u32]> = key.as_slice().into();
                    self.by_key.insert(key.clone(), self.groups.len());
                    self.groups.push(Group {
                        key,
                        period,
                        largest: vec![None; largest.len()],
                        numbers: self.numbers.iter().map(|name| neutral(name)).collect(),
                    });
                    self.groups.len() - 1
                }
            };
            for (place, array) in largest.iter().enumerate() {
                let Some(text) = array.map(|array| array.value(row)) else { continue };
                let known = self.groups[at].largest[place].map(|id| &*self.by_id[id as usize]);
                if known.is_none_or(|known| known < text) {
                    let id = self.intern(text);
                    self.groups[at].largest[place] = Some(id);
                }
            }
            let group = &mut self.groups[at];
            for (largest, value) in group.period.iter_mut().zip(period) {
                *largest = value.max(*largest);
            }
            for ((sum, array), name) in group.numbers.iter_mut().zip(&numbers).zip(&self.numbers) {
                let value = array.value(row);
                *sum = if LARGEST_NUMBER.contains(name) { sum.max(value) } else { *sum + value };
            }
        }
        Ok(())
    }

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(id) = self.interned.get(text) {
            return *id;
        }
        // A file has far fewer rows, and so texts, than this can count.
        let id = self.by_id.len() as u32;
        let text: Arc<str> = text.into();
        self.interned.insert(text.clone(), id);
        self.by_id.push(text);
        id
    }

    /// Writes the groups, sorted by their texts.
    fn write(mut self, mut file: TableFile, day_start: i64) -> Result<Written, ConvertError> {
        let mut groups = std::mem::take(&mut self.groups);
        let text = |id: u32| &*self.by_id[id as usize];
        groups.sort_unstable_by(|a, b| {
            a.key.iter().map(|id| text(*id)).cmp(b.key.iter().map(|id| text(*id)))
        });
        for group in &groups {
            let texts: Vec<Option<&str>> = self
                .texts
                .iter()
                .map(|(of_key, at)| match of_key {
                    true => Some(text(group.key[*at])),
                    false => group.largest[*at].map(text),
                })
                .collect();
            let numbers: Vec<Option<f64>> = group.numbers.iter().copied().map(Some).collect();
            let [start, end] = group.period;
            file.push(&[day_start, start, end], &texts, &numbers)?;
        }
        Ok(file.finish()?.unwrap_or_default())
    }
}

/// What a sum or a largest value begins with.
fn neutral(name: &str) -> f64 {
    if LARGEST_NUMBER.contains(&name) { f64::NEG_INFINITY } else { 0.0 }
}
