//! Storage measures by everything that a storage row is later joined or grouped on.

use super::exact::{BYTE_SECONDS, Scale, Total};
use super::groups::Groups;
use super::pods::greater;
use super::rows::StorageRows;
use super::sums::{Addends, Outliers, ROWS, Sums, blocks};
use super::translation::Translation;
use crate::labels::sets::SetId;
use crate::summary::row::TextId;

/// Capacity, request and usage, in that order.
pub const STORAGE_SUMS: usize = 3;
const SCALES: [Scale; STORAGE_SUMS] = [BYTE_SECONDS; STORAGE_SUMS];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageKey {
    pub namespace: TextId,
    pub pod: TextId,
    pub claim: TextId,
    pub volume: TextId,
    pub storageclass: TextId,
    pub csi_volume_handle: TextId,
    pub volume_labels: SetId,
    pub claim_labels: SetId,
}

#[derive(Debug, Clone, Copy)]
pub struct StorageState {
    pub sums: Sums<STORAGE_SUMS>,
    /// The greatest so far; NaN if none.
    pub capacity_bytes: f64,
}

impl Default for StorageState {
    fn default() -> Self {
        StorageState { sums: Sums::default(), capacity_bytes: f64::NAN }
    }
}

#[derive(Debug, Default)]
pub struct Storage {
    pub groups: Groups<StorageKey, StorageState>,
    pub outliers: Outliers,
}

impl Storage {
    pub fn add(&mut self, rows: &StorageRows) {
        let [capacity_bytes, measures @ ..] = &rows.numbers;
        let mut addends = Addends::default();
        let measures = measures.each_ref().map(Vec::as_slice);
        let mut padded = [[f64::NAN; ROWS]; STORAGE_SUMS];
        let mut groups = [0; ROWS];
        for start in (0..rows.namespace.len()).step_by(ROWS) {
            let count = ROWS.min(rows.namespace.len() - start);
            for (group, row) in groups[..count].iter_mut().zip(start..) {
                *group = self.group_of(rows, row);
            }
            let values = blocks(measures, start, &mut padded);
            let outliers = &mut self.outliers;
            addends.split(values, &SCALES, |row, measure, value| {
                outliers.add(groups[row], measure, value);
            });
            for (row, &group) in groups[..count].iter().enumerate() {
                let state = self.groups.state_mut(group);
                state.sums.add(group, &addends, row, &SCALES, &mut self.outliers);
                state.capacity_bytes = greater(state.capacity_bytes, capacity_bytes[start + row]);
            }
        }
    }

    fn group_of(&mut self, rows: &StorageRows, row: usize) -> usize {
        self.groups.index(StorageKey {
            namespace: rows.namespace[row],
            pod: rows.pod[row],
            claim: rows.claim[row],
            volume: rows.volume[row],
            storageclass: rows.storageclass[row],
            csi_volume_handle: rows.csi_volume_handle[row],
            volume_labels: rows.volume_labels[row],
            claim_labels: rows.claim_labels[row],
        })
    }

    /// Takes over another state's groups.
    pub fn merge(&mut self, other: &Storage, ids: &mut Translation<'_>) {
        let mut group_of = Vec::with_capacity(other.groups.len());
        for (key, theirs) in other.groups.iter() {
            let key = StorageKey {
                namespace: ids.text(key.namespace),
                pod: ids.text(key.pod),
                claim: ids.text(key.claim),
                volume: ids.text(key.volume),
                storageclass: ids.text(key.storageclass),
                csi_volume_handle: ids.text(key.csi_volume_handle),
                volume_labels: ids.set(key.volume_labels),
                claim_labels: ids.set(key.claim_labels),
            };
            let group = self.merge_group(key, theirs);
            group_of.push(group);
        }
        self.outliers.merge(&other.outliers, |g| group_of[g]);
    }

    /// Adds to the group of `key`, whose index it returns; outliers are merged apart.
    pub fn merge_group(&mut self, key: StorageKey, theirs: &StorageState) -> usize {
        let group = self.groups.index(key);
        let ours = self.groups.state_mut(group);
        ours.sums.merge(group, &theirs.sums, &SCALES, &mut self.outliers);
        ours.capacity_bytes = greater(ours.capacity_bytes, theirs.capacity_bytes);
        group
    }

    /// Sum `measure` of group `index`; `None` if no value was present.
    pub fn total(&self, index: usize, measure: usize) -> Option<Total> {
        let state = self.groups.state(index);
        state.sums.total(index, measure, SCALES[measure], &self.outliers)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.outliers.heap_bytes()
    }

    /// Bytes that `rows` more rows may take at once.
    pub fn growth_bytes(&self, rows: usize) -> usize {
        match self.groups.is_empty() {
            true => 0,
            false => self.groups.growth_bytes(rows),
        }
    }
}
