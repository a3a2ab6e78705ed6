//! Pod rows: the day's pod groups under the labels of their node and namespace.

use rustc_hash::FxHashMap;

use super::finish::{Day, Oddities, Tenant};
use super::row::{Measures, RowKind, SummaryRow, TextId};
use crate::aggregate::capacity::CapacityTotals;
use crate::aggregate::exact::{Total, Totals};
use crate::aggregate::groups::Groups;
use crate::aggregate::pods::{POD_SCALES, PodKey, Pods, greater, greater_text};
use crate::aggregate::rows::POD_SUMS;
use crate::labels::sets::SetId;
use crate::settings::{FanOut, NullRules};

/// A finished pod group: exact still, since the unallocated rows subtract it.
#[derive(Debug, Clone)]
pub struct PodGroup {
    /// Sums in the order of [`crate::aggregate::rows::POD_NUMBERS`].
    totals: Totals<POD_SUMS>,
    pub resource_id: TextId,
    pub node_cores: f64,
    pub node_bytes: f64,
}

impl Default for PodGroup {
    fn default() -> Self {
        PodGroup {
            totals: Totals::default(),
            resource_id: TextId::NULL,
            node_cores: f64::NAN,
            node_bytes: f64::NAN,
        }
    }
}

impl PodGroup {
    /// A sum; `None` is null.
    pub fn total(&self, measure: usize) -> Option<Total> {
        self.totals.get(measure, POD_SCALES[measure])
    }
}

/// Groups by (namespace, node, merged labels), multiplied as the fan-out rule says. What the pod
/// groups held goes as the finished ones come.
pub fn group(
    pods: Pods,
    day: &mut Day,
    tenant: &Tenant,
    counts: &mut Oddities,
) -> Groups<PodKey, PodGroup> {
    let Pods { groups, outliers, .. } = pods;
    let mut finished: Groups<PodKey, PodGroup> = Groups::with_capacity(groups.len());
    // Few pairs of objects lie under all the groups.
    let mut lower: FxHashMap<(SetId, SetId), SetId> = FxHashMap::default();
    for (index, (key, state)) in groups.into_groups().enumerate() {
        let times = day.category_times(key.namespace, tenant);
        let node_objects = day.node_labels.by(key.node);
        let namespace_objects = day.namespace_labels.by(key.namespace);
        if node_objects.len() * namespace_objects.len() > 1 {
            counts.label_rows += state.sums.rows();
        }
        if times > 1 {
            counts.category_rows += state.sums.rows();
        }
        if day.node_capacity.get(key.node).is_none_or(CapacityTotals::is_none) {
            counts.rows_without_capacity += state.sums.rows();
        }
        for &of_node in node_objects {
            for &of_namespace in namespace_objects {
                let under = *lower
                    .entry((of_node, of_namespace))
                    .or_insert_with(|| day.sets.merge_all(&[of_node, of_namespace]));
                let labels = day.sets.merge_all(&[under, key.labels]);
                let group = finished.entry(PodKey { labels, ..key });
                for measure in 0..POD_SUMS {
                    if let Some(total) = state.total(index, measure, &outliers) {
                        group.totals.add_times(measure, &total, times);
                    }
                }
                group.node_cores = greater(group.node_cores, state.node_cores);
                group.node_bytes = greater(group.node_bytes, state.node_bytes);
                group.resource_id = greater_text(group.resource_id, state.resource_id, &day.texts);
            }
        }
    }
    finished
}

/// Adds `times * other` to a sum where null means that nothing was present yet.
pub fn add_times(sum: &mut Option<Total>, other: Option<&Total>, times: i64) {
    if let Some(other) = other {
        sum.get_or_insert_with(|| other.zeroed()).add_times(other, times);
    }
}

impl Day {
    /// How often the category patterns make a namespace's rows count.
    pub fn category_times(&mut self, namespace: TextId, tenant: &Tenant) -> i64 {
        match tenant.fan_out {
            FanOut::Collapse => 1,
            FanOut::Koku => i64::from(self.category(namespace, tenant).matches.max(1)),
        }
    }
}

/// Core-seconds to core-hours.
pub fn core_hours(total: &Total) -> f64 {
    total.divided(3600, 0)
}

/// Byte-seconds to GiB-hours.
pub fn gibibyte_hours(total: &Total) -> f64 {
    total.divided(3600, -30)
}

/// Bytes to GiB; exact.
pub fn gibibytes(bytes: f64) -> f64 {
    bytes * (1.0 / 1_073_741_824.0)
}

/// The six capacity columns, in the order of the last six of `POD_MEASURES`.
pub fn capacity_measures(
    cores: f64,
    bytes: f64,
    node: Option<&CapacityTotals>,
    cluster: &CapacityTotals,
    null_rules: NullRules,
) -> [f64; 6] {
    let none = match null_rules {
        NullRules::SelfHosted => 0.0,
        NullRules::Trino => f64::NAN,
    };
    let cpu = |c: &CapacityTotals| c.core_seconds.as_ref().map_or(none, core_hours);
    let memory = |c: &CapacityTotals| c.byte_seconds.as_ref().map_or(none, gibibyte_hours);
    [
        cores,
        node.map_or(none, cpu),
        gibibytes(bytes),
        node.map_or(none, memory),
        cpu(cluster),
        memory(cluster),
    ]
}

/// One row a group.
pub fn rows(groups: &Groups<PodKey, PodGroup>, day: &mut Day, tenant: &Tenant) -> Vec<SummaryRow> {
    let mut rows = Vec::with_capacity(groups.len());
    // Those of a node and the cluster are the same in all rows of the node.
    let mut capacities: FxHashMap<TextId, [f64; 6]> = FxHashMap::default();
    for (key, group) in groups.iter() {
        let cpu = |i: usize| group.total(i).map_or(f64::NAN, |t| core_hours(&t));
        let memory = |i: usize| group.total(i).map_or(f64::NAN, |t| gibibyte_hours(&t));
        let [_, b, _, d, e, f] = *capacities.entry(key.node).or_insert_with(|| {
            let node = day.node_capacity.get(key.node);
            let cluster = &day.cluster_capacity;
            capacity_measures(f64::NAN, f64::NAN, node, cluster, tenant.null_rules)
        });
        let (a, c) = (group.node_cores, gibibytes(group.node_bytes));
        let measures = [
            cpu(0),
            cpu(1),
            cpu(3),
            cpu(2),
            memory(4),
            memory(5),
            memory(7),
            memory(6),
            a,
            b,
            c,
            d,
            e,
            f,
        ];
        rows.push(SummaryRow {
            kind: RowKind::Pod,
            cost_category_id: day.category(key.namespace, tenant).id,
            namespace: key.namespace,
            node: key.node,
            resource_id: group.resource_id,
            pod_labels: day.json(key.labels, tenant),
            persistentvolumeclaim: TextId::NULL,
            persistentvolume: TextId::NULL,
            storageclass: TextId::NULL,
            csi_volume_handle: TextId::NULL,
            volume_labels: TextId::NULL,
            measures: Measures::Pod(measures),
        });
    }
    rows
}
