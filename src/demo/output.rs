//! Sums of a summary file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::Float64Array;

use super::columns::{self, Columns, number, text};
use super::{DemoError, Pair, Usage};

/// A day since 1970-01-01.
pub type Day = i32;

/// What the rows of a summary add up to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub rows: u64,
    /// By namespace, of the pod rows.
    pub namespaces: BTreeMap<String, Usage>,
    pub nodes: BTreeMap<(Day, String), NodeDay>,
    /// The least and the greatest capacity of the cluster that any row of a day shows.
    pub cluster: BTreeMap<Day, (Pair, Pair)>,
    pub storage: Storage,
}

/// A node on a day.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodeDay {
    /// Of its pod rows.
    pub pods: Usage,
    /// Of its unallocated row.
    pub left: Usage,
    pub capacity: Pair,
    /// Its unallocated rows: one, if each row counts once.
    pub unallocated_rows: u32,
    pub group: Group,
}

/// Whom the unallocated part of a node belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Platform,
    Worker,
    #[default]
    Unknown,
}

/// The storage rows, in GiB-months.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// By namespace and name.
    pub claims: BTreeSet<(String, String)>,
    pub capacity: f64,
    pub requested: f64,
    pub used: f64,
}

const TEXTS: [&str; 5] =
    ["data_source", "namespace", "node", "pod_labels", "persistentvolumeclaim"];
const USAGE: [&str; 6] = [
    "pod_usage_cpu_core_hours",
    "pod_usage_memory_gigabyte_hours",
    "pod_request_cpu_core_hours",
    "pod_request_memory_gigabyte_hours",
    "pod_effective_usage_cpu_core_hours",
    "pod_effective_usage_memory_gigabyte_hours",
];
const CAPACITY: [&str; 4] = [
    "node_capacity_cpu_core_hours",
    "node_capacity_memory_gigabyte_hours",
    "cluster_capacity_cpu_core_hours",
    "cluster_capacity_memory_gigabyte_hours",
];
const STORAGE: [&str; 3] = [
    "persistentvolumeclaim_capacity_gigabyte_months",
    "volume_request_storage_gigabyte_months",
    "persistentvolumeclaim_usage_gigabyte_months",
];
const DATE: &str = "usage_start";

/// Reads the summary at `path`, one that self-hosted null rules made: a pod row has labels then,
/// if only `{}`, and an unallocated row has none.
///
/// # Errors
/// A file that cannot be read, or is not as the Parquet sink writes it.
pub fn sums(path: &Path) -> Result<Summary, DemoError> {
    let names: Vec<&'static str> =
        [&TEXTS[..], &USAGE, &CAPACITY, &STORAGE, &[DATE]].into_iter().flatten().copied().collect();
    let mut summary = Summary::default();
    columns::read(path, &names, |rows| summary.add(rows))?;
    Ok(summary)
}

impl Summary {
    fn add(&mut self, rows: &Columns<'_>) -> Result<(), DemoError> {
        let source = rows.texts("data_source")?;
        let namespace = rows.texts("namespace")?;
        let node = rows.texts("node")?;
        let pod_labels = rows.texts("pod_labels")?;
        let claim = rows.texts("persistentvolumeclaim")?;
        let usage = rows.all_numbers(&USAGE)?;
        let capacity = rows.all_numbers(&CAPACITY)?;
        let storage = rows.all_numbers(&STORAGE)?;
        let date = rows.dates(DATE)?;
        for row in 0..rows.rows() {
            self.rows += 1;
            let namespace = text(namespace, row).unwrap_or_default();
            if text(source, row) == Some("Storage") {
                let [capacity, requested, used] = values(&storage, row);
                let claim = text(claim, row).unwrap_or_default();
                self.storage.claims.insert((namespace.to_owned(), claim.to_owned()));
                self.storage.capacity += capacity;
                self.storage.requested += requested;
                self.storage.used += used;
                continue;
            }
            let [used_cpu, used_memory, requested_cpu, requested_memory, cpu, memory] =
                values(&usage, row);
            let usage = Usage {
                used: Pair { cpu: used_cpu, memory: used_memory },
                requested: Pair { cpu: requested_cpu, memory: requested_memory },
                effective: Pair { cpu, memory },
            };
            let [cpu, memory, cluster_cpu, cluster_memory] = values(&capacity, row);
            let day = date.value(row);
            let node = text(node, row).unwrap_or_default().to_owned();
            let node = self.nodes.entry((day, node)).or_default();
            node.capacity = Pair { cpu, memory };
            if text(pod_labels, row).is_some() {
                node.pods.add(usage);
                self.namespaces.entry(namespace.to_owned()).or_default().add(usage);
            } else {
                node.left.add(usage);
                node.unallocated_rows += 1;
                node.group = match namespace {
                    "Platform unallocated" => Group::Platform,
                    "Worker unallocated" => Group::Worker,
                    _ => Group::Unknown,
                };
            }
            let cluster = Pair { cpu: cluster_cpu, memory: cluster_memory };
            let (least, most) = self.cluster.entry(day).or_insert((cluster, cluster));
            least.cpu = least.cpu.min(cluster.cpu);
            least.memory = least.memory.min(cluster.memory);
            most.cpu = most.cpu.max(cluster.cpu);
            most.memory = most.memory.max(cluster.memory);
        }
        Ok(())
    }

    /// All pod rows together.
    pub fn pods(&self) -> Usage {
        let mut all = Usage::default();
        self.namespaces.values().for_each(|usage| all.add(*usage));
        all
    }

    /// All nodes and days together.
    pub fn capacity(&self) -> Pair {
        let mut all = Pair::default();
        self.nodes.values().for_each(|node| all.add(node.capacity));
        all
    }
}

fn values<const N: usize>(columns: &[&Float64Array], row: usize) -> [f64; N] {
    std::array::from_fn(|column| number(columns[column], row))
}
