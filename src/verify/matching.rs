//! Finds which row of one side is which row of the other.

use super::number::Number;
use super::view::{RowRef, View};

/// Up to this many pairs all are looked at.
const ALL_PAIRS: usize = 4096;

/// Rows with equal keys, paired.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    /// Pairs whose numbers are equal within the tolerance.
    pub equal: Vec<(usize, usize)>,
    pub left: Vec<usize>,
    pub right: Vec<usize>,
}

/// Pairs as many rows as can be with all numbers equal within the tolerance.
///
/// Sorting both sides by their numbers and comparing in order would not do: two rows that differ
/// by rounding in the first number may sort the other way round.
pub(super) fn match_equal(view: &View<'_>, left: &[usize], right: &[usize]) -> Matched {
    if left.is_empty() || right.is_empty() {
        return Matched { equal: Vec::new(), left: left.to_vec(), right: right.to_vec() };
    }
    let partners = if left.len().saturating_mul(right.len()) <= ALL_PAIRS {
        augmenting(left.len(), right.len(), |l, r| {
            view.close(RowRef::left(left[l]), RowRef::right(right[r]))
        })
    } else {
        windowed(view, left, right)
    };
    let mut matched = Matched::default();
    let mut taken = vec![false; right.len()];
    for (&l, partner) in left.iter().zip(partners) {
        match partner {
            Some(r) => {
                taken[r] = true;
                matched.equal.push((l, right[r]));
            }
            None => matched.left.push(l),
        }
    }
    matched.right = right.iter().zip(taken).filter(|(_, t)| !t).map(|(&r, _)| r).collect();
    matched
}

/// A largest matching of a small bipartite graph, by augmenting paths: the partner of each left
/// node. Closeness is not transitive, so taking the first that fits could cost a later row its own.
fn augmenting(
    left: usize,
    right: usize,
    close: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let edges: Vec<Vec<usize>> =
        (0..left).map(|l| (0..right).filter(|&r| close(l, r)).collect()).collect();
    let mut owner: Vec<Option<usize>> = vec![None; right];
    for l in 0..left {
        augment(l, &edges, &mut owner, &mut vec![false; right]);
    }
    let mut partners = vec![None; left];
    for (r, l) in owner.into_iter().enumerate() {
        if let Some(l) = l {
            partners[l] = Some(r);
        }
    }
    partners
}

fn augment(l: usize, edges: &[Vec<usize>], owner: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for &r in &edges[l] {
        if std::mem::replace(&mut seen[r], true) {
            continue;
        }
        if owner[r].is_none_or(|other| augment(other, edges, owner, seen)) {
            owner[r] = Some(l);
            return true;
        }
    }
    false
}

/// For large groups: both sides sorted by their most telling number, each left row takes the first
/// free right row within the tolerance.
fn windowed(view: &View<'_>, left: &[usize], right: &[usize]) -> Vec<Option<usize>> {
    let key = most_telling(view, left);
    let number = |row: RowRef| key.map_or(Number::NULL, |n| view.number(n, row));
    let mut order: Vec<usize> = (0..left.len()).collect();
    order.sort_by(|&a, &b| number(RowRef::left(left[a])).order(number(RowRef::left(left[b]))));
    let mut sorted: Vec<(Number, usize)> =
        right.iter().enumerate().map(|(i, &r)| (number(RowRef::right(r)), i)).collect();
    sorted.sort_by(|a, b| a.0.order(b.0));

    let mut free = FreeList::new(sorted.len());
    let mut partners = vec![None; left.len()];
    for l in order {
        let row = RowRef::left(left[l]);
        let value = number(row);
        let (low, high) = window(view, value);
        let mut at = free.from(sorted.partition_point(|(v, _)| v.order(low).is_lt()));
        while let Some((candidate, r)) = sorted.get(at)
            && candidate.order(high).is_le()
        {
            if view.close(row, RowRef::right(right[*r])) {
                partners[l] = Some(*r);
                free.take(at);
                break;
            }
            at = free.from(at + 1);
        }
    }
    partners
}

/// The numbers that can be close to `value`, and a few more.
fn window(view: &View<'_>, value: Number) -> (Number, Number) {
    match value.get() {
        Some(v) if v.is_finite() => {
            let relative = view.closeness.relative;
            // A relative tolerance is of the larger number, which may be the other one.
            let slack = if relative < 0.5 { 2.0 * relative * v.abs() } else { f64::INFINITY };
            let slack = slack + view.closeness.absolute;
            (Number::new(v - slack), Number::new(v + slack))
        }
        _ => (value, value),
    }
}

fn most_telling(view: &View<'_>, left: &[usize]) -> Option<usize> {
    (0..view.number_count()).max_by_key(|&n| {
        let mut values: Vec<Number> =
            left.iter().map(|&l| view.number(n, RowRef::left(l))).collect();
        values.sort_unstable_by(|a, b| a.order(*b));
        values.dedup();
        values.len()
    })
}

/// Positions that are not taken yet, skipping long runs of taken ones at once.
struct FreeList(Vec<usize>);

impl FreeList {
    fn new(len: usize) -> Self {
        FreeList((0..=len).collect())
    }

    /// The first free position at or after `at`; the length if there is none.
    fn from(&mut self, at: usize) -> usize {
        let end = self.0.len() - 1;
        let mut root = at.min(end);
        while self.0[root] != root {
            self.0[root] = self.0[self.0[root]];
            root = self.0[root];
        }
        root
    }

    fn take(&mut self, at: usize) {
        self.0[at] = at + 1;
    }
}

/// Pairs rows that differ, each left row with the nearest right row; what is over stays alone.
pub(super) fn pair_nearest(
    view: &View<'_>,
    left: &[usize],
    right: &[usize],
) -> (Vec<(usize, usize)>, Vec<usize>, Vec<usize>) {
    if left.len().saturating_mul(right.len()) > ALL_PAIRS {
        let n = left.len().min(right.len());
        let pairs = left.iter().copied().zip(right.iter().copied()).collect();
        return (pairs, left[n..].to_vec(), right[n..].to_vec());
    }
    let mut candidates: Vec<(usize, f64, usize, usize)> = Vec::new();
    for (l, &a) in left.iter().enumerate() {
        for (r, &b) in right.iter().enumerate() {
            let (columns, largest) = view.distance(RowRef::left(a), RowRef::right(b));
            candidates.push((columns, largest, l, r));
        }
    }
    candidates.sort_by(|a, b| {
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3))
    });
    let mut free = (vec![true; left.len()], vec![true; right.len()]);
    let mut pairs = Vec::new();
    for (_, _, l, r) in candidates {
        if free.0[l] && free.1[r] {
            free.0[l] = false;
            free.1[r] = false;
            pairs.push((left[l], right[r]));
        }
    }
    let rest = |rows: &[usize], free: &[bool]| {
        rows.iter().zip(free).filter(|(_, f)| **f).map(|(&row, _)| row).collect()
    };
    (pairs, rest(left, &free.0), rest(right, &free.1))
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, Options, load_csv};
    use super::*;
    use crate::verify::Rows;

    fn rows(values: &[(f64, f64)]) -> Rows {
        let mut text = String::from("pod_usage_cpu_core_hours,pod_request_cpu_core_hours\n");
        for (a, b) in values {
            text.push_str(&format!("{a:?},{b:?}\n"));
        }
        load_csv::read(text.as_bytes(), "x".to_owned(), &Filter::default()).unwrap()
    }

    fn matched(left: &[(f64, f64)], right: &[(f64, f64)]) -> Matched {
        let (left, right) = (rows(left), rows(right));
        let options = Options::default();
        let view = View::new(&left, &right, &options);
        let all = |n: usize| (0..n).collect::<Vec<_>>();
        match_equal(&view, &all(left.len()), &all(right.len()))
    }

    #[test]
    fn rounding_in_the_first_number_does_not_mismatch() {
        let left = [(1.0, 5.0), (1.0 + 1e-13, 9.0)];
        let right = [(1.0 + 1e-13, 5.0), (1.0, 9.0)];
        assert_eq!(matched(&left, &right).equal, [(0, 0), (1, 1)]);
    }

    #[test]
    fn a_row_gives_way_when_it_has_another_partner() {
        // Left 0 fits both, left 1 only right 0.
        let left = [(1.0, 0.0), (1.0 - 0.9e-9, 0.0)];
        let right = [(1.0, 0.0), (1.0 + 0.9e-9, 0.0)];
        let matched = matched(&left, &right);
        assert_eq!(matched.equal, [(0, 1), (1, 0)]);
    }

    #[test]
    fn large_groups_match_too() {
        let left: Vec<_> = (0..500).map(|i| (f64::from(i % 7), f64::from(i))).collect();
        let mut right: Vec<_> =
            left.iter().rev().map(|&(a, b)| (a * (1.0 + 1e-12), b * (1.0 - 1e-12))).collect();
        right[100].1 += 0.5;
        right.push((3.0, 3.0));
        let matched = matched(&left, &right);
        assert_eq!(matched.equal.len(), 499);
        assert_eq!(matched.left, [399]);
        assert_eq!(matched.right, [100, 500]);
        for (l, r) in matched.equal {
            assert!(r == 499 - l || (l == 3 && r == 500));
        }
    }

    #[test]
    fn a_large_group_of_one_value_is_quick() {
        let same = vec![(2.0, 3.0); 20_000];
        assert_eq!(matched(&same, &same).equal.len(), 20_000);
    }
}
