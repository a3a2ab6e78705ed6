//! Storage rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Months};

use super::input::{Item, POD_USAGE, STORAGE_USAGE};
use super::output::{NO_COST, Row};
use super::rollup::{Day, GIGABYTE, GroupLabels, max, sum};

type Text<'a> = Option<&'a str>;

/// A volume of a claim of a pod, and a place where the pod was.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mount<'a> {
    claim: Text<'a>,
    volume: Text<'a>,
    pod: Text<'a>,
    namespace: Text<'a>,
    node: Text<'a>,
    resource_id: Text<'a>,
}

const GROUP: [&str; 5] =
    ["namespace", "persistentvolumeclaim", "persistentvolume", "storageclass", "csi_volume_handle"];

pub fn rows(day: &Day<'_>) -> Vec<Row> {
    let mounts = mounts(day);
    // Names, node, resource id, labels.
    type Key<'a> = ([Text<'a>; 5], Text<'a>, Text<'a>, GroupLabels);
    let mut groups: BTreeMap<Key<'_>, Vec<&Item>> = BTreeMap::new();
    for item in day.items.of(&STORAGE_USAGE) {
        let names = GROUP.map(|column| item.text(column));
        let own = [item.text("persistentvolume_labels"), item.text("persistentvolumeclaim_labels")];
        for (node, resource_id) in places(day, &mounts, item) {
            for node_labels in day.node_objects(node) {
                for namespace_labels in day.namespace_objects(item.text("namespace")) {
                    let labels = day.group_labels(&[&node_labels, &namespace_labels], &own);
                    groups.entry((names, node, resource_id, labels)).or_default().push(item);
                }
            }
        }
    }
    let rows = groups.iter().map(|((names, node, resource_id, labels), items)| {
        let mut row = Row::default();
        row.text("data_source", Some("Storage"));
        GROUP.iter().zip(names).for_each(|(column, name)| row.text(column, *name));
        row.text("node", *node);
        row.text("resource_id", *resource_id);
        row.labels("volume_labels", labels.as_ref());
        row.text("infrastructure_usage_cost", Some(NO_COST));
        let [namespace, _, volume, ..] = *names;
        day.category(&mut row, namespace);
        measures(day, &mut row, items, day.times(namespace), node_count(&mounts, volume));
        row
    });
    rows.collect()
}

fn mounts<'a>(day: &'a Day<'_>) -> BTreeSet<Mount<'a>> {
    let mut mounts = BTreeSet::new();
    for storage in day.items.of(&STORAGE_USAGE) {
        let (namespace, pod) = (storage.text("namespace"), storage.text("pod"));
        for usage in day.items.of(&POD_USAGE) {
            // Null is equal to nothing.
            let same = |a: Text<'_>, b: Text<'_>| a.is_some() && a == b;
            if same(namespace, usage.text("namespace")) && same(pod, usage.text("pod")) {
                mounts.insert(Mount {
                    claim: storage.text("persistentvolumeclaim"),
                    volume: storage.text("persistentvolume"),
                    pod,
                    namespace,
                    node: usage.text("node"),
                    resource_id: usage.text("resource_id"),
                });
            }
        }
    }
    mounts
}

/// Node and resource id of every row that the join makes of `item`.
fn places<'a>(
    day: &Day<'_>,
    mounts: &BTreeSet<Mount<'a>>,
    item: &Item,
) -> Vec<(Text<'a>, Text<'a>)> {
    let claim = item.text("persistentvolumeclaim");
    let joined = mounts.iter().filter(|mount| {
        claim.is_some()
            && mount.claim == claim
            && mount.pod == item.text("pod")
            && mount.namespace == item.text("namespace")
    });
    let mut places: Vec<_> = joined.map(|mount| (mount.node, mount.resource_id)).collect();
    if !day.rules.fan_out {
        places.sort_unstable();
        places.dedup();
    }
    if places.is_empty() { vec![(None, None)] } else { places }
}

/// On how many nodes `volume` is; `None` if on none.
fn node_count(mounts: &BTreeSet<Mount<'_>>, volume: Text<'_>) -> Option<usize> {
    volume?;
    let here = mounts.iter().filter(|mount| mount.volume == volume);
    let nodes: BTreeSet<&str> = here.filter_map(|mount| mount.node).collect();
    (!nodes.is_empty()).then_some(nodes.len())
}

fn measures(day: &Day<'_>, row: &mut Row, items: &[&Item], times: u64, node_count: Option<usize>) {
    let first = day.date.with_day(1).expect("every month has a first day");
    let days = (first + Months::new(1)).signed_duration_since(first).num_days();
    let total = |column| sum(items.iter().map(|item| (item.measure(column), times)));
    let months = |sum: f64| sum / (86400 * days) as f64 * GIGABYTE;
    let shared = |column| match node_count {
        None if day.rules.trino => None,
        _ => total(column).map(|sum| months(sum / node_count.unwrap_or(1) as f64)),
    };
    let bytes = max(items.iter().map(|item| item.measure("persistentvolumeclaim_capacity_bytes")));
    row.number("persistentvolumeclaim_capacity_gigabyte", bytes.map(|b| b * GIGABYTE));
    let capacity = total("persistentvolumeclaim_capacity_byte_seconds").map(months);
    row.number("persistentvolumeclaim_capacity_gigabyte_months", capacity);
    let request = shared("volume_request_storage_byte_seconds");
    row.number("volume_request_storage_gigabyte_months", request);
    let usage = shared("persistentvolumeclaim_usage_byte_seconds");
    row.number("persistentvolumeclaim_usage_gigabyte_months", usage);
}
