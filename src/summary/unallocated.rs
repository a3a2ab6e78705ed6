//! Unallocated rows: what a node had and its pods did not take.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::finish::{Day, Tenant};
use super::pods::{PodGroup, add_times, capacity_measures, core_hours, gibibyte_hours};
use super::roles::Roles;
use super::row::{Measures, RowKind, SummaryRow, TextId};
use crate::aggregate::capacity::CapacityTotals;
use crate::aggregate::exact::{BYTE_SECONDS, CORE_SECONDS, Scale, Total};
use crate::aggregate::groups::Groups;
use crate::aggregate::interner::Interner;
use crate::aggregate::pods::{PodKey, greater};
use crate::aggregate::rows::POD_SUMS;
use crate::settings::{FanOut, NullRules};

/// The finished pod groups of the nodes of a day. Keyed by name, since the groups may be finished
/// in parts that share no ids.
#[derive(Debug, Default)]
pub struct NodeUses<'t> {
    by_name: BTreeMap<String, usize>,
    nodes: Vec<NodeUse<'t>>,
}

#[derive(Debug)]
struct NodeUse<'t> {
    totals: [Option<Total>; POD_SUMS],
    resource_id: Option<String>,
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

impl<'t> NodeUses<'t> {
    /// Adds a part of the groups.
    pub fn add(&mut self, groups: &Groups<PodKey, PodGroup>, texts: &Interner, roles: &'t Roles) {
        // There are many more groups than nodes: names and roles are looked up once for each node.
        let mut known: FxHashMap<(TextId, TextId), usize> = FxHashMap::default();
        for (key, group) in groups.iter() {
            if !takes_part(texts.get(key.namespace)) {
                continue;
            }
            let index = *known.entry((key.node, group.resource_id)).or_insert_with(|| {
                let name = texts.get(key.node).unwrap_or_default();
                let resource_id = texts.get(group.resource_id);
                let index = self.index(name);
                self.nodes[index].see(resource_id, roles.role(name, resource_id));
                index
            });
            let node = &mut self.nodes[index];
            for (measure, sum) in node.totals.iter_mut().enumerate() {
                add_times(sum, group.total(measure).as_ref(), 1);
            }
            node.cores = greater(node.cores, group.node_cores);
            node.bytes = greater(node.bytes, group.node_bytes);
        }
    }

    /// Takes over the uses of another part.
    pub fn merge(&mut self, other: &NodeUses<'t>) {
        for (name, &index) in &other.by_name {
            let theirs = &other.nodes[index];
            let node = self.index(name);
            let node = &mut self.nodes[node];
            for (sum, total) in node.totals.iter_mut().zip(&theirs.totals) {
                add_times(sum, total.as_ref(), 1);
            }
            node.see(theirs.resource_id.as_deref(), theirs.role);
            node.cores = greater(node.cores, theirs.cores);
            node.bytes = greater(node.bytes, theirs.bytes);
        }
    }

    fn index(&mut self, name: &str) -> usize {
        match self.by_name.get(name) {
            Some(&index) => index,
            None => {
                self.by_name.insert(name.to_owned(), self.nodes.len());
                self.nodes.push(NodeUse::default());
                self.nodes.len() - 1
            }
        }
    }
}

impl Default for NodeUse<'_> {
    fn default() -> Self {
        NodeUse {
            totals: [const { None }; POD_SUMS],
            resource_id: None,
            cores: f64::NAN,
            bytes: f64::NAN,
            role: None,
        }
    }
}

impl<'t> NodeUse<'t> {
    fn see(&mut self, resource_id: Option<&str>, role: Option<&'t str>) {
        if resource_id > self.resource_id.as_deref() {
            self.resource_id = resource_id.map(str::to_owned);
        }
        self.role = self.role.max(role);
    }
}

/// One row for each node and matching category pattern.
pub fn rows(uses: &NodeUses<'_>, day: &mut Day, tenant: &Tenant) -> Vec<SummaryRow> {
    let mut rows = Vec::new();
    for (name, &index) in &uses.by_name {
        let node = &uses.nodes[index];
        let id = day.texts.intern(name);
        let resource_id = node.resource_id.as_ref().map_or(TextId::NULL, |r| day.texts.intern(r));
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
            resource_id,
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
