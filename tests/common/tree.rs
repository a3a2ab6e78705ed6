//! Trees of Parquet files in Koku's layout, from rows given in a test.
//!
//! ```ignore
//! let tree = Tree::new();
//! tree.add(&Table::pods([pod(), pod().with("node", Value::Null)]));
//! tree.add(&Table::storage([storage()]).typed("pod", Type::LargeText).without("storageclass"));
//! ```

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use uuid::Uuid;

use super::line_items::{Row, Value, pod};
use super::rows::SOURCE;

/// The account part of the paths.
pub const ORG: &str = "org1234567";
/// The month that rows and files belong to where a test does not say.
pub const MONTH: &str = "2025-10";

/// What a column is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    LargeText,
    /// Bytes without a promise of UTF-8.
    Bytes,
    Boolean,
    Integer,
    Float,
    Double,
    Millis,
    Micros,
    Nanos,
}

/// A file: rows of one report type, in columns of the types that Koku writes, or others.
#[derive(Debug, Clone)]
pub struct Table {
    report_type: &'static str,
    columns: Vec<(&'static str, Type)>,
    dropped: Vec<String>,
    rows: Vec<Row>,
    properties: WriterProperties,
}

impl Table {
    /// One pod in the first hour of each of these days of [`MONTH`].
    pub fn pods_of_days(days: RangeInclusive<u32>) -> Self {
        Table::pods(days.map(|day| pod().at(&format!("{MONTH}-{day:02} 00:00"))))
    }

    pub fn pods(rows: impl IntoIterator<Item = Row>) -> Self {
        let texts = ["namespace", "node", "pod", "resource_id", "pod_labels"];
        let numbers = [
            "pod_usage_cpu_core_seconds",
            "pod_request_cpu_core_seconds",
            "pod_limit_cpu_core_seconds",
            "pod_effective_usage_cpu_core_seconds",
            "pod_usage_memory_byte_seconds",
            "pod_request_memory_byte_seconds",
            "pod_limit_memory_byte_seconds",
            "pod_effective_usage_memory_byte_seconds",
            "node_capacity_cpu_cores",
            "node_capacity_cpu_core_seconds",
            "node_capacity_memory_bytes",
            "node_capacity_memory_byte_seconds",
        ];
        Table::of("pod_usage", &texts, &numbers, rows)
    }

    pub fn storage(rows: impl IntoIterator<Item = Row>) -> Self {
        let texts = [
            "namespace",
            "pod",
            "persistentvolumeclaim",
            "persistentvolume",
            "storageclass",
            "csi_driver",
            "csi_volume_handle",
            "persistentvolume_labels",
            "persistentvolumeclaim_labels",
        ];
        let numbers = [
            "persistentvolumeclaim_capacity_bytes",
            "persistentvolumeclaim_capacity_byte_seconds",
            "volume_request_storage_byte_seconds",
            "persistentvolumeclaim_usage_byte_seconds",
        ];
        Table::of("storage_usage", &texts, &numbers, rows)
    }

    pub fn node_labels(rows: impl IntoIterator<Item = Row>) -> Self {
        Table::of("node_labels", &["node", "node_labels"], &[], rows)
    }

    pub fn namespace_labels(rows: impl IntoIterator<Item = Row>) -> Self {
        Table::of("namespace_labels", &["namespace", "namespace_labels"], &[], rows)
    }

    fn of(
        report_type: &'static str,
        texts: &[&'static str],
        numbers: &[&'static str],
        rows: impl IntoIterator<Item = Row>,
    ) -> Self {
        let mut columns = vec![("interval_start", Type::Millis)];
        columns.extend(texts.iter().map(|&name| (name, Type::Text)));
        columns.extend(numbers.iter().map(|&name| (name, Type::Double)));
        let rows = rows.into_iter().collect();
        let properties = WriterProperties::default();
        Table { report_type, columns, dropped: Vec::new(), rows, properties }
            .written(|properties| properties.set_compression(Compression::SNAPPY))
    }

    pub fn without(mut self, column: &str) -> Self {
        self.columns.retain(|(name, _)| *name != column);
        self.dropped.push(column.to_owned());
        self
    }

    pub fn typed(mut self, column: &str, r#type: Type) -> Self {
        for (name, known) in &mut self.columns {
            if *name == column {
                *known = r#type;
            }
        }
        self
    }

    /// Adds a column that Koku does not write.
    pub fn and(mut self, column: &'static str, r#type: Type) -> Self {
        self.columns.push((column, r#type));
        self
    }

    /// Changes how the file is written.
    pub fn written(
        mut self,
        change: impl FnOnce(WriterPropertiesBuilder) -> WriterPropertiesBuilder,
    ) -> Self {
        self.properties = change(self.properties.into_builder()).build();
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        for column in self.rows.iter().flat_map(Row::columns) {
            let known = self.columns.iter().any(|(name, _)| *name == column);
            assert!(known || self.dropped.iter().any(|d| d == column), "no column {column}");
        }
        let arrays: Vec<ArrayRef> =
            self.columns.iter().map(|&(name, r#type)| self.array(name, r#type)).collect();
        let fields: Vec<Field> = self
            .columns
            .iter()
            .zip(&arrays)
            .map(|((name, _), array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(self.properties.clone())).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn array(&self, column: &str, r#type: Type) -> ArrayRef {
        let values = || self.rows.iter().map(|row| row.get(column));
        let micros = || values().map(Value::micros);
        match r#type {
            Type::Text => Arc::new(values().map(Value::text).collect::<StringArray>()),
            Type::LargeText => Arc::new(values().map(Value::text).collect::<LargeStringArray>()),
            Type::Bytes => Arc::new(values().map(Value::bytes).collect::<BinaryArray>()),
            Type::Boolean => {
                let truths = values().map(|value| value.number().map(|n| n != 0.0));
                Arc::new(truths.collect::<BooleanArray>())
            }
            Type::Integer => {
                let integers = values().map(|value| value.number().map(|n| n as i64));
                Arc::new(integers.collect::<Int64Array>())
            }
            Type::Float => {
                let floats = values().map(|value| value.number().map(|n| n as f32));
                Arc::new(floats.collect::<Float32Array>())
            }
            Type::Double => Arc::new(values().map(Value::number).collect::<Float64Array>()),
            Type::Millis => {
                let millis = micros().map(|time| time.map(|t| t / 1000));
                Arc::new(millis.collect::<TimestampMillisecondArray>())
            }
            Type::Micros => Arc::new(micros().collect::<TimestampMicrosecondArray>()),
            Type::Nanos => {
                let nanos = micros().map(|time| time.map(|t| t * 1000));
                Arc::new(nanos.collect::<TimestampNanosecondArray>())
            }
        }
    }
}

/// A folder that holds `data/`, removed in the end.
pub struct Tree {
    dir: tempfile::TempDir,
    files: Cell<u32>,
}

impl Tree {
    pub fn new() -> Self {
        Tree { dir: tempfile::tempdir().unwrap(), files: Cell::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a file to [`MONTH`] of [`SOURCE`].
    pub fn add(&self, table: &Table) -> PathBuf {
        self.add_to(SOURCE, MONTH, table)
    }

    pub fn add_to(&self, source: Uuid, month: &str, table: &Table) -> PathBuf {
        self.add_bytes(source, month, table.report_type, &table.bytes())
    }

    /// Adds a file that holds anything at all.
    pub fn add_bytes(&self, source: Uuid, month: &str, report_type: &str, bytes: &[u8]) -> PathBuf {
        let number = self.files.replace(self.files.get() + 1);
        let path = self.folder(source, month, report_type).join(format!("{number}.parquet"));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The folder of a report type's files of a month, made if it is not there.
    pub fn folder(&self, source: Uuid, month: &str, report_type: &str) -> PathBuf {
        let (year, month) = month.split_once('-').unwrap();
        let folder = self.path().join(format!(
            "data/parquet/{ORG}/OCP/{report_type}/source={source}/year={year}/month={month}"
        ));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}
