//! Places of pods and storage groups as self-contained records, before and after they are joined.

use rustc_hash::FxHashSet;

use super::bytes::{Cursor, Malformed, put_text, put_varint};
use super::values::{intern, intern_labels, put_labels, put_sums, take_labels, take_sums};
use crate::aggregate::interner::{Interner, hash_text};
use crate::aggregate::partial::Partial;
use crate::aggregate::places::Place;
use crate::aggregate::storage::{StorageKey, StorageState};
use crate::summary::row::TextId;
use crate::summary::storage::Mounted;

/// The hash that a pod's places and its storage groups share.
pub fn pod_hash(texts: &Interner, namespace: TextId, pod: TextId) -> u32 {
    pair_hash(texts, namespace, pod)
}

/// The hash that all storage groups of a volume share; those without one share it by claim.
pub fn volume_hash(texts: &Interner, key: &StorageKey) -> u32 {
    match key.volume.is_null() {
        false => pair_hash(texts, TextId::NULL, key.volume),
        true => pair_hash(texts, key.namespace, key.claim),
    }
}

fn pair_hash(texts: &Interner, first: TextId, second: TextId) -> u32 {
    let first = texts.get(first).unwrap_or_default();
    let second = texts.get(second).unwrap_or_default();
    (hash_text(second.as_bytes(), hash_text(first.as_bytes(), texts.seed())) >> 32) as u32
}

/// Appends a place of `state`.
pub fn encode_place(state: &Partial, place: Place, out: &mut Vec<u8>) {
    for text in [place.namespace, place.pod, place.node, place.resource_id] {
        put_text(out, state.texts.get(text));
    }
}

/// Adds the place of a record to `state` if it is of one of `pods`: (namespace, pod).
pub fn decode_place_into(
    mut cursor: Cursor<'_>,
    pods: &FxHashSet<(TextId, TextId)>,
    state: &mut Partial,
) -> Result<(), Malformed> {
    let mut find = || -> Result<_, Malformed> {
        Ok(cursor.text()?.map_or(Some(TextId::NULL), |text| state.texts.find(text)))
    };
    let (Some(namespace), Some(pod)) = (find()?, find()?) else {
        return Ok(());
    };
    if pods.contains(&(namespace, pod)) {
        let node = intern(state, cursor.text()?);
        let resource_id = intern(state, cursor.text()?);
        state.places.merge_one(Place { namespace, pod, node, resource_id });
    }
    Ok(())
}

/// Appends storage group `index` of `state`.
pub fn encode_group(state: &Partial, index: usize, out: &mut Vec<u8>) {
    let key = state.storage.groups.key(index);
    let group = state.storage.groups.state(index);
    for text in
        [key.namespace, key.pod, key.claim, key.volume, key.storageclass, key.csi_volume_handle]
    {
        put_text(out, state.texts.get(text));
    }
    put_labels(out, state, key.volume_labels);
    put_labels(out, state, key.claim_labels);
    put_varint(out, group.rows);
    out.extend(group.capacity_bytes.to_le_bytes());
    put_sums(out, &group.sums, index, &state.storage.outliers);
}

/// Adds the storage group of a record to `state`, and says which it became.
pub fn decode_group_into(cursor: &mut Cursor<'_>, state: &mut Partial) -> Result<usize, Malformed> {
    let mut texts = [TextId::NULL; 6];
    for text in &mut texts {
        *text = intern(state, cursor.text()?);
    }
    let [namespace, pod, claim, volume, storageclass, csi_volume_handle] = texts;
    let volume_labels = take_labels(cursor)?;
    let claim_labels = take_labels(cursor)?;
    let key = StorageKey {
        namespace,
        pod,
        claim,
        volume,
        storageclass,
        csi_volume_handle,
        volume_labels: intern_labels(state, volume_labels.as_deref()),
        claim_labels: intern_labels(state, claim_labels.as_deref()),
    };
    let rows = cursor.varint()?;
    let capacity_bytes = cursor.f64()?;
    let (sums, outliers) = take_sums(cursor)?;
    let group = StorageState { sums, capacity_bytes, rows };
    let index = state.storage.merge_group(key, &group);
    for (measure, wide) in &outliers {
        state.storage.outliers.merge_one(index, *measure, wide);
    }
    Ok(index)
}

/// Appends storage group `index` with where its pod mounts it.
pub fn encode_mounted(state: &Partial, index: usize, mounted: &Mounted, out: &mut Vec<u8>) {
    encode_group(state, index, out);
    put_varint(out, mounted.at.len() as u64);
    for &(node, resource_id) in &mounted.at {
        put_text(out, state.texts.get(node));
        put_text(out, state.texts.get(resource_id));
    }
    put_varint(out, mounted.nodes_of_volume.len() as u64);
    for &node in &mounted.nodes_of_volume {
        put_text(out, state.texts.get(node));
    }
}

/// Adds the storage group of a record to `state`, with where its pod mounts it.
pub fn decode_mounted_into(
    mut cursor: Cursor<'_>,
    state: &mut Partial,
) -> Result<(usize, Mounted), Malformed> {
    let index = decode_group_into(&mut cursor, state)?;
    let mut mounted = Mounted::default();
    for _ in 0..cursor.varint()? {
        let node = intern(state, cursor.text()?);
        mounted.at.push((node, intern(state, cursor.text()?)));
    }
    for _ in 0..cursor.varint()? {
        mounted.nodes_of_volume.push(intern(state, cursor.text()?));
    }
    Ok((index, mounted))
}
