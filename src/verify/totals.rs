//! Sums of the main measures per cluster, node and namespace, for a first look.

use rustc_hash::FxHashMap;

use super::number::Number;
use super::report::{GroupTotal, MeasureTotal, Totals};
use super::view::View;
use crate::summary::columns::{POD_MEASURES, STORAGE_MEASURES};

const GROUPS: [&str; 3] = ["cluster_id", "node", "namespace"];

/// Capacities are left out: they repeat in every row of a node.
fn measures() -> impl Iterator<Item = &'static str> {
    POD_MEASURES[..8].iter().chain(&STORAGE_MEASURES[1..]).copied()
}

/// A sum that keeps what rounding takes away, so that the order of rows hardly matters.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sum: f64,
    lost: f64,
    /// Of the absolute values: what a relative tolerance of the sum is of.
    magnitude: f64,
    count: usize,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
        self.magnitude += value.abs();
        self.count += 1;
    }

    fn get(self) -> Option<f64> {
        // Infinities make the correction NaN.
        let corrected = self.sum + self.lost;
        (self.count > 0).then_some(if corrected.is_nan() { self.sum } else { corrected })
    }
}

#[derive(Default)]
struct Group {
    name: Option<String>,
    rows: [usize; 2],
    sums: Vec<[Sum; 2]>,
}

/// The totals of each grouping that both sides have the column for.
pub(super) fn totals(view: &View<'_>) -> Vec<Totals> {
    let measures: Vec<(usize, &'static str)> =
        measures().filter_map(|name| Some((view.number_named(name)?, name))).collect();
    let keys = GROUPS.iter().filter_map(|name| Some((view.key_named(name)?, *name)));
    keys.map(|(key, by)| {
        let mut groups: FxHashMap<u32, Group> = FxHashMap::default();
        for row in view.rows() {
            let group = groups.entry(view.id(key, row)).or_insert_with(|| Group {
                name: view.text(key, row).map(str::to_owned),
                rows: [0; 2],
                sums: vec![[Sum::default(); 2]; measures.len()],
            });
            let side = usize::from(row.right);
            group.rows[side] += 1;
            for ((number, _), sums) in measures.iter().zip(&mut group.sums) {
                if let Some(value) = view.number(*number, row).get() {
                    sums[side].add(value);
                }
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        let groups = groups.into_iter().map(|group| total(view, &measures, group)).collect();
        Totals { by: by.to_owned(), groups }
    })
    .collect()
}

fn total(view: &View<'_>, measures: &[(usize, &'static str)], group: Group) -> GroupTotal {
    let mut totals = Vec::new();
    for (&(_, name), [left, right]) in measures.iter().zip(group.sums) {
        // Large values of both signs may cancel to a small sum, their rounding does not.
        let slack = view.closeness.relative * left.magnitude.max(right.magnitude)
            + view.closeness.absolute * left.count.max(right.count) as f64;
        let (left, right) = (left.get(), right.get());
        if left.is_none() && right.is_none() {
            continue;
        }
        let number = |value: Option<f64>| value.map_or(Number::NULL, Number::new);
        let (a, b) = (number(left), number(right));
        totals.push(MeasureTotal {
            measure: name,
            left,
            right,
            difference: right.unwrap_or(0.0) - left.unwrap_or(0.0),
            relative: a.relative_difference(b),
            equal: view.closeness.close(a, b)
                || matches!((left, right), (Some(a), Some(b)) if (a - b).abs() <= slack),
        });
    }
    GroupTotal {
        name: group.name,
        rows_left: group.rows[0],
        rows_right: group.rows[1],
        measures: totals,
    }
}
