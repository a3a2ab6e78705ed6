//! The columns of Koku's files, hourly and daily, and row-wise building of record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

/// The four report types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    PodUsage,
    StorageUsage,
    NodeLabels,
    NamespaceLabels,
}

impl Report {
    pub const ALL: [Self; 4] =
        [Self::PodUsage, Self::StorageUsage, Self::NodeLabels, Self::NamespaceLabels];

    /// As in folder and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PodUsage => "pod_usage",
            Self::StorageUsage => "storage_usage",
            Self::NodeLabels => "node_labels",
            Self::NamespaceLabels => "namespace_labels",
        }
    }

    /// Names and kinds of the columns, in the order of the files.
    pub fn columns(self, grain: Grain) -> &'static [(&'static str, Kind)] {
        match (self, grain) {
            (Self::PodUsage, Grain::Hourly) => POD_HOURLY,
            (Self::PodUsage, Grain::Daily) => POD_DAILY,
            (Self::StorageUsage, Grain::Hourly) => STORAGE_HOURLY,
            (Self::StorageUsage, Grain::Daily) => STORAGE_DAILY,
            (Self::NodeLabels, Grain::Hourly) => NODE_HOURLY,
            (Self::NodeLabels, Grain::Daily) => NODE_DAILY,
            (Self::NamespaceLabels, Grain::Hourly) => NAMESPACE_HOURLY,
            (Self::NamespaceLabels, Grain::Daily) => NAMESPACE_DAILY,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Hourly,
    Daily,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Milliseconds since 1970 by the UTC wall clock.
    Time,
    Text,
    Number,
}

use Kind::{Number, Text, Time};

const POD_HOURLY: &[(&str, Kind)] = &[
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("interval_start", Time),
    ("interval_end", Time),
    ("pod", Text),
    ("namespace", Text),
    ("node", Text),
    ("resource_id", Text),
    ("pod_usage_cpu_core_seconds", Number),
    ("pod_request_cpu_core_seconds", Number),
    ("pod_limit_cpu_core_seconds", Number),
    ("pod_usage_memory_byte_seconds", Number),
    ("pod_request_memory_byte_seconds", Number),
    ("pod_limit_memory_byte_seconds", Number),
    ("node_capacity_cpu_cores", Number),
    ("node_capacity_cpu_core_seconds", Number),
    ("node_capacity_memory_bytes", Number),
    ("node_capacity_memory_byte_seconds", Number),
    ("pod_labels", Text),
    ("pod_effective_usage_cpu_core_seconds", Number),
    ("pod_effective_usage_memory_byte_seconds", Number),
];

const POD_DAILY: &[(&str, Kind)] = &[
    ("namespace", Text),
    ("node", Text),
    ("pod", Text),
    ("pod_labels", Text),
    ("interval_start", Time),
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("resource_id", Text),
    ("pod_usage_cpu_core_seconds", Number),
    ("pod_request_cpu_core_seconds", Number),
    ("pod_effective_usage_cpu_core_seconds", Number),
    ("pod_limit_cpu_core_seconds", Number),
    ("pod_usage_memory_byte_seconds", Number),
    ("pod_request_memory_byte_seconds", Number),
    ("pod_effective_usage_memory_byte_seconds", Number),
    ("pod_limit_memory_byte_seconds", Number),
    ("node_capacity_cpu_cores", Number),
    ("node_capacity_cpu_core_seconds", Number),
    ("node_capacity_memory_bytes", Number),
    ("node_capacity_memory_byte_seconds", Number),
    ("node_role", Text),
];

const STORAGE_HOURLY: &[(&str, Kind)] = &[
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("interval_start", Time),
    ("interval_end", Time),
    ("namespace", Text),
    ("pod", Text),
    ("node", Text),
    ("persistentvolumeclaim", Text),
    ("persistentvolume", Text),
    ("storageclass", Text),
    ("csi_driver", Text),
    ("csi_volume_handle", Text),
    ("persistentvolumeclaim_capacity_bytes", Number),
    ("persistentvolumeclaim_capacity_byte_seconds", Number),
    ("volume_request_storage_byte_seconds", Number),
    ("persistentvolumeclaim_usage_byte_seconds", Number),
    ("persistentvolume_labels", Text),
    ("persistentvolumeclaim_labels", Text),
];

const STORAGE_DAILY: &[(&str, Kind)] = &[
    ("namespace", Text),
    ("node", Text),
    ("pod", Text),
    ("persistentvolumeclaim", Text),
    ("persistentvolume", Text),
    ("storageclass", Text),
    ("csi_driver", Text),
    ("csi_volume_handle", Text),
    ("persistentvolume_labels", Text),
    ("persistentvolumeclaim_labels", Text),
    ("interval_start", Time),
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("persistentvolumeclaim_capacity_bytes", Number),
    ("persistentvolumeclaim_capacity_byte_seconds", Number),
    ("volume_request_storage_byte_seconds", Number),
    ("persistentvolumeclaim_usage_byte_seconds", Number),
];

const NODE_HOURLY: &[(&str, Kind)] = &[
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("interval_start", Time),
    ("interval_end", Time),
    ("node", Text),
    ("node_labels", Text),
];

const NODE_DAILY: &[(&str, Kind)] = &[
    ("node", Text),
    ("node_labels", Text),
    ("interval_start", Time),
    ("report_period_start", Time),
    ("report_period_end", Time),
];

const NAMESPACE_HOURLY: &[(&str, Kind)] = &[
    ("report_period_start", Time),
    ("report_period_end", Time),
    ("interval_start", Time),
    ("interval_end", Time),
    ("namespace", Text),
    ("namespace_labels", Text),
];

const NAMESPACE_DAILY: &[(&str, Kind)] = &[
    ("namespace", Text),
    ("namespace_labels", Text),
    ("interval_start", Time),
    ("report_period_start", Time),
    ("report_period_end", Time),
];

/// Builders of the columns of one kind of file, fed row by row.
#[derive(Debug)]
pub struct Columns {
    schema: SchemaRef,
    kinds: Vec<Kind>,
    times: Vec<TimestampMillisecondBuilder>,
    texts: Vec<StringBuilder>,
    numbers: Vec<Float64Builder>,
    rows: usize,
}

impl Columns {
    /// For `columns`, by name and kind; the schema has them in this order.
    pub fn new(columns: &[(&'static str, Kind)]) -> Self {
        let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| *kind).collect();
        let count = |wanted: Kind| kinds.iter().filter(|kind| **kind == wanted).count();
        let field = |(name, kind): &(&str, Kind)| {
            let data_type = match kind {
                Time => DataType::Timestamp(TimeUnit::Millisecond, None),
                Text => DataType::Utf8,
                Number => DataType::Float64,
            };
            Field::new(*name, data_type, true)
        };
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            times: (0..count(Time)).map(|_| TimestampMillisecondBuilder::new()).collect(),
            texts: (0..count(Text)).map(|_| StringBuilder::new()).collect(),
            numbers: (0..count(Number)).map(|_| Float64Builder::new()).collect(),
            kinds,
            rows: 0,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About the bytes that the rows since the last batch take.
    pub fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|builder| builder.values_slice().len()).sum();
        texts + self.rows * self.kinds.len() * 8
    }

    /// Appends a row: the values of each kind, in the order of the columns. A row with too few
    /// values makes the next [`Columns::batch`] fail.
    pub fn push(&mut self, times: &[i64], texts: &[Option<&str>], numbers: &[Option<f64>]) {
        self.rows += 1;
        for (builder, value) in self.times.iter_mut().zip(times) {
            builder.append_value(*value);
        }
        for (builder, value) in self.texts.iter_mut().zip(texts) {
            builder.append_option(*value);
        }
        for (builder, value) in self.numbers.iter_mut().zip(numbers) {
            builder.append_option(*value);
        }
    }

    /// The rows so far, which are then forgotten.
    ///
    /// # Errors
    /// If the columns are not of the same length.
    pub fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let mut times = self.times.iter_mut();
        let mut texts = self.texts.iter_mut();
        let mut numbers = self.numbers.iter_mut();
        let arrays: Vec<ArrayRef> = self
            .kinds
            .iter()
            .filter_map(|kind| match kind {
                Time => times.next().map(|builder| Arc::new(builder.finish()) as ArrayRef),
                Text => texts.next().map(|builder| Arc::new(builder.finish()) as ArrayRef),
                Number => numbers.next().map(|builder| Arc::new(builder.finish()) as ArrayRef),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}
