//! Pod measures by (namespace, node, filtered pod labels).

use super::exact::{BYTE_SECONDS, CORE_SECONDS, Scale, Total};
use super::groups::Groups;
use super::interner::Interner;
use super::rows::{NODE_BYTES, NODE_CORES, POD_SUMS, PodRows};
use super::sums::{Outliers, Sums};
use super::translation::Translation;
use crate::labels::sets::SetId;
use crate::settings::NullRules;
use crate::summary::row::TextId;

/// Scales of the summed measures, in the order of [`super::rows::POD_NUMBERS`].
pub const POD_SCALES: [Scale; POD_SUMS] = [
    CORE_SECONDS,
    CORE_SECONDS,
    CORE_SECONDS,
    CORE_SECONDS,
    BYTE_SECONDS,
    BYTE_SECONDS,
    BYTE_SECONDS,
    BYTE_SECONDS,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PodKey {
    pub namespace: TextId,
    pub node: TextId,
    pub labels: SetId,
}

#[derive(Debug, Clone, Copy)]
pub struct PodState {
    pub sums: Sums<POD_SUMS>,
    /// The greatest text so far, or null.
    pub resource_id: TextId,
    /// The greatest so far; NaN if none.
    pub node_cores: f64,
    pub node_bytes: f64,
    /// Line items in the group.
    pub rows: u64,
}

impl Default for PodState {
    fn default() -> Self {
        PodState {
            sums: Sums::default(),
            resource_id: TextId::NULL,
            node_cores: f64::NAN,
            node_bytes: f64::NAN,
            rows: 0,
        }
    }
}

/// The pod groups of one partial state.
#[derive(Debug, Default)]
pub struct Pods {
    pub groups: Groups<PodKey, PodState>,
    pub outliers: Outliers,
    /// Group of each row of the batch at hand.
    scratch: Vec<u32>,
}

const DROPPED: u32 = u32::MAX;

impl Pods {
    /// Adds a batch; returns how many rows were dropped because they have no node.
    pub fn add(&mut self, rows: &PodRows, texts: &Interner, null_rules: NullRules) -> u64 {
        let mut dropped = 0;
        self.scratch.clear();
        let empty = texts.find("").unwrap_or(TextId::NULL);
        for ((&namespace, &node), &labels) in
            rows.namespace.iter().zip(&rows.node).zip(&rows.labels)
        {
            let group = if node.is_null() || node == empty {
                dropped += 1;
                DROPPED
            } else {
                self.groups.index(PodKey { namespace, node, labels }) as u32
            };
            self.scratch.push(group);
        }
        let [
            usage_cpu,
            request_cpu,
            limit_cpu,
            own_cpu,
            usage_mem,
            request_mem,
            limit_mem,
            own_mem,
            ..,
        ] = &rows.numbers;
        for (row, &group) in self.scratch.iter().enumerate() {
            if group == DROPPED {
                continue;
            }
            let group = group as usize;
            let state = self.groups.state_mut(group);
            let effective_cpu =
                effective(own_cpu[row], usage_cpu[row], request_cpu[row], null_rules);
            let effective_mem =
                effective(own_mem[row], usage_mem[row], request_mem[row], null_rules);
            let values = [
                usage_cpu[row],
                request_cpu[row],
                limit_cpu[row],
                effective_cpu,
                usage_mem[row],
                request_mem[row],
                limit_mem[row],
                effective_mem,
            ];
            for measure in 0..POD_SUMS {
                let scale = POD_SCALES[measure];
                state.sums.add(group, measure, values[measure], scale, &mut self.outliers);
            }
            state.node_cores = greater(state.node_cores, rows.numbers[NODE_CORES][row]);
            state.node_bytes = greater(state.node_bytes, rows.numbers[NODE_BYTES][row]);
            state.resource_id = greater_text(state.resource_id, rows.resource_id[row], texts);
            state.rows += 1;
        }
        dropped
    }

    /// Takes over another state's groups.
    pub fn merge(&mut self, other: &Pods, ids: &mut Translation<'_>) {
        let mut group_of = Vec::with_capacity(other.groups.len());
        for (key, theirs) in other.groups.iter() {
            let key = PodKey {
                namespace: ids.text(key.namespace),
                node: ids.text(key.node),
                labels: ids.set(key.labels),
            };
            let theirs = PodState { resource_id: ids.text(theirs.resource_id), ..*theirs };
            group_of.push(self.merge_group(key, &theirs, ids.texts()));
        }
        self.outliers.merge(&other.outliers, |g| group_of[g]);
    }

    /// Adds to the group of `key`, whose index it returns; outliers are merged apart.
    pub fn merge_group(&mut self, key: PodKey, theirs: &PodState, texts: &Interner) -> usize {
        let group = self.groups.index(key);
        let ours = self.groups.state_mut(group);
        ours.sums.merge(group, &theirs.sums, &POD_SCALES, &mut self.outliers);
        ours.node_cores = greater(ours.node_cores, theirs.node_cores);
        ours.node_bytes = greater(ours.node_bytes, theirs.node_bytes);
        ours.resource_id = greater_text(ours.resource_id, theirs.resource_id, texts);
        ours.rows += theirs.rows;
        group
    }

    /// Sum `measure` of group `index`; `None` if no value was present.
    pub fn total(&self, index: usize, measure: usize) -> Option<Total> {
        let state = self.groups.state(index);
        state.sums.total(index, measure, POD_SCALES[measure], &self.outliers)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.outliers.heap_bytes() + self.scratch.capacity() * 4
    }
}

/// What a row counts as used: its own figure, else the greater of usage and request.
#[inline]
fn effective(own: f64, usage: f64, request: f64, null_rules: NullRules) -> f64 {
    if !own.is_nan() {
        own
    } else if null_rules == NullRules::Trino && (usage.is_nan() || request.is_nan()) {
        f64::NAN
    } else {
        greater(usage, request)
    }
}

/// The greater of two numbers, NaN meaning none; in an order that tells -0.0 from 0.0.
#[inline]
pub fn greater(a: f64, b: f64) -> f64 {
    if b.is_nan() || a > b {
        a
    } else if a < b || a.is_nan() || a.is_sign_negative() {
        b
    } else {
        a
    }
}

/// The greater of two texts, null being the least.
#[inline]
pub fn greater_text(a: TextId, b: TextId, texts: &Interner) -> TextId {
    if a == b || b.is_null() || (!a.is_null() && texts.get(a) >= texts.get(b)) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greater_is_order_free() {
        let values = [f64::NAN, -1.0, -0.0, 0.0, 2.0];
        for (i, &a) in values.iter().enumerate() {
            for (j, &b) in values.iter().enumerate() {
                let expected = values[i.max(j)];
                assert_eq!(greater(a, b).to_bits(), expected.to_bits(), "{a} {b}");
            }
        }
    }

    #[test]
    fn effective_usage() {
        let nan = f64::NAN;
        assert_eq!(effective(5.0, 9.0, 1.0, NullRules::SelfHosted), 5.0);
        assert_eq!(effective(nan, 1.0, 2.0, NullRules::SelfHosted), 2.0);
        assert_eq!(effective(nan, 1.0, nan, NullRules::SelfHosted), 1.0);
        assert!(effective(nan, 1.0, nan, NullRules::Trino).is_nan());
        assert_eq!(effective(nan, 1.0, 2.0, NullRules::Trino), 2.0);
    }
}
