//! A day's partial state to its summary rows.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::categories::{Categories, Category, PatternError};
use super::owners::Lent;
use super::roles::Roles;
use super::row::{DayMeta, RowBatch, SummaryRow, TextId};
use super::storage::{Claims, Mounted};
use super::unallocated::NodeUses;
use super::{order, pods, storage, unallocated};
use crate::aggregate::capacity::CapacityTotals;
use crate::aggregate::groups::Groups;
use crate::aggregate::interner::Interner;
use crate::aggregate::partial::Partial;
use crate::labels::keys::EnabledKeys;
use crate::labels::sets::{LabelSets, SetId};
use crate::lookups::Lookups;
use crate::settings::{Aggregation, FanOut, NullRules};

/// The lookups and rules of a run, ready for use.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub keys: EnabledKeys,
    pub categories: Categories,
    pub roles: Roles,
    pub fan_out: FanOut,
    pub null_rules: NullRules,
}

impl Tenant {
    pub fn new(lookups: &Lookups, rules: Aggregation) -> Result<Self, PatternError> {
        Ok(Tenant {
            keys: EnabledKeys::new(lookups, rules.null_rules),
            categories: Categories::new(&lookups.categories)?,
            roles: Roles::new(&lookups.nodes),
            fan_out: rules.fan_out,
            null_rules: rules.null_rules,
        })
    }
}

/// Line items that count otherwise than one might think.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddities {
    /// More than once, because their node or namespace shows several label objects on the day.
    pub label_rows: u64,
    /// More than once, because several category patterns match their namespace.
    pub category_rows: u64,
    /// More than once, because their claim has several volumes on the day.
    pub volume_rows: u64,
    /// Of pods on nodes without a capacity on the day: what is unallocated there is negative.
    pub rows_without_capacity: u64,
    /// Days with capacity or storage but without pods: usually a file is missing.
    pub days_without_pods: u64,
}

impl Oddities {
    pub fn add(&mut self, other: Oddities) {
        self.label_rows += other.label_rows;
        self.category_rows += other.category_rows;
        self.volume_rows += other.volume_rows;
        self.rows_without_capacity += other.rows_without_capacity;
        self.days_without_pods += other.days_without_pods;
    }
}

/// What the finishing steps of a day share.
pub struct Day {
    pub texts: Interner,
    pub node_labels: Lent,
    pub namespace_labels: Lent,
    pub node_capacity: Groups<TextId, CapacityTotals>,
    pub cluster_capacity: CapacityTotals,
    pub sets: LabelSets,
    categories: FxHashMap<TextId, Category>,
    json: FxHashMap<SetId, TextId>,
    scratch: String,
}

impl Day {
    /// The category of a namespace, matched once.
    pub fn category(&mut self, namespace: TextId, tenant: &Tenant) -> Category {
        let texts = &self.texts;
        *self
            .categories
            .entry(namespace)
            .or_insert_with(|| tenant.categories.of(texts.get(namespace)))
    }

    /// The JSON text of a label object, rendered once.
    pub fn json(&mut self, set: SetId, tenant: &Tenant) -> TextId {
        if set == SetId::NULL {
            return TextId::NULL;
        }
        if let Some(&id) = self.json.get(&set) {
            return id;
        }
        self.scratch.clear();
        self.sets.render(set, &tenant.keys, &self.texts, &mut self.scratch);
        // No other label object has this text, and no name is looked for under it.
        let id = self.texts.push(&self.scratch);
        self.json.insert(set, id);
        id
    }
}

impl Day {
    fn new(facts: Partial, tenant: &Tenant) -> Self {
        let lent = |seen| Lent::new(seen, tenant.fan_out, &facts.sets, &tenant.keys, &facts.texts);
        let node_labels = lent(&facts.node_labels);
        let namespace_labels = lent(&facts.namespace_labels);
        let (node_capacity, cluster_capacity) = facts.capacity.totals();
        Day {
            texts: facts.texts,
            node_labels,
            namespace_labels,
            node_capacity,
            cluster_capacity,
            sets: facts.sets,
            categories: FxHashMap::default(),
            json: FxHashMap::default(),
            scratch: String::new(),
        }
    }

    fn into_batch(self, meta: &Arc<DayMeta>, mut rows: Vec<SummaryRow>) -> RowBatch {
        let texts = self.texts.into_texts();
        order::sort(&mut rows, &texts);
        RowBatch { day: meta.clone(), texts, rows }
    }
}

/// The rows of one day, sorted, and what is odd about its line items.
pub fn finish(mut state: Partial, meta: &Arc<DayMeta>, tenant: &Tenant) -> (RowBatch, Oddities) {
    let mut counts = Oddities::default();
    let pods = std::mem::take(&mut state.pods);
    let places = std::mem::take(&mut state.places);
    let storage = std::mem::take(&mut state.storage);
    let mut day = Day::new(state, tenant);
    let groups = pods::group(pods, &mut day, tenant, &mut counts);
    let mut uses = NodeUses::default();
    uses.add(&groups, &day.texts, &tenant.roles);
    let mut rows = pods::rows(&groups, &mut day, tenant);
    drop(groups);
    rows.extend(unallocated::rows(&uses, &mut day, tenant));
    let days = days_in_month(meta.date);
    rows.extend(storage::rows(&storage, &places, &mut day, tenant, days, &mut counts));
    (day.into_batch(meta, rows), counts)
}

/// The pod rows of a part of a day's groups, which shares no finished group with any other part.
///
/// `state` holds the groups, and of their nodes and namespaces the label objects, of their nodes
/// the capacity; `cluster` is that of all nodes of the day. With the last part of some nodes come
/// their unallocated rows: `uses` are those of their other parts.
pub fn finish_pods<'t>(
    mut state: Partial,
    meta: &Arc<DayMeta>,
    tenant: &'t Tenant,
    cluster: &CapacityTotals,
    uses: &mut NodeUses<'t>,
    is_last: bool,
    counts: &mut Oddities,
) -> RowBatch {
    let pods = std::mem::take(&mut state.pods);
    let mut day = Day::new(state, tenant);
    day.cluster_capacity = cluster.clone();
    let groups = pods::group(pods, &mut day, tenant, counts);
    uses.add(&groups, &day.texts, &tenant.roles);
    let mut rows = pods::rows(&groups, &mut day, tenant);
    drop(groups);
    if is_last {
        rows.extend(unallocated::rows(uses, &mut day, tenant));
    }
    day.into_batch(meta, rows)
}

/// The storage rows of all groups of some volumes of a day. `state` holds the groups, and the label
/// objects of nodes and namespaces; `mounted` is where each group is.
pub fn finish_claims(
    mut state: Partial,
    mounted: &[Mounted],
    meta: &Arc<DayMeta>,
    tenant: &Tenant,
    counts: &mut Oddities,
) -> RowBatch {
    let storage = std::mem::take(&mut state.storage);
    let mut day = Day::new(state, tenant);
    let mut claims = Claims::default();
    for (index, mounted) in mounted.iter().enumerate() {
        claims.add(&storage, index, mounted, &mut day, tenant, counts);
    }
    drop(storage);
    let rows = claims.rows(&mut day, tenant, days_in_month(meta.date));
    drop(claims);
    day.into_batch(meta, rows)
}

fn days_in_month(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}
