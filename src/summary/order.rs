//! The order of the rows of a day, which no accident of the run can change.

use std::cmp::Ordering;

use super::row::{RowKind, SummaryRow, TextId, Texts};

/// Sorts by data source, namespace, node, then everything else that tells rows apart; nulls first.
pub fn sort(rows: &mut [SummaryRow], texts: &Texts) {
    let ranks = name_ranks(rows, texts);
    let rank = |id: TextId| if id.is_null() { 0 } else { ranks[id.0 as usize] };
    let text = |a: TextId, b: TextId| {
        if a == b { Ordering::Equal } else { texts.get(a).cmp(&texts.get(b)) }
    };
    rows.sort_unstable_by(|a, b| {
        (a.kind == RowKind::Storage)
            .cmp(&(b.kind == RowKind::Storage))
            .then_with(|| rank(a.namespace).cmp(&rank(b.namespace)))
            .then_with(|| rank(a.node).cmp(&rank(b.node)))
            .then_with(|| a.kind.cmp(&b.kind))
            .then_with(|| text(a.persistentvolumeclaim, b.persistentvolumeclaim))
            .then_with(|| text(a.persistentvolume, b.persistentvolume))
            .then_with(|| text(a.storageclass, b.storageclass))
            .then_with(|| text(a.csi_volume_handle, b.csi_volume_handle))
            .then_with(|| text(a.resource_id, b.resource_id))
            .then_with(|| text(a.pod_labels, b.pod_labels))
            .then_with(|| text(a.volume_labels, b.volume_labels))
            .then_with(|| a.cost_category_id.cmp(&b.cost_category_id))
    });
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
