//! Pod groups as self-contained records.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashSet};

use super::bytes::{Cursor, Malformed, put_text, put_varint};
use crate::aggregate::exact::Sum;
use crate::aggregate::interner::hash_text;
use crate::aggregate::partial::Partial;
use crate::aggregate::pods::{PodKey, PodState};
use crate::aggregate::rows::POD_SUMS;
use crate::aggregate::sums::Sums;
use crate::aggregate::wide::Wide;
use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// Groups of one namespace and node always share a partition: so do the finished groups that
/// their labels lead to.
pub const PARTITIONS: usize = 256;

/// The partition of a group. The same whatever state it is in.
pub fn partition(state: &Partial, key: PodKey) -> usize {
    let seed = state.texts.seed();
    let namespace = hash_text(state.texts.get(key.namespace).unwrap_or_default().as_bytes(), seed);
    let node = state.texts.get(key.node).unwrap_or_default().as_bytes();
    (hash_text(node, namespace) as usize) % PARTITIONS
}

/// Appends group `index` of `state`, preceded by its length.
pub fn encode(state: &Partial, index: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    encode_group(state, index, out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn encode_group(state: &Partial, index: usize, out: &mut Vec<u8>) {
    let key = state.pods.groups.key(index);
    let group = state.pods.groups.state(index);
    put_text(out, state.texts.get(key.namespace));
    put_text(out, state.texts.get(key.node));
    put_text(out, state.texts.get(group.resource_id));
    if key.labels == SetId::NULL {
        out.push(0);
    } else {
        let pairs = state.sets.pairs(key.labels);
        put_varint(out, pairs.len() as u64 + 1);
        for &(key, value) in pairs {
            put_varint(out, u64::from(key));
            put_text(out, state.texts.get(TextId(value)));
        }
    }
    let (sums, rows, present) = group.sums.parts();
    put_varint(out, u64::from(rows));
    out.extend(group.node_cores.to_le_bytes());
    out.extend(group.node_bytes.to_le_bytes());
    out.extend(present.to_le_bytes());
    for sum in sums {
        let (high, low) = sum.parts();
        out.extend(high.to_le_bytes());
        out.extend(low.to_le_bytes());
    }
    let outliers: Vec<(usize, &Wide)> = state.pods.outliers.of_group(index, POD_SUMS).collect();
    put_varint(out, outliers.len() as u64);
    for (measure, wide) in outliers {
        let limbs = wide.limbs();
        out.push(measure as u8);
        put_varint(out, limbs.len() as u64);
        for (limb, value) in limbs {
            out.extend(limb.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
    }
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

/// Adds the groups in `bytes` that fall to `share` to `state`.
pub fn decode_into(bytes: &[u8], share: Share<'_>, state: &mut Partial) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut labels: Vec<(u32, Option<&str>)> = Vec::new();
    let mut pairs = Vec::new();
    while !cursor.is_at_end() {
        let length = u32::from_le_bytes(cursor.array()?) as usize;
        let mut cursor = Cursor::new(cursor.take(length)?);
        let (namespace, node, resource_id) = (cursor.text()?, cursor.text()?, cursor.text()?);
        labels.clear();
        let count = cursor.varint()?;
        for _ in 1..count.max(1) {
            let key = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
            labels.push((key, cursor.text()?));
        }
        if !share.holds(&labels) {
            continue;
        }
        let namespace = intern(state, namespace);
        let node = intern(state, node);
        let resource_id = intern(state, resource_id);
        let labels = if count == 0 {
            SetId::NULL
        } else {
            pairs.clear();
            for &(key, value) in &labels {
                pairs.push((key, intern(state, value).0));
            }
            state.sets.intern_ids(&pairs)
        };
        let rows = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
        let node_cores = cursor.f64()?;
        let node_bytes = cursor.f64()?;
        let present = u16::from_le_bytes(cursor.array()?);
        let mut sums = [Sum::default(); POD_SUMS];
        for sum in &mut sums {
            let high = i64::from_le_bytes(cursor.array()?);
            *sum = Sum::from_parts(high, i64::from_le_bytes(cursor.array()?));
        }
        let sums = Sums::from_parts(sums, rows, present);
        let group = PodState { sums, resource_id, node_cores, node_bytes };
        let key = PodKey { namespace, node, labels };
        let index = state.pods.merge_group(key, &group, &state.texts);
        for _ in 0..cursor.varint()? {
            let [measure] = cursor.array()?;
            let mut wide = Wide::default();
            for _ in 0..cursor.varint()? {
                let limb = i32::from_le_bytes(cursor.array()?);
                wide.add_limb(limb, i128::from_le_bytes(cursor.array()?));
            }
            if usize::from(measure) >= POD_SUMS {
                return Err(Malformed);
            }
            state.pods.outliers.merge_one(index, measure.into(), &wide);
        }
    }
    Ok(())
}

fn intern(state: &mut Partial, text: Option<&str>) -> TextId {
    text.map_or(TextId::NULL, |text| state.texts.intern(text))
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
    use crate::summary::finish::{FanOutCounts, Tenant, finish_pods};
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
        let mut bytes = Vec::new();
        (0..state.pods.groups.len()).for_each(|index| encode(state, index, &mut bytes));
        let facts = state.facts();
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
            let mut part = facts.facts();
            decode_into(&bytes, Share { index, count, lent: &lent }, &mut part).unwrap();
            let mut counts = FanOutCounts::default();
            let batch = finish_pods(part, &meta, tenant, &mut NodeUses::default(), &mut counts);
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
