//! Pod groups as self-contained records.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashSet};

use super::bytes::{Cursor, Malformed, put_text};
use super::values::{intern, intern_labels, put_labels, put_sums, take_labels, take_sums};
use crate::aggregate::interner::{Interner, hash_text};
use crate::aggregate::partial::Partial;
use crate::aggregate::pods::{PodKey, PodState};
use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// The hash of a group: 16 bits of its node's, then 16 of its namespace's. Groups of one namespace
/// and node always share it: so do the finished groups that their labels lead to.
pub fn hash(state: &Partial, key: PodKey) -> u32 {
    node_hash(&state.texts, key.node) | name_hash(&state.texts, key.namespace) >> 16
}

/// The part of the hash that a node stands for: of every group of the node, in the upper 16 bits.
pub fn node_hash(texts: &Interner, node: TextId) -> u32 {
    name_hash(texts, node) & 0xffff_0000
}

/// Hashes of nodes are multiples of this.
pub const NODE_STEP: u64 = 1 << 16;

fn name_hash(texts: &Interner, name: TextId) -> u32 {
    let name = texts.get(name).unwrap_or_default();
    (hash_text(name.as_bytes(), texts.seed()) >> 32) as u32
}

/// Appends group `index` of `state`.
pub fn encode(state: &Partial, index: usize, out: &mut Vec<u8>) {
    let key = state.pods.groups.key(index);
    let group = state.pods.groups.state(index);
    put_text(out, state.texts.get(key.namespace));
    put_text(out, state.texts.get(key.node));
    put_text(out, state.texts.get(group.resource_id));
    put_labels(out, state, key.labels);
    out.extend(group.node_cores.to_le_bytes());
    out.extend(group.node_bytes.to_le_bytes());
    put_sums(out, &group.sums, index, &state.pods.outliers);
}

/// The label pairs that nodes and namespaces lend to the pods of a day.
///
/// Two groups of a namespace and node can only become one finished group if their own labels agree
/// on every pair outside of this set: inside it, one may have what the other is lent.
#[derive(Debug, Default)]
pub struct LentPairs {
    pairs: FxHashSet<(u32, u64)>,
    seed: u64,
}

impl LentPairs {
    pub fn new(facts: &Partial) -> Self {
        let seed = facts.texts.seed();
        let mut pairs = FxHashSet::default();
        let owned = facts.node_labels.iter().chain(facts.namespace_labels.iter());
        for set in owned.map(|(owned, _)| owned.labels).filter(|&set| set != SetId::NULL) {
            for &(key, value) in facts.sets.pairs(set) {
                pairs.insert((key, hash_value(facts.texts.get(TextId(value)), seed)));
            }
        }
        LentPairs { pairs, seed }
    }

    /// A hash of the pairs that are not lent.
    fn hash_own(&self, pairs: &[(u32, Option<&str>)]) -> u64 {
        pairs
            .iter()
            .map(|&(key, value)| (key, hash_value(value, self.seed)))
            .filter(|pair| !self.pairs.contains(pair))
            .fold(0, |hash, pair| FxBuildHasher.hash_one((hash, pair)))
    }
}

fn hash_value(value: Option<&str>, seed: u64) -> u64 {
    value.map_or(seed, |text| hash_text(text.as_bytes(), seed))
}

/// One of `count` shares of the groups of a partition; no two shares lead to one finished group.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    pub index: u64,
    pub count: u64,
    pub lent: &'a LentPairs,
}

impl Share<'_> {
    fn holds(&self, pairs: &[(u32, Option<&str>)]) -> bool {
        self.count == 1 || (self.lent.hash_own(pairs) >> 20) % self.count == self.index
    }
}

/// Adds the group of a record to `state`, if it falls to `share`.
pub fn decode_into(
    mut cursor: Cursor<'_>,
    share: Share<'_>,
    state: &mut Partial,
) -> Result<(), Malformed> {
    let (namespace, node, resource_id) = (cursor.text()?, cursor.text()?, cursor.text()?);
    let labels = take_labels(&mut cursor)?;
    if !share.holds(labels.as_deref().unwrap_or_default()) {
        return Ok(());
    }
    let key = PodKey {
        namespace: intern(state, namespace),
        node: intern(state, node),
        labels: intern_labels(state, labels.as_deref()),
    };
    let resource_id = intern(state, resource_id);
    let node_cores = cursor.f64()?;
    let node_bytes = cursor.f64()?;
    let (sums, outliers) = take_sums(&mut cursor)?;
    let group = PodState { sums, resource_id, node_cores, node_bytes };
    let index = state.pods.merge_group(key, &group, &state.texts);
    for (measure, wide) in &outliers {
        state.pods.outliers.merge_one(index, *measure, wide);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::NaiveDate;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::aggregate::rows::{LabelRows, PodRows};
    use crate::labels::known::KnownLabels;
    use crate::lookups::Lookups;
    use crate::settings::{Aggregation, FanOut, NullRules, PodSource};
    use crate::summary::finish::{Oddities, Tenant, finish_pods};
    use crate::summary::row::{DayMeta, Measures};
    use crate::summary::unallocated::NodeUses;

    const TEXTS: [Option<&str>; 8] = [
        None,
        Some("{}"),
        Some(r#"{"a":"x"}"#),
        Some(r#"{"a":"y"}"#),
        Some(r#"{"b":"x"}"#),
        Some(r#"{"a":"x","b":"x"}"#),
        Some(r#"{"a":null}"#),
        Some(r#"{"a":"y","b":"z"}"#),
    ];

    fn tenant(null_rules: NullRules) -> Tenant {
        let lookups = Lookups { enabled_keys: vec!["a".into(), "b".into()], ..Lookups::default() };
        let rules =
            Aggregation { pod_source: PodSource::Hourly, fan_out: FanOut::Koku, null_rules };
        Tenant::new(&lookups, rules).unwrap()
    }

    fn labels(state: &mut Partial, tenant: &Tenant, text: usize) -> SetId {
        match TEXTS[text] {
            None => Partial::no_labels(tenant.null_rules),
            Some(text) => {
                let mut sets = Vec::new();
                let texts = [text.as_bytes()].into_iter();
                state.label_sets(texts, &tenant.keys, tenant.null_rules, &mut sets).unwrap();
                sets[0]
            }
        }
    }

    /// A day: label texts of the nodes, and pods as (node, label text, usage).
    fn day(tenant: &Tenant, lent: &[(usize, usize)], pods: &[(usize, usize, f64)]) -> Partial {
        let mut state = Partial::new(KnownLabels::hashed(1), 1);
        let nodes = ["n", "m"].map(|name| state.texts.intern(name));
        let namespace = state.texts.intern("ns");
        for &(node, text) in lent {
            let labels = vec![labels(&mut state, tenant, text)];
            let rows = LabelRows { interval: vec![0], owner: vec![nodes[node]], labels };
            state.node_labels.add(&rows);
        }
        let mut rows = PodRows::default();
        for &(node, text, usage) in pods {
            rows.interval.push(0);
            rows.namespace.push(namespace);
            rows.node.push(nodes[node]);
            rows.resource_id.push(TextId::NULL);
            rows.labels.push(labels(&mut state, tenant, text));
            rows.numbers.iter_mut().for_each(|column| column.push(usage));
        }
        state.pods.add(&rows, &state.texts, tenant.null_rules);
        state
    }

    /// The pod rows of all shares together, as (node, labels, bits of the measures), sorted.
    fn rows(state: &Partial, tenant: &Tenant, count: u64) -> Vec<String> {
        let records: Vec<Vec<u8>> = (0..state.pods.groups.len())
            .map(|index| {
                let mut record = Vec::new();
                encode(state, index, &mut record);
                record
            })
            .collect();
        let facts = state.owners(|_| true);
        let cluster = state.capacity.totals().1;
        let lent = LentPairs::new(&facts);
        let meta = Arc::new(DayMeta {
            date: NaiveDate::from_ymd_opt(2025, 10, 1).unwrap(),
            source_uuid: Uuid::nil(),
            report_period_id: None,
            cluster_id: None,
            cluster_alias: None,
        });
        let mut rows = Vec::new();
        for index in 0..count {
            let mut part = facts.owners(|_| true);
            for record in &records {
                let share = Share { index, count, lent: &lent };
                decode_into(Cursor::new(record), share, &mut part).unwrap();
            }
            let mut counts = Oddities::default();
            let mut uses = NodeUses::default();
            let batch = finish_pods(part, &meta, tenant, &cluster, &mut uses, false, &mut counts);
            for row in &batch.rows {
                let Measures::Pod(values) = row.measures else { panic!("a storage row") };
                let bits = values.map(f64::to_bits);
                let (node, labels) = (batch.text(row.node), batch.text(row.pod_labels));
                rows.push(format!("{node:?} {labels:?} {bits:?}"));
            }
        }
        rows.sort();
        rows
    }

    proptest! {
        #[test]
        fn shares_lead_to_the_rows_of_the_whole(
            lent in prop::collection::vec((0usize..2, 0usize..8), 0..5),
            pods in prop::collection::vec(
                (0usize..2, 0usize..8, prop_oneof![0.0..1e9f64, Just(-1e30), Just(1e-40)]), 1..12),
            count in 2u64..6,
            trino: bool,
        ) {
            let tenant = tenant(if trino { NullRules::Trino } else { NullRules::SelfHosted });
            let state = day(&tenant, &lent, &pods);
            prop_assert_eq!(rows(&state, &tenant, count), rows(&state, &tenant, 1));
        }
    }
}
