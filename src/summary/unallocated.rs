//! Unallocated rows: what a node had and its pods did not take.

use std::collections::BTreeMap;

use super::finish::{Day, Tenant};
use super::pods::{PodGroup, add_times, capacity_measures, core_hours, gibibyte_hours};
use super::row::{Measures, RowKind, SummaryRow, TextId};
use crate::aggregate::capacity::CapacityTotals;
use crate::aggregate::exact::{BYTE_SECONDS, CORE_SECONDS, Scale, Total};
use crate::aggregate::groups::Groups;
use crate::aggregate::pods::{PodKey, greater, greater_text};
use crate::aggregate::rows::POD_SUMS;
use crate::settings::{FanOut, NullRules};

/// The finished pod groups of one node.
struct Node<'t> {
    totals: [Option<Total>; POD_SUMS],
    resource_id: TextId,
    cores: f64,
    bytes: f64,
    role: Option<&'t str>,
}

/// Namespaces that upstream makes itself.
const MADE_UP: [&str; 4] = [PLATFORM, WORKER, "Network unattributed", "Storage unattributed"];
const PLATFORM: &str = "Platform unallocated";
const WORKER: &str = "Worker unallocated";

/// Whether what a namespace's pods took counts against the node. Upstream compares by `!=`, which
/// a null namespace does not pass either.
fn takes_part(namespace: Option<&str>) -> bool {
    namespace.is_some_and(|namespace| !MADE_UP.contains(&namespace))
}

/// One row for each node and matching category pattern.
pub fn rows(groups: &Groups<PodKey, PodGroup>, day: &mut Day, tenant: &Tenant) -> Vec<SummaryRow> {
    let mut nodes: BTreeMap<TextId, Node<'_>> = BTreeMap::new();
    for (key, group) in groups.iter() {
        if !takes_part(day.texts.get(key.namespace)) {
            continue;
        }
        let node = nodes.entry(key.node).or_insert_with(|| Node {
            totals: [const { None }; POD_SUMS],
            resource_id: TextId::NULL,
            cores: f64::NAN,
            bytes: f64::NAN,
            role: None,
        });
        for (sum, total) in node.totals.iter_mut().zip(&group.totals) {
            add_times(sum, total.clone(), 1);
        }
        node.resource_id = greater_text(node.resource_id, group.resource_id, &day.texts);
        node.cores = greater(node.cores, group.node_cores);
        node.bytes = greater(node.bytes, group.node_bytes);
        let name = day.texts.get(key.node).unwrap_or_default();
        let role = tenant.roles.role(name, day.texts.get(group.resource_id));
        node.role = node.role.max(role);
    }

    let mut rows = Vec::new();
    for (id, node) in nodes {
        let namespace = match node.role {
            Some("master" | "infra") => day.texts.intern(PLATFORM),
            Some("worker") => day.texts.intern(WORKER),
            _ => TextId::NULL,
        };
        let capacity = day.node_capacity.get(id);
        let left = |measure: usize, of: fn(&CapacityTotals) -> Option<&Total>, scale: Scale| {
            let used = node.totals[measure].as_ref()?;
            let had = match (capacity.and_then(of), tenant.null_rules) {
                (Some(had), _) => had.clone(),
                (None, NullRules::SelfHosted) => Total::zero(scale),
                (None, NullRules::Trino) => return None,
            };
            let mut left = had;
            left.add_times(used, -1);
            Some(left)
        };
        let cpu = |measure| {
            left(measure, |c| c.core_seconds.as_ref(), CORE_SECONDS)
                .map_or(f64::NAN, |t| core_hours(&t))
        };
        let memory = |measure| {
            left(measure, |c| c.byte_seconds.as_ref(), BYTE_SECONDS)
                .map_or(f64::NAN, |t| gibibyte_hours(&t))
        };
        let [a, b, c, d, e, f] = capacity_measures(
            node.cores,
            node.bytes,
            capacity,
            &day.cluster_capacity,
            tenant.null_rules,
        );
        let nan = f64::NAN;
        let measures =
            [cpu(0), cpu(1), cpu(3), nan, memory(4), memory(5), memory(7), nan, a, b, c, d, e, f];
        let mut row = SummaryRow {
            kind: RowKind::Unallocated,
            cost_category_id: None,
            namespace,
            node: id,
            resource_id: node.resource_id,
            pod_labels: TextId::NULL,
            persistentvolumeclaim: TextId::NULL,
            persistentvolume: TextId::NULL,
            storageclass: TextId::NULL,
            csi_volume_handle: TextId::NULL,
            volume_labels: TextId::NULL,
            measures: Measures::Pod(measures),
        };
        let matching: Vec<i32> = match tenant.fan_out {
            FanOut::Koku => tenant.categories.matching(day.texts.get(namespace)).collect(),
            FanOut::Collapse => day.category(namespace, tenant).id.into_iter().collect(),
        };
        if matching.is_empty() {
            rows.push(row);
        } else {
            for category in matching {
                row.cost_category_id = Some(category);
                rows.push(row.clone());
            }
        }
    }
    rows
}
