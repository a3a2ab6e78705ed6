//! What the sums of a right summary fulfil, whatever the cluster.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::output::{Day, Summary};
use super::{Pair, Usage};
use crate::decode::times::{day_number, day_text};

/// Sums of doubles in different orders differ by far less, relative to the larger of them.
const TOLERANCE: f64 = 1e-9;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub what: &'static str,
    /// Over how much.
    pub scope: String,
    /// The first thing found that is wrong; `None` if nothing is.
    pub fault: Option<String>,
}

/// Checks `summary` of the days `from..=to` against the sums of the `input` it was made of.
pub fn all(summary: &Summary, input: &Usage, from: NaiveDate, to: NaiveDate) -> Vec<Check> {
    vec![
        every_day(summary, from, to),
        as_the_input(summary, input),
        used_and_left(summary),
        cluster_of_nodes(summary),
    ]
}

fn every_day(summary: &Summary, from: NaiveDate, to: NaiveDate) -> Check {
    let wanted: BTreeSet<i64> = (day_number(from)..=day_number(to)).collect();
    let found: BTreeSet<i64> = summary.cluster.keys().map(|day| i64::from(*day)).collect();
    let odd = wanted.symmetric_difference(&found).next();
    Check {
        what: "every day is there, and no other",
        scope: format!("{} days", wanted.len()),
        fault: odd.map(|day| {
            let is = if found.contains(day) { "was not asked for" } else { "is missing" };
            format!("{} {is}", day_text(*day))
        }),
    }
}

fn as_the_input(summary: &Summary, input: &Usage) -> Check {
    let rows = summary.pods();
    let fault = measures(&rows).into_iter().zip(measures(input)).find_map(|(found, sum)| {
        let ((name, found), (_, sum)) = (found, sum);
        differ(found, sum, sum).then(|| format!("{name}: rows {found}, input {sum}"))
    });
    Check { what: "pod rows = sums of the input", scope: "6 measures".to_owned(), fault }
}

fn used_and_left(summary: &Summary) -> Check {
    let fault = summary.nodes.iter().find_map(|((day, node), sums)| {
        let place = format!("node {node} on {}", day_text(i64::from(*day)));
        if sums.unallocated_rows != 1 {
            return Some(format!("{place}: {} unallocated rows", sums.unallocated_rows));
        }
        let of = |pair: Pair| [pair.cpu, pair.memory, pair.cpu, pair.memory, pair.cpu, pair.memory];
        let measures = measures(&sums.pods).into_iter().zip(measures(&sums.left));
        measures.zip(of(sums.capacity)).find_map(|(((name, used), (_, left)), capacity)| {
            differ(used + left, capacity, used.abs().max(capacity)).then(|| {
                format!("{place}, {name}: {used} in pods + {left} left, capacity {capacity}")
            })
        })
    });
    Check {
        what: "pods + unallocated = capacity of the node",
        scope: format!("{} nodes and days", summary.nodes.len()),
        fault,
    }
}

fn cluster_of_nodes(summary: &Summary) -> Check {
    let mut nodes: BTreeMap<Day, Pair> = BTreeMap::new();
    for ((day, _), node) in &summary.nodes {
        nodes.entry(*day).or_default().add(node.capacity);
    }
    let fault = summary.cluster.iter().find_map(|(day, (least, most))| {
        let sum = nodes.get(day).copied().unwrap_or_default();
        [least, most].into_iter().find_map(|shown| {
            let wrong =
                differ(shown.cpu, sum.cpu, sum.cpu) || differ(shown.memory, sum.memory, sum.memory);
            wrong.then(|| {
                format!("{}: rows show {shown:?}, nodes sum to {sum:?}", day_text(i64::from(*day)))
            })
        })
    });
    Check {
        what: "capacity of the cluster = that of its nodes",
        scope: format!("{} days", summary.cluster.len()),
        fault,
    }
}

/// Each measure by name, CPU and memory in turn.
fn measures(usage: &Usage) -> [(&'static str, f64); 6] {
    [
        ("CPU used", usage.used.cpu),
        ("memory used", usage.used.memory),
        ("CPU requested", usage.requested.cpu),
        ("memory requested", usage.requested.memory),
        ("effective CPU", usage.effective.cpu),
        ("effective memory", usage.effective.memory),
    ]
}

/// Whether two sums are apart by more than rounding, `scale` being the largest of their terms. A
/// sum that is no number is.
fn differ(a: f64, b: f64, scale: f64) -> bool {
    let close = (a - b).abs() <= TOLERANCE * scale.abs();
    !close
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::output::{Group, NodeDay};

    const NODE: &str = "n";

    fn usage(cpu: f64, memory: f64) -> Usage {
        let pair = Pair { cpu, memory };
        Usage { used: pair, requested: pair, effective: pair }
    }

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 10, 1).unwrap()
    }

    /// One node for one day: 24 core-hours, of which 4 are used.
    fn right() -> (Summary, Usage) {
        let number = day_number(day()) as Day;
        let capacity = Pair { cpu: 24.0, memory: 96.0 };
        let node = NodeDay {
            pods: usage(4.0, 6.0),
            left: usage(20.0, 90.0),
            capacity,
            unallocated_rows: 1,
            group: Group::Worker,
        };
        let summary = Summary {
            rows: 2,
            namespaces: [("a".to_owned(), usage(4.0, 6.0))].into(),
            nodes: [((number, NODE.to_owned()), node)].into(),
            cluster: [(number, (capacity, capacity))].into(),
            ..Summary::default()
        };
        (summary, usage(4.0, 6.0))
    }

    fn faults(change: impl FnOnce(&mut Summary, &mut Usage)) -> Vec<String> {
        let (mut summary, mut input) = right();
        change(&mut summary, &mut input);
        all(&summary, &input, day(), day()).into_iter().filter_map(|check| check.fault).collect()
    }

    fn node(summary: &mut Summary) -> &mut NodeDay {
        summary.nodes.values_mut().next().unwrap()
    }

    #[test]
    fn a_right_summary_passes() {
        assert_eq!(faults(|_, _| {}), [""; 0]);
        assert_eq!(faults(|_, input| input.used.cpu += 1e-12), [""; 0]);
    }

    #[test]
    fn a_millionth_too_much_is_found() {
        let found = faults(|_, input| input.requested.memory *= 1.000_001);
        assert_eq!(found, ["memory requested: rows 6, input 6.000005999999999"]);
        let found = faults(|summary, _| node(summary).left.effective.cpu += 1e-5);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("node n on 2025-10-01, effective CPU: 4 in pods"),
            "{found:?}"
        );
    }

    #[test]
    fn a_lost_a_doubled_and_a_foreign_day_are_found() {
        let found = faults(|summary, _| *summary = Summary::default());
        assert_eq!(found[0], "2025-10-01 is missing");
        let found = faults(|summary, _| {
            let (day, shown) = summary.cluster.pop_first().unwrap();
            summary.cluster.insert(day, shown);
            summary.cluster.insert(day + 1, (Pair::default(), Pair::default()));
        });
        assert_eq!(found, ["2025-10-02 was not asked for"]);
        let found = faults(|summary, _| {
            for usage in summary.namespaces.values_mut() {
                usage.add(*usage);
            }
        });
        assert_eq!(found, ["CPU used: rows 8, input 4"]);
    }

    #[test]
    fn unallocated_rows_are_one_a_node() {
        let found = faults(|summary, _| node(summary).unallocated_rows = 2);
        assert_eq!(found, ["node n on 2025-10-01: 2 unallocated rows"]);
    }

    #[test]
    fn a_row_with_another_capacity_of_the_cluster_is_found() {
        let found = faults(|summary, _| summary.cluster.values_mut().next().unwrap().1.cpu = 25.0);
        assert!(found[0].contains("rows show Pair { cpu: 25.0"), "{found:?}");
    }

    #[test]
    fn no_number_is_no_sum() {
        assert_eq!(faults(|_, input| input.used.cpu = f64::NAN).len(), 1);
    }
}
