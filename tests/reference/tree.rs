//! Parquet trees in Koku's layout: the same rows in whatever files, row groups and encodings.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::TimestampNanosecondArray;
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, LargeStringArray};
use arrow::array::{
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Schema};
use chrono::Datelike;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::input::{Item, Items, ReportType, TYPES};

/// Draws that only depend on the seed: how rows are dealt is no part of a case.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Draws(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Writes the rows of a source below `root`, dealt as `seed` says. Every month of `months` has at
/// least one pod file. `strays` go to the folder of the month after or before theirs.
pub fn write(
    root: &Path,
    account: &str,
    source: &str,
    (items, strays): (&Items, &Items),
    months: &[(i32, u32)],
    seed: u64,
) {
    let mut draws = Draws::new(seed);
    for report in TYPES {
        for &(year, month) in months {
            let at_home = items.of(report).iter().filter(|i| month_of(i) == (year, month));
            let elsewhere = strays
                .of(report)
                .iter()
                .filter(|i| month_of(i) != (year, month) && months.contains(&month_of(i)));
            let mut rows: Vec<&Item> = at_home.chain(elsewhere).collect();
            draws.shuffle(&mut rows);
            let spelled = if draws.yes() { format!("{month}") } else { format!("{month:02}") };
            let folder = root
                .join("data/parquet")
                .join(account)
                .join("OCP")
                .join(report.name)
                .join(format!("source={source}/year={year}/month={spelled}"));
            if rows.is_empty() && report.name != "pod_usage" {
                continue;
            }
            fs::create_dir_all(&folder).expect("a folder");
            let mut files = 1 + draws.below(3);
            while !rows.is_empty() || files > 0 {
                let take = if files <= 1 { rows.len() } else { draws.below(rows.len() + 1) };
                let some = rows.split_off(rows.len() - take);
                let path = folder.join(format!("{}.{files}.parquet", draws.below(1 << 30)));
                write_file(&path, report, &some, &mut draws);
                files = files.saturating_sub(1);
            }
        }
    }
}

fn month_of(item: &Item) -> (i32, u32) {
    (item.date().year(), item.date().month())
}

fn write_file(path: &Path, report: &ReportType, rows: &[&Item], draws: &mut Draws) {
    let columns = columns(report, rows, draws);
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("a batch");
    let group = 1 + draws.below(rows.len().max(1));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_dictionary_enabled(draws.yes())
        // Falls back to plain after a few values.
        .set_dictionary_page_size_limit(if draws.yes() { 16 } else { 1 << 20 })
        .set_data_page_row_count_limit(1 + draws.below(4))
        .set_write_batch_size(1 + draws.below(3))
        .set_statistics_enabled(match draws.below(3) {
            0 => EnabledStatistics::None,
            1 => EnabledStatistics::Chunk,
            _ => EnabledStatistics::Page,
        })
        .set_writer_version(match draws.yes() {
            true => WriterVersion::PARQUET_1_0,
            false => WriterVersion::PARQUET_2_0,
        })
        .set_compression(match draws.below(3) {
            0 => Compression::UNCOMPRESSED,
            1 => Compression::SNAPPY,
            _ => Compression::ZSTD(ZstdLevel::default()),
        })
        .build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows are written");
    writer.close().expect("a footer");
}

/// The file's columns in any order. One without values may be left out, if readers need not have it.
fn columns(
    report: &ReportType,
    rows: &[&Item],
    draws: &mut Draws,
) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = vec![("interval_start", times(rows, draws))];
    for &name in report.texts {
        let texts = rows.iter().map(|row| row.text(name));
        let all_null = texts.clone().all(|text| text.is_none());
        if all_null && !NEEDED.contains(&name) && draws.yes() {
            continue;
        }
        let array: ArrayRef = match draws.yes() {
            true => Arc::new(texts.collect::<StringArray>()),
            false => Arc::new(texts.collect::<LargeStringArray>()),
        };
        columns.push((name, array));
    }
    for &name in report.measures {
        let numbers: Vec<Option<f64>> =
            rows.iter().map(|row| row.measures.get(name).copied()).collect();
        if numbers.iter().all(Option::is_none) && draws.yes() {
            continue;
        }
        let present = || numbers.iter().flatten();
        let array: ArrayRef = match draws.below(3) {
            0 if present().all(|v| f64::from(*v as f32).to_bits() == v.to_bits()) => {
                Arc::new(numbers.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>())
            }
            1 if present()
                .all(|v| ((*v as i64) as f64).to_bits() == v.to_bits() && v.abs() < 1e18) =>
            {
                Arc::new(numbers.iter().map(|v| v.map(|v| v as i64)).collect::<Int64Array>())
            }
            _ => Arc::new(Float64Array::from(numbers)),
        };
        columns.push((name, array));
    }
    draws.shuffle(&mut columns);
    columns
}

/// Columns that a file must have, be they all null.
const NEEDED: [&str; 7] = [
    "namespace",
    "node",
    "pod",
    "persistentvolumeclaim",
    "persistentvolume",
    "node_labels",
    "namespace_labels",
];

fn times(rows: &[&Item], draws: &mut Draws) -> ArrayRef {
    let millis = rows.iter().map(|row| row.at);
    match draws.below(5) {
        0 => Arc::new(TimestampMicrosecondArray::from_iter_values(millis.map(|t| t * 1000))),
        1 => Arc::new(TimestampNanosecondArray::from_iter_values(millis.map(|t| t * 1_000_000))),
        2 => Arc::new(StringArray::from_iter_values(millis.map(|t| {
            let time = chrono::DateTime::from_timestamp_millis(t).expect("a time");
            time.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
        }))),
        _ => Arc::new(TimestampMillisecondArray::from_iter_values(millis)),
    }
}

/// Writes the lookups as CSV files into `folder`.
pub fn write_lookups(folder: &Path, lookups: &super::input::Lookups) {
    let table = |name: &str, header: &[&str], rows: Vec<Vec<&str>>| {
        let mut writer = csv::Writer::from_path(folder.join(name)).expect(name);
        writer.write_record(header).expect("a header");
        rows.iter().for_each(|row| writer.write_record(row).expect("a row"));
        writer.flush().expect("a file");
    };
    let mut keys: Vec<Vec<&str>> =
        lookups.enabled_keys.iter().map(|key| vec![key.as_str(), "true", "OCP"]).collect();
    keys.push(vec!["off", "false", "OCP"]);
    keys.push(vec!["off", "true", "AWS"]);
    table("enabled_tag_keys.csv", &["key", "enabled", "provider_type"], keys);
    let ids: Vec<String> = lookups.categories.iter().map(|(_, id)| id.to_string()).collect();
    let categories = lookups.categories.iter().zip(&ids);
    let categories = categories.map(|((pattern, _), id)| vec![pattern.as_str(), id]).collect();
    table("cost_category_namespace.csv", &["namespace", "cost_category_id"], categories);
    let null = |text: &'_ Option<String>| text.clone().unwrap_or("\\N".into());
    let nodes: Vec<[String; 3]> =
        lookups.nodes.iter().map(|(n, id, role)| [n.clone(), null(id), null(role)]).collect();
    let nodes = nodes.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    table("nodes.csv", &["node", "resource_id", "node_role"], nodes);
}
