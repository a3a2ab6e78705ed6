//! What each node could have given in each hour.

use super::exact::{BYTE_SECONDS, CORE_SECONDS, Total};
use super::groups::Groups;
use super::pods::{greater, keep_greater};
use super::rows::{CAPACITY_BYTE_SECONDS, CAPACITY_CORE_SECONDS, PodRows};
use super::translation::Translation;
use crate::summary::row::TextId;

/// A node (the empty and the null one too) in an interval: microseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeInterval {
    pub node: TextId,
    pub interval: i64,
}

/// The greatest capacities that any row of a node and interval shows; NaN if none.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    pub core_seconds: f64,
    pub byte_seconds: f64,
}

impl Default for Most {
    fn default() -> Self {
        Most { core_seconds: f64::NAN, byte_seconds: f64::NAN }
    }
}

#[derive(Debug, Default)]
pub struct Capacity {
    nodes: Groups<NodeInterval, Most>,
    /// By node: the interval that it was last seen in, and the index of both in `nodes`. Files are
    /// in the order of their hours.
    last: Vec<(i64, u32)>,
}

/// An interval that no row has: they begin at midnight.
const NEVER: i64 = -1;

/// Capacity over a day: of a node, or of the cluster. `None` where no row shows any.
#[derive(Debug, Clone, Default)]
pub struct CapacityTotals {
    pub core_seconds: Option<Total>,
    pub byte_seconds: Option<Total>,
}

impl Capacity {
    pub fn add(&mut self, rows: &PodRows) {
        let cores = &rows.numbers[CAPACITY_CORE_SECONDS];
        let bytes = &rows.numbers[CAPACITY_BYTE_SECONDS];
        for (row, (&node, &interval)) in rows.node.iter().zip(&rows.interval).enumerate() {
            let index = self.index(node, interval);
            let most = self.nodes.state_mut(index);
            keep_greater(&mut most.core_seconds, cores[row]);
            keep_greater(&mut most.byte_seconds, bytes[row]);
        }
    }

    #[inline]
    fn index(&mut self, node: TextId, interval: i64) -> usize {
        match self.last.get(node.0 as usize) {
            Some(&(last, index)) if last == interval => index as usize,
            _ => self.look_up(node, interval),
        }
    }

    #[cold]
    fn look_up(&mut self, node: TextId, interval: i64) -> usize {
        let index = self.nodes.index(NodeInterval { node, interval });
        if !node.is_null() {
            let slot = node.0 as usize;
            if slot >= self.last.len() {
                self.last.resize(slot + 1, (NEVER, 0));
            }
            self.last[slot] = (interval, index as u32);
        }
        index
    }

    /// Takes over another state's capacities.
    pub fn merge(&mut self, other: &Capacity, ids: &mut Translation<'_>) {
        for (key, theirs) in other.nodes.iter() {
            self.merge_one(NodeInterval { node: ids.text(key.node), ..key }, theirs);
        }
    }

    /// Takes in what is known of a node and interval.
    pub fn merge_one(&mut self, key: NodeInterval, theirs: &Most) {
        let ours = self.nodes.entry(key);
        ours.core_seconds = greater(ours.core_seconds, theirs.core_seconds);
        ours.byte_seconds = greater(ours.byte_seconds, theirs.byte_seconds);
    }

    /// How many nodes and intervals there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node and interval at `index`, and what is known of it.
    pub fn at(&self, index: usize) -> (NodeInterval, &Most) {
        (self.nodes.key(index), self.nodes.state(index))
    }

    /// Sums over the intervals: by node, and of all nodes.
    pub fn totals(&self) -> (Groups<TextId, CapacityTotals>, CapacityTotals) {
        let mut nodes: Groups<TextId, CapacityTotals> = Groups::default();
        let mut cluster = CapacityTotals::default();
        for (key, most) in self.nodes.iter() {
            let node = nodes.entry(key.node);
            for into in [node, &mut cluster] {
                into.add(most);
            }
        }
        (nodes, cluster)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.nodes.heap_bytes() + self.last.capacity() * size_of::<(i64, u32)>()
    }

    /// Bytes that `rows` more rows may take at once.
    pub fn growth_bytes(&self, rows: usize) -> usize {
        self.nodes.growth_bytes(rows)
    }
}

impl CapacityTotals {
    /// Whether no row shows any.
    pub fn is_none(&self) -> bool {
        self.core_seconds.is_none() && self.byte_seconds.is_none()
    }

    /// Adds the capacity of other nodes.
    pub fn merge(&mut self, other: &CapacityTotals) {
        for (sum, other) in [
            (&mut self.core_seconds, &other.core_seconds),
            (&mut self.byte_seconds, &other.byte_seconds),
        ] {
            if let Some(other) = other {
                sum.get_or_insert_with(|| other.zeroed()).add_times(other, 1);
            }
        }
    }

    fn add(&mut self, most: &Most) {
        if !most.core_seconds.is_nan() {
            self.core_seconds
                .get_or_insert_with(|| Total::zero(CORE_SECONDS))
                .add_value(most.core_seconds, CORE_SECONDS);
        }
        if !most.byte_seconds.is_nan() {
            self.byte_seconds
                .get_or_insert_with(|| Total::zero(BYTE_SECONDS))
                .add_value(most.byte_seconds, BYTE_SECONDS);
        }
    }
}
