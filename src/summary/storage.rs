//! Storage rows: the day's claims on the nodes of the pods that mount them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::finish::{Day, Oddities, Tenant};
use super::pods::{add_times, gibibytes};
use super::row::{Measures, RowKind, SummaryRow, TextId};
use crate::aggregate::exact::Total;
use crate::aggregate::groups::Groups;
use crate::aggregate::places::Places;
use crate::aggregate::pods::greater;
use crate::aggregate::storage::{STORAGE_SUMS, Storage, StorageKey};
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

/// Where the pod of a storage group mounts its claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounted {
    /// (node, resource id) of each row that the join makes of a storage row; none: it is one row
    /// without a node.
    pub at: Vec<(TextId, TextId)>,
    /// What the group adds to the nodes that its volume is on.
    pub nodes_of_volume: Vec<TextId>,
}

/// A claim as a pod of a namespace mounts it.
type MountedClaim = (TextId, TextId, TextId);

/// The places of pods and the volumes of claims: what storage groups are joined with. Of pods,
/// all groups and places or none are needed.
pub struct Mounts {
    /// By (namespace, pod): the distinct (node, resource id).
    of_pod: FxHashMap<(TextId, TextId), Vec<(TextId, TextId)>>,
    /// By (claim, pod, namespace): the distinct volumes.
    volumes: FxHashMap<MountedClaim, FxHashSet<TextId>>,
}

impl Mounts {
    pub fn new(storage: &Storage, places: &Places) -> Self {
        let mut mounts = Mounts { of_pod: FxHashMap::default(), volumes: FxHashMap::default() };
        for (key, _) in storage.groups.iter() {
            mounts.of_pod.entry((key.namespace, key.pod)).or_default();
            let claim = (key.claim, key.pod, key.namespace);
            mounts.volumes.entry(claim).or_default().insert(key.volume);
        }
        for place in places.iter() {
            if let Some(at) = mounts.of_pod.get_mut(&(place.namespace, place.pod)) {
                at.push((place.node, place.resource_id));
            }
        }
        mounts
    }

    pub fn of(&self, key: &StorageKey, fan_out: FanOut) -> Mounted {
        let mut mounted = Mounted::default();
        let Some(at) = self.of_pod.get(&(key.namespace, key.pod)) else {
            return mounted;
        };
        mounted.nodes_of_volume = at.iter().map(|&(node, _)| node).collect();
        mounted.nodes_of_volume.retain(|node| !node.is_null());
        mounted.nodes_of_volume.sort_unstable();
        mounted.nodes_of_volume.dedup();
        if key.claim.is_null() {
            return mounted;
        }
        let volumes = self.volumes.get(&(key.claim, key.pod, key.namespace));
        let times = match fan_out {
            // Each further volume of a claim makes the row count once more.
            FanOut::Koku => volumes.map_or(0, FxHashSet::len),
            FanOut::Collapse => 1,
        };
        mounted.at = std::iter::repeat_n(at, times).flatten().copied().collect();
        mounted
    }
}

/// The storage groups of a day, or all of some of its volumes, by what their rows tell apart.
#[derive(Default)]
pub struct Claims {
    groups: Groups<Key, Claimed>,
    /// By volume: its nodes.
    nodes: FxHashMap<TextId, FxHashSet<TextId>>,
}

impl Claims {
    /// Adds group `index` of `storage`.
    pub fn add(
        &mut self,
        storage: &Storage,
        index: usize,
        mounted: &Mounted,
        day: &mut Day,
        tenant: &Tenant,
        counts: &mut Oddities,
    ) {
        const NOWHERE: &[(TextId, TextId)] = &[(TextId::NULL, TextId::NULL)];
        let (key, state) = (storage.groups.key(index), storage.groups.state(index));
        if !key.volume.is_null() {
            self.nodes.entry(key.volume).or_default().extend(&mounted.nodes_of_volume);
        }
        let times = day.category_times(key.namespace, tenant);
        if times > 1 {
            counts.category_rows += state.sums.rows();
        }
        // A place comes once for each volume.
        if let [first, others @ ..] = &mounted.at[..]
            && others.contains(first)
        {
            counts.volume_rows += state.sums.rows();
        }
        let mut fanned = false;
        let at = if mounted.at.is_empty() { NOWHERE } else { &mounted.at };
        for &(node, resource_id) in at {
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
                    let group = self.groups.entry(Key {
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

    /// Among how many nodes a volume's request and usage are shared; `None` if on none.
    fn node_count(&self, volume: TextId) -> Option<u64> {
        self.nodes.get(&volume).map(|nodes| nodes.len() as u64).filter(|&count| count > 0)
    }

    /// The rows; `days_in_month` is that of the day's month.
    pub fn rows(&self, day: &mut Day, tenant: &Tenant, days_in_month: u32) -> Vec<SummaryRow> {
        let month_seconds = 86_400 * u64::from(days_in_month);
        let mut rows = Vec::with_capacity(self.groups.len());
        for (key, group) in self.groups.iter() {
            let months = |measure: usize, shared_by: u64| {
                let total: Option<&Total> = group.totals[measure].as_ref();
                total.map_or(f64::NAN, |t| t.divided(month_seconds * shared_by, -30))
            };
            let shared = |measure| match (self.node_count(key.volume), tenant.null_rules) {
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
}

/// All storage rows of the day; `days_in_month` is that of the day's month.
pub fn rows(
    storage: &Storage,
    places: &Places,
    day: &mut Day,
    tenant: &Tenant,
    days_in_month: u32,
    counts: &mut Oddities,
) -> Vec<SummaryRow> {
    let mounts = Mounts::new(storage, places);
    let mut claims = Claims::default();
    for index in 0..storage.groups.len() {
        let mounted = mounts.of(&storage.groups.key(index), tenant.fan_out);
        claims.add(storage, index, &mounted, day, tenant, counts);
    }
    claims.rows(day, tenant, days_in_month)
}
