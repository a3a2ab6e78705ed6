//! The columns of the summary, once, for every sink and for `verify`.

use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use super::row::{DayMeta, Measures, RowBatch, RowKind, SummaryRow, TextId};
use crate::aggregate::rows::POD_SUMS;

/// Measures of a pod or unallocated row, in the order of [`Measures::Pod`].
pub const POD_MEASURES: [&str; 14] = [
    "pod_usage_cpu_core_hours",
    "pod_request_cpu_core_hours",
    "pod_effective_usage_cpu_core_hours",
    "pod_limit_cpu_core_hours",
    "pod_usage_memory_gigabyte_hours",
    "pod_request_memory_gigabyte_hours",
    "pod_effective_usage_memory_gigabyte_hours",
    "pod_limit_memory_gigabyte_hours",
    "node_capacity_cpu_cores",
    "node_capacity_cpu_core_hours",
    "node_capacity_memory_gigabytes",
    "node_capacity_memory_gigabyte_hours",
    "cluster_capacity_cpu_core_hours",
    "cluster_capacity_memory_gigabyte_hours",
];

/// Measures of a storage row, in the order of [`Measures::Storage`].
pub const STORAGE_MEASURES: [&str; 4] = [
    "persistentvolumeclaim_capacity_gigabyte",
    "persistentvolumeclaim_capacity_gigabyte_months",
    "volume_request_storage_gigabyte_months",
    "persistentvolumeclaim_usage_gigabyte_months",
];

/// What SEMANTICS calls the usage cost of a row that has none yet.
pub const NO_COST: &str = r#"{"cpu":0.000000000,"memory":0.000000000,"storage":0.000000000}"#;

/// The type of a column in the typed sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Integer,
    Text,
    Date,
    /// `numeric(33,15)` in PostgreSQL, a double elsewhere.
    Numeric,
    Json,
    Uuid,
}

/// One value of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Integer(i32),
    Text(&'a str),
    Date(NaiveDate),
    Numeric(f64),
    Json(&'a str),
    Uuid(Uuid),
}

/// A column of the summary table (`uuid` aside), or of upstream's staging table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub column_type: ColumnType,
    /// Only in the file sinks: the extra columns of upstream's staging table.
    pub staging_only: bool,
    field: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ReportPeriod,
    CostCategory,
    ClusterId,
    ClusterAlias,
    DataSource,
    Namespace,
    Node,
    ResourceId,
    Date,
    PodLabels,
    PodMeasure(u8),
    Claim,
    Volume,
    StorageClass,
    VolumeLabels,
    AllLabels,
    StorageMeasure(u8),
    UsageCost,
    SourceUuid,
    /// Columns that later steps of Koku fill.
    NotComputed,
    CsiVolumeHandle,
    SourceText,
    Year,
    Month,
    Day,
}

const fn column(name: &'static str, column_type: ColumnType, field: Field) -> Column {
    Column { name, column_type, staging_only: false, field }
}

const fn staging(name: &'static str, field: Field) -> Column {
    Column { name, column_type: Text, staging_only: true, field }
}

use ColumnType::{Date, Integer, Json, Numeric, Text, Uuid as UuidType};

/// Every column in table order, then the staging-only ones.
pub const COLUMNS: [Column; 62] = [
    column("report_period_id", Integer, Field::ReportPeriod),
    column("cost_category_id", Integer, Field::CostCategory),
    column("cluster_id", Text, Field::ClusterId),
    column("cluster_alias", Text, Field::ClusterAlias),
    column("data_source", Text, Field::DataSource),
    column("namespace", Text, Field::Namespace),
    column("node", Text, Field::Node),
    column("resource_id", Text, Field::ResourceId),
    column("usage_start", Date, Field::Date),
    column("usage_end", Date, Field::Date),
    column("pod_labels", Json, Field::PodLabels),
    column(POD_MEASURES[0], Numeric, Field::PodMeasure(0)),
    column(POD_MEASURES[1], Numeric, Field::PodMeasure(1)),
    column(POD_MEASURES[2], Numeric, Field::PodMeasure(2)),
    column(POD_MEASURES[3], Numeric, Field::PodMeasure(3)),
    column(POD_MEASURES[4], Numeric, Field::PodMeasure(4)),
    column(POD_MEASURES[5], Numeric, Field::PodMeasure(5)),
    column(POD_MEASURES[6], Numeric, Field::PodMeasure(6)),
    column(POD_MEASURES[7], Numeric, Field::PodMeasure(7)),
    column(POD_MEASURES[8], Numeric, Field::PodMeasure(8)),
    column(POD_MEASURES[9], Numeric, Field::PodMeasure(9)),
    column(POD_MEASURES[10], Numeric, Field::PodMeasure(10)),
    column(POD_MEASURES[11], Numeric, Field::PodMeasure(11)),
    column(POD_MEASURES[12], Numeric, Field::PodMeasure(12)),
    column(POD_MEASURES[13], Numeric, Field::PodMeasure(13)),
    column("persistentvolumeclaim", Text, Field::Claim),
    column("persistentvolume", Text, Field::Volume),
    column("storageclass", Text, Field::StorageClass),
    column("volume_labels", Json, Field::VolumeLabels),
    column("all_labels", Json, Field::AllLabels),
    column(STORAGE_MEASURES[0], Numeric, Field::StorageMeasure(0)),
    column(STORAGE_MEASURES[1], Numeric, Field::StorageMeasure(1)),
    column(STORAGE_MEASURES[2], Numeric, Field::StorageMeasure(2)),
    column(STORAGE_MEASURES[3], Numeric, Field::StorageMeasure(3)),
    column("infrastructure_raw_cost", Numeric, Field::NotComputed),
    column("infrastructure_project_raw_cost", Numeric, Field::NotComputed),
    column("infrastructure_data_in_gigabytes", Numeric, Field::NotComputed),
    column("infrastructure_data_out_gigabytes", Numeric, Field::NotComputed),
    column("infrastructure_usage_cost", Json, Field::UsageCost),
    column("infrastructure_markup_cost", Numeric, Field::NotComputed),
    column("infrastructure_project_markup_cost", Numeric, Field::NotComputed),
    column("infrastructure_monthly_cost", Numeric, Field::NotComputed),
    column("infrastructure_monthly_cost_json", Json, Field::NotComputed),
    column("supplementary_usage_cost", Json, Field::NotComputed),
    column("supplementary_monthly_cost", Numeric, Field::NotComputed),
    column("supplementary_monthly_cost_json", Json, Field::NotComputed),
    column("infrastructure_project_monthly_cost", Json, Field::NotComputed),
    column("supplementary_project_monthly_cost", Json, Field::NotComputed),
    column("cost_model_cpu_cost", Numeric, Field::NotComputed),
    column("cost_model_memory_cost", Numeric, Field::NotComputed),
    column("cost_model_volume_cost", Numeric, Field::NotComputed),
    column("cost_model_gpu_cost", Numeric, Field::NotComputed),
    column("cost_model_rate_type", Text, Field::NotComputed),
    column("monthly_cost_type", Text, Field::NotComputed),
    column("source_uuid", UuidType, Field::SourceUuid),
    column("raw_currency", Text, Field::NotComputed),
    column("distributed_cost", Numeric, Field::NotComputed),
    staging("csi_volume_handle", Field::CsiVolumeHandle),
    staging("source", Field::SourceText),
    staging("year", Field::Year),
    staging("month", Field::Month),
    staging("day", Field::Day),
];

/// Texts that several rows share but no batch holds: rendered once a day by the file sinks.
#[derive(Debug, Clone)]
pub struct DayTexts {
    source: String,
    year: String,
    month: String,
    day: String,
}

impl DayTexts {
    pub fn new(day: &DayMeta) -> Self {
        DayTexts {
            source: day.source_uuid.to_string(),
            year: day.date.year().to_string(),
            month: day.date.month().to_string(),
            day: day.date.day().to_string(),
        }
    }
}

impl Column {
    /// Whether this program computes the column, or leaves it null for later steps of Koku.
    pub fn is_computed(&self) -> bool {
        self.field != Field::NotComputed
    }

    /// Whether all rows of a day have the same value: [`Column::of_day`].
    pub fn is_of_day(&self) -> bool {
        matches!(
            self.field,
            Field::ReportPeriod
                | Field::ClusterId
                | Field::ClusterAlias
                | Field::Date
                | Field::SourceUuid
                | Field::SourceText
                | Field::Year
                | Field::Month
                | Field::Day
        )
    }

    /// Whether it holds doubles that many rows share, as capacities are.
    pub fn is_shared(&self) -> bool {
        matches!(self.field, Field::PodMeasure(measure) if measure >= POD_SUMS as u8)
    }

    /// The value that all rows of a day have; null for a column that is not such.
    pub fn of_day<'a>(&self, meta: &'a DayMeta, day: &'a DayTexts) -> Value<'a> {
        let optional = |t: &'a Option<String>| t.as_deref().map_or(Value::Null, Value::Text);
        match self.field {
            Field::ReportPeriod => meta.report_period_id.map_or(Value::Null, Value::Integer),
            Field::ClusterId => optional(&meta.cluster_id),
            Field::ClusterAlias => optional(&meta.cluster_alias),
            Field::Date => Value::Date(meta.date),
            Field::SourceUuid => Value::Uuid(meta.source_uuid),
            Field::SourceText => Value::Text(&day.source),
            Field::Year => Value::Text(&day.year),
            Field::Month => Value::Text(&day.month),
            Field::Day => Value::Text(&day.day),
            _ => Value::Null,
        }
    }

    /// What `row` itself has for this column; null for a column that is the day's.
    #[inline]
    pub fn cell(&self, row: &SummaryRow) -> Cell {
        match self.field {
            Field::CostCategory => row.cost_category_id.map_or(Cell::Null, Cell::Integer),
            Field::DataSource => Cell::Fixed(row.kind.data_source()),
            Field::Namespace => Cell::text(row.namespace),
            Field::Node => Cell::text(row.node),
            Field::ResourceId => Cell::text(row.resource_id),
            Field::PodLabels => Cell::text(row.pod_labels),
            Field::PodMeasure(i) => match &row.measures {
                Measures::Pod(values) => Cell::number(values[i as usize]),
                Measures::Storage(_) => Cell::Null,
            },
            Field::Claim => Cell::text(row.persistentvolumeclaim),
            Field::Volume => Cell::text(row.persistentvolume),
            Field::StorageClass => Cell::text(row.storageclass),
            Field::VolumeLabels => Cell::text(row.volume_labels),
            // A row has pod labels or volume labels, never both.
            Field::AllLabels => match (row.pod_labels, row.volume_labels) {
                (TextId::NULL, TextId::NULL) => Cell::Fixed("{}"),
                (TextId::NULL, labels) | (labels, _) => Cell::Text(labels),
            },
            Field::StorageMeasure(i) => match &row.measures {
                Measures::Pod(_) => Cell::Null,
                Measures::Storage(values) => Cell::number(values[i as usize]),
            },
            Field::UsageCost => match row.kind {
                RowKind::Unallocated => Cell::Null,
                RowKind::Pod | RowKind::Storage => Cell::Fixed(NO_COST),
            },
            Field::CsiVolumeHandle => Cell::text(row.csi_volume_handle),
            Field::ReportPeriod
            | Field::ClusterId
            | Field::ClusterAlias
            | Field::Date
            | Field::SourceUuid
            | Field::NotComputed
            | Field::SourceText
            | Field::Year
            | Field::Month
            | Field::Day => Cell::Null,
        }
    }

    /// The value of this column in `row`.
    pub fn value<'a>(&self, batch: &'a RowBatch, day: &'a DayTexts, row: &SummaryRow) -> Value<'a> {
        let text = |text: &'a str| match self.column_type {
            Json => Value::Json(text),
            _ => Value::Text(text),
        };
        match self.cell(row) {
            Cell::Null if self.is_of_day() => self.of_day(&batch.day, day),
            Cell::Null => Value::Null,
            Cell::Text(id) => batch.text(id).map_or(Value::Null, text),
            Cell::Fixed(fixed) => text(fixed),
            Cell::Integer(integer) => Value::Integer(integer),
            Cell::Number(number) => Value::Numeric(number),
        }
    }
}

/// What a row has for a column, texts as it holds them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    Null,
    /// A text of the row's batch; not the null one.
    Text(TextId),
    /// The same text in all batches.
    Fixed(&'static str),
    Integer(i32),
    /// Not NaN.
    Number(f64),
}

impl Cell {
    #[inline]
    fn text(id: TextId) -> Self {
        if id.is_null() { Cell::Null } else { Cell::Text(id) }
    }

    #[inline]
    fn number(number: f64) -> Self {
        if number.is_nan() { Cell::Null } else { Cell::Number(number) }
    }
}
