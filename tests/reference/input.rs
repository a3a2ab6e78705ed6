//! What goes in: line items, lookups, rules.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

/// A report type: its folder, its text columns, its label columns among them, its measures.
pub struct ReportType {
    pub name: &'static str,
    pub texts: &'static [&'static str],
    pub measures: &'static [&'static str],
}

pub const POD_USAGE: ReportType = ReportType {
    name: "pod_usage",
    texts: &["namespace", "node", "pod", "resource_id", "pod_labels"],
    measures: &[
        "pod_usage_cpu_core_seconds",
        "pod_request_cpu_core_seconds",
        "pod_limit_cpu_core_seconds",
        "pod_usage_memory_byte_seconds",
        "pod_request_memory_byte_seconds",
        "pod_limit_memory_byte_seconds",
        "node_capacity_cpu_cores",
        "node_capacity_cpu_core_seconds",
        "node_capacity_memory_bytes",
        "node_capacity_memory_byte_seconds",
        "pod_effective_usage_cpu_core_seconds",
        "pod_effective_usage_memory_byte_seconds",
    ],
};

pub const STORAGE_USAGE: ReportType = ReportType {
    name: "storage_usage",
    texts: &[
        "namespace",
        "pod",
        "persistentvolumeclaim",
        "persistentvolume",
        "storageclass",
        "csi_driver",
        "csi_volume_handle",
        "persistentvolume_labels",
        "persistentvolumeclaim_labels",
    ],
    measures: &[
        "persistentvolumeclaim_capacity_bytes",
        "persistentvolumeclaim_capacity_byte_seconds",
        "volume_request_storage_byte_seconds",
        "persistentvolumeclaim_usage_byte_seconds",
    ],
};

pub const NODE_LABELS: ReportType =
    ReportType { name: "node_labels", texts: &["node", "node_labels"], measures: &[] };

pub const NAMESPACE_LABELS: ReportType = ReportType {
    name: "namespace_labels",
    texts: &["namespace", "namespace_labels"],
    measures: &[],
};

pub const TYPES: [&ReportType; 4] = [&POD_USAGE, &STORAGE_USAGE, &NODE_LABELS, &NAMESPACE_LABELS];

/// A row of any type. What is null has no entry.
#[derive(Clone, PartialEq)]
pub struct Item {
    /// `interval_start`, milliseconds since 1970 UTC.
    pub at: i64,
    pub texts: BTreeMap<&'static str, String>,
    pub measures: BTreeMap<&'static str, f64>,
}

impl Item {
    pub fn text(&self, column: &'static str) -> Option<&str> {
        self.texts.get(column).map(String::as_str)
    }

    /// `None` if null or NaN.
    pub fn measure(&self, column: &'static str) -> Option<f64> {
        self.measures.get(column).copied().filter(|v| !v.is_nan())
    }

    pub fn date(&self) -> NaiveDate {
        chrono::DateTime::from_timestamp_millis(self.at).expect("a date").date_naive()
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = chrono::DateTime::from_timestamp_millis(self.at).expect("a date");
        write!(f, "{}", at.format("%Y-%m-%dT%H:%M:%S%.f"))?;
        self.texts.iter().try_for_each(|(k, v)| write!(f, " {k}={v:?}"))?;
        self.measures.iter().try_for_each(|(k, v)| write!(f, " {k}={v:?}"))
    }
}

/// The rows of one source, by the name of their type.
#[derive(Clone, PartialEq, Default)]
pub struct Items(pub BTreeMap<&'static str, Vec<Item>>);

impl Items {
    pub fn of(&self, report: &ReportType) -> &[Item] {
        self.0.get(report.name).map_or(&[], Vec::as_slice)
    }

    /// The rows of one day.
    pub fn on(&self, date: NaiveDate) -> Items {
        let pick = |items: &Vec<Item>| items.iter().filter(|i| i.date() == date).cloned().collect();
        Items(self.0.iter().map(|(name, items)| (*name, pick(items))).collect())
    }
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, items)| {
            items.iter().try_for_each(|item| write!(f, "\n    {name} {item:?}"))
        })
    }
}

#[derive(Debug, Clone, Default)]
pub struct Lookups {
    pub enabled_keys: BTreeSet<String>,
    /// LIKE pattern, category.
    pub categories: Vec<(String, i32)>,
    /// Node, resource id, role.
    pub nodes: Vec<(String, Option<String>, Option<String>)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Multiply as upstream's joins do.
    pub fan_out: bool,
    /// Trino's rules about nulls.
    pub trino: bool,
}

/// What all rows of a run say.
#[derive(Debug, Clone)]
pub struct Run {
    pub source: String,
    pub report_period_id: i32,
    pub cluster_id: Option<String>,
    pub cluster_alias: Option<String>,
    /// First and last day, within one month.
    pub days: (NaiveDate, NaiveDate),
}
