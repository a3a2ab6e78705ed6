//! The order of the rows of a day, which no accident of the run can change.

use std::cmp::Ordering;

use super::row::{RowKind, SummaryRow, TextId, Texts};

/// The texts of a row that it is ordered by, in that order; nulls first.
pub const ORDERED_TEXTS: usize = 9;

/// The ids of [`ORDERED_TEXTS`] of a row.
pub fn ordered_texts(row: &SummaryRow) -> [TextId; ORDERED_TEXTS] {
    [
        row.namespace,
        row.node,
        row.persistentvolumeclaim,
        row.persistentvolume,
        row.storageclass,
        row.csi_volume_handle,
        row.resource_id,
        row.pod_labels,
        row.volume_labels,
    ]
}

/// A row of its [`ordered_texts`] and all else, which is that of `row`.
pub fn of_ordered_texts(row: SummaryRow, texts: [TextId; ORDERED_TEXTS]) -> SummaryRow {
    let [
        namespace,
        node,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        csi_volume_handle,
        resource_id,
        pod_labels,
        volume_labels,
    ] = texts;
    SummaryRow {
        namespace,
        node,
        resource_id,
        pod_labels,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        csi_volume_handle,
        volume_labels,
        ..row
    }
}

/// What tells the place of a row: its data source, namespace, node, then everything else that
/// tells rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey<'a> {
    pub kind: RowKind,
    pub texts: [Option<&'a str>; ORDERED_TEXTS],
    pub cost_category_id: Option<i32>,
}

impl Ord for SortKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let is_storage = |key: &Self| key.kind == RowKind::Storage;
        is_storage(self)
            .cmp(&is_storage(other))
            .then_with(|| self.texts[..2].cmp(&other.texts[..2]))
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| self.texts[2..].cmp(&other.texts[2..]))
            .then_with(|| self.cost_category_id.cmp(&other.cost_category_id))
    }
}

impl PartialOrd for SortKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Sorts by [`SortKey`].
pub fn sort(rows: &mut [SummaryRow], texts: &Texts) {
    let ranks = name_ranks(rows, texts);
    let rank = |id: TextId| if id.is_null() { 0 } else { ranks[id.0 as usize] };
    // Rows are large: their places are sorted, and each row is moved once.
    let mut places: Vec<_> = (0u32..)
        .zip(rows.iter())
        .map(|(row, r)| {
            let names = u64::from(rank(r.namespace)) << 32 | u64::from(rank(r.node));
            (r.kind == RowKind::Storage, names, r.kind, row)
        })
        .collect();
    places.sort_unstable_by(|a, b| {
        let names = (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2));
        names.then_with(|| compare_rest(&rows[a.3 as usize], &rows[b.3 as usize], texts))
    });
    let mut from: Vec<u32> = places.into_iter().map(|place| place.3).collect();
    permute(rows, &mut from);
}

/// The order of rows of one kind, namespace and node.
fn compare_rest(a: &SummaryRow, b: &SummaryRow, texts: &Texts) -> Ordering {
    let (of_a, of_b) = (ordered_texts(a), ordered_texts(b));
    of_a[2..]
        .iter()
        .zip(&of_b[2..])
        .find(|(a, b)| a != b)
        .map_or(Ordering::Equal, |(&a, &b)| texts.get(a).cmp(&texts.get(b)))
        .then_with(|| a.cost_category_id.cmp(&b.cost_category_id))
}

/// Puts the row that is at `from[i]` at `i`, for each `i`.
fn permute(rows: &mut [SummaryRow], from: &mut [u32]) {
    for start in 0..rows.len() {
        let mut at = start;
        loop {
            let next = from[at] as usize;
            from[at] = at as u32;
            if next == start || next == at {
                break;
            }
            rows.swap(at, next);
            at = next;
        }
    }
}

/// By text id: the rank among the namespaces and nodes of `rows`, from 1.
fn name_ranks(rows: &[SummaryRow], texts: &Texts) -> Vec<u32> {
    let mut ranks = vec![0; texts.len()];
    let mut names: Vec<TextId> = Vec::new();
    for row in rows {
        for id in [row.namespace, row.node] {
            if !id.is_null() && ranks[id.0 as usize] == 0 {
                ranks[id.0 as usize] = u32::MAX;
                names.push(id);
            }
        }
    }
    names.sort_unstable_by_key(|&id| texts.get(id));
    for (rank, id) in names.iter().enumerate() {
        ranks[id.0 as usize] = rank as u32 + 1;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::row::Measures;

    #[test]
    fn rows_are_sorted_by_all_that_tells_them_apart() {
        let mut texts = Texts::default();
        let ids: Vec<TextId> = ["b", "", "a", "ab"].map(|text| texts.push(text)).to_vec();
        let ids: Vec<TextId> = ids.into_iter().chain([TextId::NULL]).collect();
        let kinds = [RowKind::Unallocated, RowKind::Storage, RowKind::Pod];
        let mut rows = Vec::new();
        for turn in 0..600usize {
            // Far from any order, and some rows the same.
            let pick = |salt: usize| ids[(turn * 7919 + turn * turn * salt) % ids.len()];
            rows.push(SummaryRow {
                kind: kinds[turn % 3],
                cost_category_id: (turn % 5 > 0).then_some((turn % 4) as i32),
                namespace: pick(1),
                node: pick(2),
                resource_id: pick(3),
                pod_labels: pick(5),
                persistentvolumeclaim: pick(6),
                persistentvolume: pick(7),
                storageclass: pick(8),
                csi_volume_handle: pick(9),
                volume_labels: pick(11),
                measures: Measures::Storage([turn as f64; 4]),
            });
        }
        let key = |row: &SummaryRow| SortKey {
            kind: row.kind,
            texts: ordered_texts(row).map(|id| texts.get(id)),
            cost_category_id: row.cost_category_id,
        };
        sort(&mut rows, &texts);
        assert!(rows.is_sorted_by(|a, b| key(a) <= key(b)));
        let mut turns: Vec<u64> = rows
            .iter()
            .map(|row| match row.measures {
                Measures::Storage([turn, ..]) => turn as u64,
                Measures::Pod(_) => panic!("a pod row"),
            })
            .collect();
        turns.sort_unstable();
        assert_eq!(turns, (0..600).collect::<Vec<u64>>());
    }
}
