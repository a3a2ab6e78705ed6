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
    let names = |row: &SummaryRow| {
        (row.kind == RowKind::Storage, rank(row.namespace), rank(row.node), row.kind)
    };
    let key = |row: &SummaryRow| SortKey {
        kind: row.kind,
        texts: ordered_texts(row).map(|id| texts.get(id)),
        cost_category_id: row.cost_category_id,
    };
    rows.sort_unstable_by(|a, b| names(a).cmp(&names(b)).then_with(|| key(a).cmp(&key(b))));
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
