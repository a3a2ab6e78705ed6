//! Storage rows: the day's claims on the nodes of the pods that mount them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::finish::{Day, FanOutCounts, Tenant};
use super::pods::{add_times, gibibytes};
use super::row::{Measures, RowKind, SummaryRow, TextId};
use crate::aggregate::exact::Total;
use crate::aggregate::groups::Groups;
use crate::aggregate::places::Places;
use crate::aggregate::pods::greater;
use crate::aggregate::storage::{STORAGE_SUMS, Storage};
use crate::labels::sets::SetId;
use crate::settings::{FanOut, NullRules};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    namespace: TextId,
    node: TextId,
    resource_id: TextId,
    claim: TextId,
    volume: TextId,
    storageclass: TextId,
    csi_volume_handle: TextId,
    labels: SetId,
}

#[derive(Debug)]
struct Claimed {
    totals: [Option<Total>; STORAGE_SUMS],
    capacity_bytes: f64,
}

impl Default for Claimed {
    fn default() -> Self {
        Claimed { totals: [const { None }; STORAGE_SUMS], capacity_bytes: f64::NAN }
    }
}

/// A claim as a pod of a namespace mounts it.
type MountedClaim = (TextId, TextId, TextId);
/// Volume, node and resource id.
type MountedAt = (TextId, TextId, TextId);

/// The nodes of claims and of volumes.
struct Mounts {
    /// By (claim, pod, namespace): the distinct (volume, node, resource id).
    by_claim: FxHashMap<MountedClaim, FxHashSet<MountedAt>>,
    /// By volume: its nodes.
    by_volume: FxHashMap<TextId, FxHashSet<TextId>>,
}

impl Mounts {
    fn new(storage: &Storage, places: &Places) -> Self {
        let mut of_pod: FxHashMap<(TextId, TextId), Vec<(TextId, TextId)>> = FxHashMap::default();
        if !storage.groups.is_empty() {
            for place in places.iter() {
                of_pod
                    .entry((place.namespace, place.pod))
                    .or_default()
                    .push((place.node, place.resource_id));
            }
        }
        let mut mounts = Mounts { by_claim: FxHashMap::default(), by_volume: FxHashMap::default() };
        for (key, _) in storage.groups.iter() {
            for &(node, resource_id) in of_pod.get(&(key.namespace, key.pod)).into_iter().flatten()
            {
                mounts.by_claim.entry((key.claim, key.pod, key.namespace)).or_default().insert((
                    key.volume,
                    node,
                    resource_id,
                ));
                let nodes = mounts.by_volume.entry(key.volume).or_default();
                if !node.is_null() {
                    nodes.insert(node);
                }
            }
        }
        mounts
    }

    /// (node, resource id) of each row that the join makes of a storage row.
    fn nodes(
        &self,
        claim: TextId,
        pod: TextId,
        namespace: TextId,
        fan_out: FanOut,
    ) -> Vec<(TextId, TextId)> {
        let found =
            if claim.is_null() { None } else { self.by_claim.get(&(claim, pod, namespace)) };
        let Some(found) = found else {
            return vec![(TextId::NULL, TextId::NULL)];
        };
        let mut nodes: Vec<_> = found.iter().map(|&(_, node, id)| (node, id)).collect();
        if fan_out == FanOut::Collapse {
            // Two volumes of one claim on one node would count the row twice.
            nodes.sort_unstable();
            nodes.dedup();
        }
        nodes
    }

    /// Among how many nodes a volume's request and usage are shared; `None` if on none.
    fn node_count(&self, volume: TextId) -> Option<u64> {
        if volume.is_null() {
            return None;
        }
        self.by_volume.get(&volume).map(|nodes| nodes.len() as u64).filter(|&count| count > 0)
    }
}

/// All storage rows of the day; `days_in_month` is that of the day's month.
pub fn rows(
    storage: &Storage,
    places: &Places,
    day: &mut Day,
    tenant: &Tenant,
    days_in_month: u32,
    counts: &mut FanOutCounts,
) -> Vec<SummaryRow> {
    let mounts = Mounts::new(storage, places);
    let mut groups: Groups<Key, Claimed> = Groups::default();
    for (index, (key, state)) in storage.groups.iter().enumerate() {
        let times = day.category_times(key.namespace, tenant);
        if times > 1 {
            counts.category_rows += state.sums.rows();
        }
        let mut fanned = false;
        for (node, resource_id) in mounts.nodes(key.claim, key.pod, key.namespace, tenant.fan_out) {
            let node_objects = day.node_labels.by(node);
            let namespace_objects = day.namespace_labels.by(key.namespace);
            fanned |= node_objects.len() * namespace_objects.len() > 1;
            for &of_node in node_objects {
                for &of_namespace in namespace_objects {
                    let labels = day.sets.merge_all(&[
                        of_node,
                        of_namespace,
                        key.volume_labels,
                        key.claim_labels,
                    ]);
                    let group = groups.entry(Key {
                        namespace: key.namespace,
                        node,
                        resource_id,
                        claim: key.claim,
                        volume: key.volume,
                        storageclass: key.storageclass,
                        csi_volume_handle: key.csi_volume_handle,
                        labels,
                    });
                    for measure in 0..STORAGE_SUMS {
                        let total = storage.total(index, measure);
                        add_times(&mut group.totals[measure], total.as_ref(), times);
                    }
                    group.capacity_bytes = greater(group.capacity_bytes, state.capacity_bytes);
                }
            }
        }
        if fanned {
            counts.label_rows += state.sums.rows();
        }
    }

    let month_seconds = 86_400 * u64::from(days_in_month);
    let mut rows = Vec::with_capacity(groups.len());
    for (key, group) in groups.iter() {
        let months = |measure: usize, shared_by: u64| {
            let total: Option<&Total> = group.totals[measure].as_ref();
            total.map_or(f64::NAN, |t| t.divided(month_seconds * shared_by, -30))
        };
        let shared = |measure| match (mounts.node_count(key.volume), tenant.null_rules) {
            (Some(count), _) => months(measure, count),
            (None, NullRules::SelfHosted) => months(measure, 1),
            (None, NullRules::Trino) => f64::NAN,
        };
        let measures = [gibibytes(group.capacity_bytes), months(0, 1), shared(1), shared(2)];
        rows.push(SummaryRow {
            kind: RowKind::Storage,
            cost_category_id: day.category(key.namespace, tenant).id,
            namespace: key.namespace,
            node: key.node,
            resource_id: key.resource_id,
            pod_labels: TextId::NULL,
            persistentvolumeclaim: key.claim,
            persistentvolume: key.volume,
            storageclass: key.storageclass,
            csi_volume_handle: key.csi_volume_handle,
            volume_labels: day.json(key.labels, tenant),
            measures: Measures::Storage(measures),
        });
    }
    rows
}
