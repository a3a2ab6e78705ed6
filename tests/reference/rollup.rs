//! The rules, a day at a time, with nothing in mind but being plainly right.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use super::exact::ExactSum;
use super::input::{Item, Items, Lookups, NAMESPACE_LABELS, NODE_LABELS, POD_USAGE, ReportType};
use super::input::{Rules, Run};
use super::labels::{Labels, filtered, like, merged};
use super::output::{Cell, NO_COST, Row, spelled};
use super::storage;

pub const GIGABYTE: f64 = 1.0 / (1u64 << 30) as f64;

/// A day of one source, with what it takes to understand it.
pub struct Day<'a> {
    pub items: &'a Items,
    pub lookups: &'a Lookups,
    pub rules: Rules,
    pub keys: BTreeSet<String>,
    pub date: NaiveDate,
}

/// The summary rows of `run`.
pub fn rollup(run: &Run, items: &Items, lookups: &Lookups, rules: Rules) -> Vec<Row> {
    let mut keys = lookups.enabled_keys.clone();
    if !(rules.trino && keys.is_empty()) {
        keys.insert("vm_kubevirt_io_name".into());
    }
    let mut rows = Vec::new();
    for date in run.days.0.iter_days().take_while(|date| *date <= run.days.1) {
        let items = items.on(date);
        let day = Day { items: &items, lookups, rules, keys: keys.clone(), date };
        let pods = day.pods();
        let unallocated = day.unallocated(&pods);
        for mut row in pods.into_iter().chain(unallocated).chain(storage::rows(&day)) {
            complete(&mut row, run, date);
            rows.push(row);
        }
    }
    rows
}

fn complete(row: &mut Row, run: &Run, date: NaiveDate) {
    row.text("report_period_id", Some(&run.report_period_id.to_string()));
    row.text("cluster_id", run.cluster_id.as_deref());
    row.text("cluster_alias", run.cluster_alias.as_deref());
    row.text("usage_start", Some(&date.to_string()));
    row.text("usage_end", Some(&date.to_string()));
    row.text("source_uuid", Some(&run.source));
    row.text("source", Some(&run.source));
    row.text("year", Some(&date.year().to_string()));
    row.text("month", Some(&date.month().to_string()));
    row.text("day", Some(&date.day().to_string()));
    let labels = ["pod_labels", "volume_labels"].iter().find_map(|column| row.0.get(column));
    let all = labels.cloned().unwrap_or(Cell::Labels(Labels::new()));
    row.0.insert("all_labels", all);
}

/// The sum of what is there, each as often as its row counts.
pub fn sum(values: impl IntoIterator<Item = (Option<f64>, u64)>) -> Option<f64> {
    let mut sum = ExactSum::new();
    for (value, times) in values {
        if let Some(value) = value {
            sum.add(value, times);
        }
    }
    sum.value()
}

pub fn max(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().reduce(f64::max)
}

/// Labels of a row's group: `None` is a null.
pub type GroupLabels = Option<Labels>;

impl Day<'_> {
    fn objects(
        &self,
        report: &ReportType,
        column: &'static str,
        name: Option<&str>,
    ) -> Vec<Labels> {
        let labels_column = report.texts[1];
        let mut rows: Vec<&Item> = match name {
            // Null is equal to nothing.
            None => Vec::new(),
            Some(_) => {
                self.items.of(report).iter().filter(|item| item.text(column) == name).collect()
            }
        };
        if !self.rules.fan_out {
            let latest = rows.iter().map(|item| item.at).max();
            rows.retain(|item| Some(item.at) == latest);
        }
        // To Trino's join a null is an object of its own, which lends as little as `{}`.
        let mut objects: BTreeSet<GroupLabels> =
            rows.iter().map(|item| self.object(item.text(labels_column))).collect();
        if !self.rules.fan_out {
            // Of several at one moment the greatest JSON text, so that it is always the same.
            let last = objects.into_iter().max_by_key(|object| object.as_ref().map(spelled));
            objects = last.into_iter().collect();
        }
        if objects.is_empty() {
            return vec![Labels::new()];
        }
        objects.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// A label text filtered; by Trino's rules no text is no object.
    fn object(&self, text: Option<&str>) -> GroupLabels {
        if self.rules.trino && text.is_none_or(str::is_empty) {
            return None;
        }
        Some(filtered(text, &self.keys))
    }

    /// The label objects that `node` shows this day; at least one.
    pub fn node_objects(&self, node: Option<&str>) -> Vec<Labels> {
        self.objects(&NODE_LABELS, "node", node)
    }

    /// The label objects that `namespace` shows this day; at least one.
    pub fn namespace_objects(&self, namespace: Option<&str>) -> Vec<Labels> {
        self.objects(&NAMESPACE_LABELS, "namespace", namespace)
    }

    /// The categories whose pattern matches.
    pub fn categories(&self, namespace: Option<&str>) -> Vec<i32> {
        let Some(namespace) = namespace else { return Vec::new() };
        let all = self.lookups.categories.iter();
        all.filter(|(pattern, _)| like(namespace, pattern)).map(|(_, id)| *id).collect()
    }

    /// How often the category join counts each row.
    pub fn times(&self, namespace: Option<&str>) -> u64 {
        if self.rules.fan_out { self.categories(namespace).len().max(1) as u64 } else { 1 }
    }

    /// `own` merged over `under`; the text of a null column makes it null by Trino's rules.
    pub fn group_labels(&self, under: &[&Labels], own: &[Option<&str>]) -> GroupLabels {
        let own: Vec<Labels> = own.iter().map(|text| self.object(*text)).collect::<Option<_>>()?;
        let layers: Vec<&Labels> = under.iter().copied().chain(&own).collect();
        Some(merged(&layers))
    }

    pub fn category(&self, row: &mut Row, namespace: Option<&str>) {
        let id = self.categories(namespace).into_iter().max();
        row.text("cost_category_id", id.map(|id| id.to_string()).as_deref());
    }

    fn pods(&self) -> Vec<Row> {
        type Key<'a> = (Option<&'a str>, &'a str, GroupLabels);
        let mut groups: BTreeMap<Key<'_>, Vec<&Item>> = BTreeMap::new();
        for item in self.items.of(&POD_USAGE) {
            let Some(node) = item.text("node").filter(|node| !node.is_empty()) else { continue };
            let namespace = item.text("namespace");
            for node_labels in self.node_objects(Some(node)) {
                for namespace_labels in self.namespace_objects(namespace) {
                    let own = [item.text("pod_labels")];
                    let labels = self.group_labels(&[&node_labels, &namespace_labels], &own);
                    groups.entry((namespace, node, labels)).or_default().push(item);
                }
            }
        }
        let rows = groups.iter().map(|((namespace, node, labels), items)| {
            let mut row = Row::default();
            row.text("data_source", Some("Pod"));
            row.text("namespace", *namespace);
            row.text("node", Some(node));
            row.text("resource_id", items.iter().filter_map(|i| i.text("resource_id")).max());
            row.labels("pod_labels", labels.as_ref());
            row.text("infrastructure_usage_cost", Some(NO_COST));
            self.category(&mut row, *namespace);
            self.pod_measures(&mut row, items, self.times(*namespace));
            self.capacities(&mut row, items, node);
            row
        });
        rows.collect()
    }

    fn pod_measures(&self, row: &mut Row, items: &[&Item], times: u64) {
        let hours =
            |column| sum(items.iter().map(|i| (i.measure(column), times))).map(|s| s / 3600.0);
        let effective = |own, usage, request| {
            let values = items.iter().map(|item| {
                let greatest = match (item.measure(usage), item.measure(request)) {
                    (Some(usage), Some(request)) => Some(usage.max(request)),
                    _ if self.rules.trino => None,
                    (usage, request) => usage.or(request),
                };
                (item.measure(own).or(greatest), times)
            });
            sum(values).map(|s| s / 3600.0)
        };
        row.number("pod_usage_cpu_core_hours", hours("pod_usage_cpu_core_seconds"));
        row.number("pod_request_cpu_core_hours", hours("pod_request_cpu_core_seconds"));
        row.number("pod_limit_cpu_core_hours", hours("pod_limit_cpu_core_seconds"));
        let cpu = effective(
            "pod_effective_usage_cpu_core_seconds",
            "pod_usage_cpu_core_seconds",
            "pod_request_cpu_core_seconds",
        );
        row.number("pod_effective_usage_cpu_core_hours", cpu);
        let gigabytes = |hours: Option<f64>| hours.map(|h| h * GIGABYTE);
        let memory = |column| gigabytes(hours(column));
        row.number("pod_usage_memory_gigabyte_hours", memory("pod_usage_memory_byte_seconds"));
        row.number("pod_request_memory_gigabyte_hours", memory("pod_request_memory_byte_seconds"));
        row.number("pod_limit_memory_gigabyte_hours", memory("pod_limit_memory_byte_seconds"));
        let memory = effective(
            "pod_effective_usage_memory_byte_seconds",
            "pod_usage_memory_byte_seconds",
            "pod_request_memory_byte_seconds",
        );
        row.number("pod_effective_usage_memory_gigabyte_hours", gigabytes(memory));
    }

    fn capacities(&self, row: &mut Row, items: &[&Item], node: &str) {
        let largest = |column| max(items.iter().map(|item| item.measure(column)));
        row.number("node_capacity_cpu_cores", largest("node_capacity_cpu_cores"));
        let bytes = largest("node_capacity_memory_bytes");
        row.number("node_capacity_memory_gigabytes", bytes.map(|b| b * GIGABYTE));

        let absent = if self.rules.trino { None } else { Some(0.0) };
        let (cpu, memory) = ("node_capacity_cpu_core_seconds", "node_capacity_memory_byte_seconds");
        let of_node = |column| self.capacity(column, |n| n == Some(node)).or(absent);
        let of_cluster = |column| self.capacity(column, |_| true).or(absent);
        let hours = |seconds: Option<f64>| seconds.map(|s| s / 3600.0);
        let gigabytes = |seconds: Option<f64>| seconds.map(|s| s / 3600.0 * GIGABYTE);
        row.number("node_capacity_cpu_core_hours", hours(of_node(cpu)));
        row.number("node_capacity_memory_gigabyte_hours", gigabytes(of_node(memory)));
        row.number("cluster_capacity_cpu_core_hours", hours(of_cluster(cpu)));
        row.number("cluster_capacity_memory_gigabyte_hours", gigabytes(of_cluster(memory)));
    }

    /// Over the nodes that `of` picks: the sum over hours of the most that any row of the hour says.
    fn capacity(&self, column: &'static str, of: impl Fn(Option<&str>) -> bool) -> Option<f64> {
        let mut hours: BTreeMap<(Option<&str>, i64), Option<f64>> = BTreeMap::new();
        for item in self.items.of(&POD_USAGE).iter().filter(|item| of(item.text("node"))) {
            let most = hours.entry((item.text("node"), item.at)).or_default();
            *most = max([*most, item.measure(column)]);
        }
        sum(hours.into_values().map(|most| (most, 1)))
    }

    fn unallocated(&self, pods: &[Row]) -> Vec<Row> {
        let mut nodes: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in pods {
            if let Some(namespace) = row.get_text("namespace")
                && !LEFT_OUT.contains(&namespace)
            {
                nodes.entry(row.get_text("node").expect("a node")).or_default().push(row);
            }
        }
        nodes.iter().flat_map(|(node, rows)| self.unallocated_of(node, rows)).collect()
    }

    fn unallocated_of(&self, node: &str, rows: &[&Row]) -> Vec<Row> {
        let role_of = |row: &&&Row| {
            let id = row.get_text("resource_id")?;
            let same = |n: &&(String, Option<String>, Option<String>)| {
                n.0 == node && n.1.as_deref() == Some(id)
            };
            self.lookups.nodes.iter().filter(same).filter_map(|n| n.2.as_deref()).max()
        };
        let namespace = match rows.iter().filter_map(|row| role_of(&row)).max() {
            Some("master" | "infra") => Some("Platform unallocated"),
            Some("worker") => Some("Worker unallocated"),
            _ => None,
        };
        let mut row = Row::default();
        row.text("data_source", Some("Pod"));
        row.text("namespace", namespace);
        row.text("node", Some(node));
        row.text("resource_id", rows.iter().filter_map(|row| row.get_text("resource_id")).max());
        let largest = |column: &str| max(rows.iter().map(|row| row.get_number(column)));
        for (resource, hours) in [("cpu", "cpu_core_hours"), ("memory", "memory_gigabyte_hours")] {
            let capacity = largest(&format!("node_capacity_{hours}"));
            for (kind, column) in UNALLOCATED.iter().filter(|(_, c)| c.contains(resource)) {
                let values =
                    || rows.iter().map(|row| row.get_number(kind_of(kind, hours).as_str()));
                let used = sum(values().map(|v| (v, 1)));
                let scale = values().flatten().map(f64::abs).sum::<f64>();
                let scale = scale.max(capacity.unwrap_or_default().abs());
                row.scaled(column, capacity.zip(used).map(|(c, u)| c - u), scale);
            }
        }
        for column in CAPACITIES {
            row.number(column, largest(column));
        }
        let categories = self.categories(namespace);
        let ids: Vec<Option<i32>> = match categories[..] {
            [] => vec![None],
            _ if self.rules.fan_out => categories.into_iter().map(Some).collect(),
            _ => vec![categories.into_iter().max()],
        };
        let with = |id: Option<i32>| {
            let mut row = row.clone();
            row.text("cost_category_id", id.map(|id| id.to_string()).as_deref());
            row
        };
        ids.into_iter().map(with).collect()
    }
}

fn kind_of(kind: &str, hours: &str) -> String {
    format!("pod_{kind}_{hours}")
}

/// Namespaces that have no part in what is left of a node.
const LEFT_OUT: [&str; 4] =
    ["Platform unallocated", "Worker unallocated", "Network unattributed", "Storage unattributed"];

const UNALLOCATED: [(&str, &str); 6] = [
    ("usage", "pod_usage_cpu_core_hours"),
    ("request", "pod_request_cpu_core_hours"),
    ("effective_usage", "pod_effective_usage_cpu_core_hours"),
    ("usage", "pod_usage_memory_gigabyte_hours"),
    ("request", "pod_request_memory_gigabyte_hours"),
    ("effective_usage", "pod_effective_usage_memory_gigabyte_hours"),
];

const CAPACITIES: [&str; 6] = [
    "node_capacity_cpu_cores",
    "node_capacity_cpu_core_hours",
    "node_capacity_memory_gigabytes",
    "node_capacity_memory_gigabyte_hours",
    "cluster_capacity_cpu_core_hours",
    "cluster_capacity_memory_gigabyte_hours",
];
