//! Pod measures by (namespace, node, filtered pod labels).

use super::exact::{BYTE_SECONDS, CORE_SECONDS, Scale, Total};
use super::groups::{Groups, Lines};
use super::interner::Interner;
use super::last_rows::{LastRows, Shown};
use super::rows::{NODE_BYTES, NODE_CORES, POD_SUMS, PodRows};
use super::sums::{Addends, Outliers, ROWS, Sums, blocks};
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

/// Aligned so that it lies in three cache lines, never in four.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub struct PodState {
    pub sums: Sums<POD_SUMS>,
    /// The greatest so far; NaN if none.
    pub node_cores: f64,
    pub node_bytes: f64,
    /// The greatest text so far, or null.
    pub resource_id: TextId,
}

const _: () = assert!(size_of::<PodState>() == 160);

impl Default for PodState {
    fn default() -> Self {
        PodState {
            sums: Sums::default(),
            resource_id: TextId::NULL,
            node_cores: f64::NAN,
            node_bytes: f64::NAN,
        }
    }
}

impl PodState {
    /// Sum `measure` of the state, which is that of group `index`; `None` if no value was present.
    pub fn total(&self, index: usize, measure: usize, outliers: &Outliers) -> Option<Total> {
        self.sums.total(index, measure, POD_SCALES[measure], outliers)
    }
}

impl Lines for PodState {
    #[inline]
    fn lines(&self) -> u64 {
        self.sums.lines() ^ self.node_bytes.to_bits()
    }
}

/// The pod groups of one partial state.
#[derive(Debug, Default)]
pub struct Pods {
    pub groups: Groups<PodKey, PodState>,
    pub outliers: Outliers,
    last: LastRows,
    /// Group of each row of the batch at hand.
    scratch: Vec<u32>,
    /// Rows of the batch at hand whose pod last showed something else.
    news: Vec<u32>,
}

/// Columns that go into a state: the sums and two maxima.
const COLUMNS: usize = POD_SUMS + 2;

/// Pods whose last rows are fetched together.
const AHEAD: usize = 64;

/// The group of a row without a node.
const DROPPED: u32 = u32::MAX;

impl Pods {
    /// Adds a batch; returns how many rows were dropped because they have no node.
    pub fn add(&mut self, rows: &PodRows, texts: &Interner, null_rules: NullRules) -> u64 {
        self.find_groups(rows, texts);
        let mut dropped = 0;
        let mut addends = Addends::default();
        let columns: [&[f64]; COLUMNS] = std::array::from_fn(|column| &rows.numbers[column][..]);
        let mut padded = [[f64::NAN; ROWS]; COLUMNS];
        let all = std::mem::take(&mut self.scratch);
        let mut ahead = all.chunks(ROWS);
        self.groups.touch(ahead.next().unwrap_or_default());
        for (start, groups) in (0..).step_by(ROWS).zip(all.chunks(ROWS)) {
            let numbers = blocks(columns, start, &mut padded);
            self.split(&numbers, groups, null_rules, &mut addends);
            // Those of the next block come while this one is added.
            self.groups.touch(ahead.next().unwrap_or_default());
            let (node_cores, node_bytes) = (numbers[NODE_CORES], numbers[NODE_BYTES]);
            for (row, &group) in groups.iter().enumerate() {
                if group == DROPPED {
                    dropped += 1;
                    continue;
                }
                let group = group as usize;
                let state = self.groups.state_mut(group);
                state.sums.add(group, &addends, row, &POD_SCALES, &mut self.outliers);
                keep_greater(&mut state.node_cores, node_cores[row]);
                keep_greater(&mut state.node_bytes, node_bytes[row]);
            }
        }
        self.scratch = all;
        dropped
    }

    /// Splits the summed ones of the values `numbers` of rows whose groups are `groups`.
    #[inline]
    fn split(
        &mut self,
        numbers: &[&[f64; ROWS]; COLUMNS],
        groups: &[u32],
        null_rules: NullRules,
        addends: &mut Addends<POD_SUMS>,
    ) {
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
        ] = *numbers;
        let [mut made_cpu, mut made_mem] = [[f64::NAN; ROWS]; 2];
        let used_cpu = all_effective(own_cpu, usage_cpu, request_cpu, null_rules, &mut made_cpu);
        let used_mem = all_effective(own_mem, usage_mem, request_mem, null_rules, &mut made_mem);
        let outliers = &mut self.outliers;
        let values = [
            usage_cpu,
            request_cpu,
            limit_cpu,
            used_cpu,
            usage_mem,
            request_mem,
            limit_mem,
            used_mem,
        ];
        addends.split(values, &POD_SCALES, |row, measure, value| {
            if let Some(&group) = groups.get(row).filter(|&&group| group != DROPPED) {
                outliers.add(group as usize, measure, value);
            }
        });
    }

    /// Finds, or makes, the group of each row.
    fn find_groups(&mut self, rows: &PodRows, texts: &Interner) {
        self.scratch.clear();
        self.news.clear();
        let empty = texts.find("").unwrap_or(TextId::NULL);
        let keys = rows.namespace.iter().zip(&rows.node).zip(&rows.resource_id).zip(&rows.labels);
        for (row, (((&namespace, &node), &resource_id), &labels)) in keys.enumerate() {
            if row.is_multiple_of(AHEAD) {
                self.last.touch(rows.pod.iter().skip(row).take(AHEAD));
            }
            let pod = rows.pod.get(row).copied().filter(|pod| !pod.is_null());
            let shown = Shown { namespace, node, resource_id, labels };
            if let Some(group) = pod.and_then(|pod| self.last.group(pod, shown)) {
                self.scratch.push(group);
                continue;
            }
            let without_node = node.is_null() || node == empty;
            let group = if without_node { DROPPED } else { self.group_of(shown, texts) };
            if let Some(pod) = pod {
                self.last.keep(pod, shown, group);
                self.news.push(row as u32);
            }
            self.scratch.push(group);
        }
    }

    fn group_of(&mut self, shown: Shown, texts: &Interner) -> u32 {
        let Shown { namespace, node, resource_id, labels } = shown;
        let group = self.groups.index(PodKey { namespace, node, labels });
        let state = self.groups.state_mut(group);
        state.resource_id = greater_text(state.resource_id, resource_id, texts);
        group as u32
    }

    /// Rows of the batch added last whose pod had shown something else before, or nothing yet.
    pub fn news(&self) -> &[u32] {
        &self.news
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
        group
    }

    /// Bytes that `rows` more rows may take at once, whose texts are the first of `texts`.
    pub fn growth_bytes(&self, rows: usize, texts: usize) -> usize {
        self.groups.growth_bytes(rows) + self.last.growth_bytes(texts)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.groups.heap_bytes()
            + self.outliers.heap_bytes()
            + self.last.heap_bytes()
            + (self.scratch.capacity() + self.news.capacity()) * 4
    }
}

/// What each row counts as used: `own` if all of them say, else in `made`.
#[inline]
fn all_effective<'c>(
    own: &'c [f64; ROWS],
    usage: &[f64; ROWS],
    request: &[f64; ROWS],
    null_rules: NullRules,
    made: &'c mut [f64; ROWS],
) -> &'c [f64; ROWS] {
    if !own.iter().fold(false, |found, own| found | own.is_nan()) {
        return own;
    }
    let rows = own.iter().zip(usage.iter().zip(request));
    for (made, (&own, (&usage, &request))) in made.iter_mut().zip(rows) {
        *made = effective(own, usage, request, null_rules);
    }
    made
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

/// Keeps the greater in `most`; mostly it is there already.
#[inline]
pub fn keep_greater(most: &mut f64, value: f64) {
    if most.to_bits() != value.to_bits() {
        *most = greater(*most, value);
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
