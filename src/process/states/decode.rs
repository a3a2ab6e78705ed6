//! Bytes to partial states.

use super::{CAPACITY, NAMESPACE_LABELS, NODE_LABELS, PLACE, POD, ROWS_WITHOUT_NODE, STORAGE};
use crate::aggregate::capacity::{Most, NodeInterval};
use crate::aggregate::owners::{LastSeen, Owned, OwnerLabels};
use crate::aggregate::partial::Partial;
use crate::aggregate::places::Place;
use crate::aggregate::pods::{PodKey, PodState};
use crate::aggregate::storage::{StorageKey, StorageState};
use crate::labels::sets::SetId;
use crate::spill::bytes::{Cursor, Malformed};
use crate::spill::values::take_sums;
use crate::summary::row::TextId;

/// Adds a piece to a state of a tenant with so many enabled `keys`.
///
/// # Errors
/// Bytes that [`super::encode`] did not make of a state of that tenant.
pub fn decode_into(bytes: &[u8], keys: usize, state: &mut Partial) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut tables = Tables::default();
    for _ in 0..cursor.varint()? {
        let text = cursor.text()?.ok_or(Malformed)?;
        tables.texts.push(state.texts.intern(text));
    }
    let mut pairs = Vec::new();
    for _ in 0..cursor.varint()? {
        pairs.clear();
        for _ in 0..cursor.varint()? {
            let key = u32::try_from(cursor.varint()?).map_err(|_| Malformed)?;
            pairs.push((key, tables.text(&mut cursor)?.0));
        }
        let is_known = pairs.last().is_none_or(|&(key, _)| (key as usize) < keys);
        if !is_known || !pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Malformed);
        }
        tables.sets.push(state.sets.intern_ids(&pairs));
    }
    while !cursor.is_at_end() {
        tables.item(&mut cursor, state)?;
    }
    Ok(())
}

/// The texts and label objects of a piece as ids of the state that it is added to.
#[derive(Default)]
struct Tables {
    texts: Vec<TextId>,
    sets: Vec<SetId>,
}

impl Tables {
    fn text(&self, cursor: &mut Cursor<'_>) -> Result<TextId, Malformed> {
        match cursor.varint()? {
            0 => Ok(TextId::NULL),
            id => self.texts.get(id as usize - 1).copied().ok_or(Malformed),
        }
    }

    fn set(&self, cursor: &mut Cursor<'_>) -> Result<SetId, Malformed> {
        match cursor.varint()? {
            0 => Ok(SetId::NULL),
            id => self.sets.get(id as usize - 1).copied().ok_or(Malformed),
        }
    }

    fn item(&self, cursor: &mut Cursor<'_>, state: &mut Partial) -> Result<(), Malformed> {
        match cursor.array()? {
            [POD] => self.pod(cursor, state),
            [CAPACITY] => {
                let node = self.text(cursor)?;
                let interval = i64::from_le_bytes(cursor.array()?);
                let most = Most { core_seconds: cursor.f64()?, byte_seconds: cursor.f64()? };
                state.capacity.merge_one(NodeInterval { node, interval }, &most);
                Ok(())
            }
            [PLACE] => {
                state.places.merge_one(Place {
                    namespace: self.text(cursor)?,
                    pod: self.text(cursor)?,
                    node: self.text(cursor)?,
                    resource_id: self.text(cursor)?,
                });
                Ok(())
            }
            [STORAGE] => self.storage(cursor, state),
            [NODE_LABELS] => self.owned(cursor, &mut state.node_labels),
            [NAMESPACE_LABELS] => self.owned(cursor, &mut state.namespace_labels),
            [ROWS_WITHOUT_NODE] => {
                let more = cursor.varint()?;
                let rows = state.rows_without_node.checked_add(more).ok_or(Malformed)?;
                state.rows_without_node = rows;
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn pod(&self, cursor: &mut Cursor<'_>, state: &mut Partial) -> Result<(), Malformed> {
        let (namespace, node) = (self.text(cursor)?, self.text(cursor)?);
        let resource_id = self.text(cursor)?;
        let key = PodKey { namespace, node, labels: self.set(cursor)? };
        let (node_cores, node_bytes) = (cursor.f64()?, cursor.f64()?);
        let (sums, outliers) = take_sums(cursor)?;
        let group = PodState { sums, resource_id, node_cores, node_bytes };
        let index = state.pods.merge_group(key, &group, &state.texts);
        for (measure, wide) in &outliers {
            state.pods.outliers.merge_one(index, *measure, wide);
        }
        Ok(())
    }

    fn storage(&self, cursor: &mut Cursor<'_>, state: &mut Partial) -> Result<(), Malformed> {
        let key = StorageKey {
            namespace: self.text(cursor)?,
            pod: self.text(cursor)?,
            claim: self.text(cursor)?,
            volume: self.text(cursor)?,
            storageclass: self.text(cursor)?,
            csi_volume_handle: self.text(cursor)?,
            volume_labels: self.set(cursor)?,
            claim_labels: self.set(cursor)?,
        };
        let capacity_bytes = cursor.f64()?;
        let (sums, outliers) = take_sums(cursor)?;
        let group = StorageState { sums, capacity_bytes };
        let index = state.storage.merge_group(key, &group);
        for (measure, wide) in &outliers {
            state.storage.outliers.merge_one(index, *measure, wide);
        }
        Ok(())
    }

    fn owned(&self, cursor: &mut Cursor<'_>, labels: &mut OwnerLabels) -> Result<(), Malformed> {
        let owned = Owned { owner: self.text(cursor)?, labels: self.set(cursor)? };
        labels.merge_one(owned, LastSeen(i64::from_le_bytes(cursor.array()?)));
        Ok(())
    }
}
