//! Matches two sides as multisets.

use super::Options;
use super::matching::{match_equal, pair_nearest};
use super::number::Number;
use super::report::{
    Cell, CellDifference, Named, OneSided, Report, RowDifference, RowDifferenceKind, Side,
    Tolerance,
};
use super::rows::{Column, Rows};
use super::totals::totals;
use super::view::{RowRef, View};

/// Columns by which a row is named, in the order a reader looks for it.
const IDENTITY: [&str; 9] = [
    "usage_start",
    "cluster_id",
    "data_source",
    "namespace",
    "node",
    "persistentvolumeclaim",
    "persistentvolume",
    "pod_labels",
    "volume_labels",
];

/// Rows without a partner of equal keys are paired by fewer keys, so that one wrong label shows as
/// one differing row rather than as a missing and an extra one.
const NEARLY: [&[&str]; 2] =
    [&IDENTITY, &["usage_start", "data_source", "namespace", "node", "persistentvolumeclaim"]];

/// Two rows that differ, or one row without a counterpart.
#[derive(Debug, Clone, Copy)]
struct Difference {
    left: Option<RowRef>,
    right: Option<RowRef>,
}

/// Compares the columns that both sides have. Rows are matched by all columns that are not
/// measures, rows alike in those by their measures within the tolerance.
pub fn compare(left: &Rows, right: &Rows, options: &Options) -> Report {
    let view = View::new(left, right, options);
    let mut outcome = Outcome::default();
    let all_keys: Vec<usize> = (0..view.key_count()).collect();
    for_each_group(&view, &all_keys, view.rows().collect(), |lefts, rights| {
        outcome.group(&view, lefts, rights);
    });
    for names in NEARLY {
        let keys: Vec<usize> = names.iter().filter_map(|name| view.key_named(name)).collect();
        if keys.is_empty() || outcome.left_only.is_empty() || outcome.right_only.is_empty() {
            break;
        }
        let lefts = std::mem::take(&mut outcome.left_only);
        let rights = std::mem::take(&mut outcome.right_only);
        let rows = lefts.into_iter().map(RowRef::left).chain(rights.into_iter().map(RowRef::right));
        for_each_group(&view, &keys, rows.collect(), |lefts, rights| {
            outcome.pair(&view, lefts, rights);
        });
    }
    report(&view, left, right, options, outcome)
}

#[derive(Default)]
struct Outcome {
    equal: usize,
    differing: Vec<(usize, usize)>,
    left_only: Vec<usize>,
    right_only: Vec<usize>,
    largest: Option<f64>,
}

impl Outcome {
    fn group(&mut self, view: &View<'_>, left: &[usize], right: &[usize]) {
        let matched = match_equal(view, left, right);
        self.equal += matched.equal.len();
        for (l, r) in matched.equal {
            self.note(view, l, r);
        }
        self.pair(view, &matched.left, &matched.right);
    }

    fn pair(&mut self, view: &View<'_>, left: &[usize], right: &[usize]) {
        let (pairs, left, right) = pair_nearest(view, left, right);
        for &(l, r) in &pairs {
            self.note(view, l, r);
        }
        self.differing.extend(pairs);
        self.left_only.extend(left);
        self.right_only.extend(right);
    }

    fn note(&mut self, view: &View<'_>, left: usize, right: usize) {
        let found = view.largest_difference(RowRef::left(left), RowRef::right(right));
        self.largest = match (self.largest, found) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Calls `f` with the left and the right rows of each distinct combination of `keys`.
fn for_each_group(
    view: &View<'_>,
    keys: &[usize],
    rows: Vec<RowRef>,
    mut f: impl FnMut(&[usize], &[usize]),
) {
    let mut hashed: Vec<(u64, RowRef)> =
        rows.into_iter().map(|row| (view.hash(keys, row), row)).collect();
    hashed.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| view.order(keys, a.1, b.1)).then_with(|| a.1.cmp(&b.1))
    });
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for group in hashed.chunk_by(|a, b| a.0 == b.0 && view.order(keys, a.1, b.1).is_eq()) {
        left.clear();
        right.clear();
        for &(_, row) in group {
            if row.right { right.push(row.row) } else { left.push(row.row) }
        }
        f(&left, &right);
    }
}

fn report(
    view: &View<'_>,
    left: &Rows,
    right: &Rows,
    options: &Options,
    outcome: Outcome,
) -> Report {
    let mut differences: Vec<Difference> = Vec::new();
    let pair = |&(l, r): &(usize, usize)| Difference {
        left: Some(RowRef::left(l)),
        right: Some(RowRef::right(r)),
    };
    differences.extend(outcome.differing.iter().map(pair));
    let only_left = outcome.left_only.iter().map(|&l| Some(RowRef::left(l)));
    differences.extend(only_left.map(|left| Difference { left, right: None }));
    let only_right = outcome.right_only.iter().map(|&r| Some(RowRef::right(r)));
    differences.extend(only_right.map(|right| Difference { left: None, right }));

    let identity: Vec<usize> = IDENTITY.iter().filter_map(|name| view.key_named(name)).collect();
    let name = |d: &Difference| {
        let row = d.left.or(d.right);
        identity.iter().map(move |&key| row.and_then(|row| view.text(key, row)))
    };
    differences
        .sort_by(|a, b| name(a).cmp(name(b)).then(a.left.cmp(&b.left)).then(a.right.cmp(&b.right)));

    let shared =
        |column: &&Column, other: &Rows| other.columns.iter().any(|c| c.name == column.name);
    let one_sided = |side: &Rows, other: &Rows| {
        let columns = side.columns.iter().filter(|c| !shared(c, other));
        columns.map(|c| OneSided { column: c.name.clone(), filled: c.filled() }).collect()
    };
    Report {
        left: Side { name: left.name.clone(), rows: left.len },
        right: Side { name: right.name.clone(), rows: right.len },
        tolerance: Tolerance { relative: options.relative, absolute: options.absolute },
        columns: left.columns.iter().filter(|c| shared(c, right)).map(|c| c.name.clone()).collect(),
        only_left: one_sided(left, right),
        only_right: one_sided(right, left),
        totals: totals(view),
        equal_rows: outcome.equal,
        differing_rows: outcome.differing.len(),
        rows_only_left: outcome.left_only.len(),
        rows_only_right: outcome.right_only.len(),
        largest_relative_difference: outcome.largest,
        differences: differences
            .iter()
            .take(options.max_rows)
            .map(|d| describe(view, &identity, *d))
            .collect(),
    }
}

fn describe(view: &View<'_>, identity: &[usize], difference: Difference) -> RowDifference {
    let Difference { left, right } = difference;
    let kind = match (left, right) {
        (Some(_), None) => RowDifferenceKind::OnlyLeft,
        (None, Some(_)) => RowDifferenceKind::OnlyRight,
        _ => RowDifferenceKind::Differs,
    };
    let text = |key, row: Option<RowRef>| row.and_then(|row| view.text(key, row));
    let cell = |text: Option<&str>| text.map_or(Cell::Null, |t| Cell::Text(t.to_owned()));
    let mut row = Vec::new();
    for &key in identity {
        if let Some(value) = text(key, left.or(right)) {
            row.push(Named { column: view.key_name(key).to_owned(), value: value.to_owned() });
        }
    }
    let mut cells = Vec::new();
    if kind == RowDifferenceKind::Differs {
        for key in 0..view.key_count() {
            let (a, b) = (text(key, left), text(key, right));
            if a != b {
                cells.push(CellDifference {
                    column: view.key_name(key).to_owned(),
                    left: cell(a),
                    right: cell(b),
                    relative: None,
                });
            }
        }
    }
    for n in 0..view.number_count() {
        let number = |row: Option<RowRef>| row.map_or(Number::NULL, |row| view.number(n, row));
        let (a, b) = (number(left), number(right));
        if !view.closeness.close(a, b) {
            let cell = |n: Number| n.get().map_or(Cell::Null, Cell::Number);
            cells.push(CellDifference {
                column: view.number_name(n).to_owned(),
                left: cell(a),
                right: cell(b),
                relative: a.relative_difference(b),
            });
        }
    }
    RowDifference { kind, row, cells }
}
