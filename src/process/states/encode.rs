//! Partial states to bytes.

use rustc_hash::FxHashMap;

use super::{CAPACITY, NAMESPACE_LABELS, NODE_LABELS, PLACE, POD, ROWS_WITHOUT_NODE, STORAGE};
use crate::aggregate::owners::{LastSeen, Owned};
use crate::aggregate::partial::Partial;
use crate::aggregate::places::Place;
use crate::labels::sets::SetId;
use crate::spill::bytes::{put_text, put_varint};
use crate::spill::values::put_sums;
use crate::summary::row::TextId;

/// A piece is given away when its items are this long.
pub(super) const PIECE: usize = 256 * 1024;

/// Gives all of a state away, piece by piece.
///
/// # Errors
/// Those of `give`.
pub fn encode<E>(state: &Partial, give: &mut dyn FnMut(Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let mut piece = Piece::new(state);
    for index in 0..state.pods.groups.len() {
        piece.pod(index);
        piece.give_if_long(give)?;
    }
    for index in 0..state.capacity.len() {
        piece.capacity(index);
        piece.give_if_long(give)?;
    }
    for place in state.places.iter() {
        piece.place(place);
        piece.give_if_long(give)?;
    }
    for index in 0..state.storage.groups.len() {
        piece.storage(index);
        piece.give_if_long(give)?;
    }
    for (tag, labels) in
        [(NODE_LABELS, &state.node_labels), (NAMESPACE_LABELS, &state.namespace_labels)]
    {
        for (owned, seen) in labels.iter() {
            piece.owned(tag, owned, seen);
            piece.give_if_long(give)?;
        }
    }
    if state.rows_without_node > 0 {
        piece.items.push(ROWS_WITHOUT_NODE);
        put_varint(&mut piece.items, state.rows_without_node);
    }
    piece.give(give)
}

struct Piece<'a> {
    state: &'a Partial,
    texts: Vec<TextId>,
    text_ids: FxHashMap<TextId, u64>,
    /// Each as (key, text) pairs, written out.
    sets: Vec<u8>,
    set_ids: FxHashMap<SetId, u64>,
    items: Vec<u8>,
}

impl<'a> Piece<'a> {
    fn new(state: &'a Partial) -> Self {
        Piece {
            state,
            texts: Vec::new(),
            text_ids: FxHashMap::default(),
            sets: Vec::new(),
            set_ids: FxHashMap::default(),
            items: Vec::with_capacity(PIECE + PIECE / 8),
        }
    }

    fn give_if_long<E>(&mut self, give: &mut dyn FnMut(Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if self.items.len() < PIECE { Ok(()) } else { self.give(give) }
    }

    fn give<E>(&mut self, give: &mut dyn FnMut(Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if self.items.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.items.len() * 5 / 4 + self.sets.len());
        put_varint(&mut bytes, self.texts.len() as u64);
        for &id in &self.texts {
            put_text(&mut bytes, self.state.texts.get(id));
        }
        put_varint(&mut bytes, self.set_ids.len() as u64);
        bytes.extend_from_slice(&self.sets);
        bytes.extend_from_slice(&self.items);
        self.texts.clear();
        self.text_ids.clear();
        self.sets.clear();
        self.set_ids.clear();
        self.items.clear();
        give(bytes)
    }

    fn text_id(&mut self, id: TextId) -> u64 {
        if id.is_null() {
            return 0;
        }
        let texts = &mut self.texts;
        *self.text_ids.entry(id).or_insert_with(|| {
            texts.push(id);
            texts.len() as u64
        })
    }

    fn text(&mut self, id: TextId) {
        let id = self.text_id(id);
        put_varint(&mut self.items, id);
    }

    fn set(&mut self, set: SetId) {
        let id = match self.set_ids.get(&set) {
            _ if set == SetId::NULL => 0,
            Some(&id) => id,
            None => {
                let id = self.set_ids.len() as u64 + 1;
                self.set_ids.insert(set, id);
                let pairs = self.state.sets.pairs(set);
                put_varint(&mut self.sets, pairs.len() as u64);
                for &(key, value) in pairs {
                    let value = self.text_id(TextId(value));
                    put_varint(&mut self.sets, u64::from(key));
                    put_varint(&mut self.sets, value);
                }
                id
            }
        };
        put_varint(&mut self.items, id);
    }

    fn float(&mut self, value: f64) {
        self.items.extend(value.to_le_bytes());
    }

    fn pod(&mut self, index: usize) {
        let state = self.state;
        let (key, group) = (state.pods.groups.key(index), state.pods.groups.state(index));
        self.items.push(POD);
        self.text(key.namespace);
        self.text(key.node);
        self.text(group.resource_id);
        self.set(key.labels);
        self.float(group.node_cores);
        self.float(group.node_bytes);
        put_sums(&mut self.items, &group.sums, index, &state.pods.outliers);
    }

    fn capacity(&mut self, index: usize) {
        let (key, most) = self.state.capacity.at(index);
        self.items.push(CAPACITY);
        self.text(key.node);
        self.items.extend(key.interval.to_le_bytes());
        self.float(most.core_seconds);
        self.float(most.byte_seconds);
    }

    fn place(&mut self, place: Place) {
        self.items.push(PLACE);
        for id in [place.namespace, place.pod, place.node, place.resource_id] {
            self.text(id);
        }
    }

    fn storage(&mut self, index: usize) {
        let state = self.state;
        let (key, group) = (state.storage.groups.key(index), state.storage.groups.state(index));
        self.items.push(STORAGE);
        for id in
            [key.namespace, key.pod, key.claim, key.volume, key.storageclass, key.csi_volume_handle]
        {
            self.text(id);
        }
        self.set(key.volume_labels);
        self.set(key.claim_labels);
        self.float(group.capacity_bytes);
        put_sums(&mut self.items, &group.sums, index, &state.storage.outliers);
    }

    fn owned(&mut self, tag: u8, owned: Owned, LastSeen(seen): LastSeen) {
        self.items.push(tag);
        self.text(owned.owner);
        self.set(owned.labels);
        self.items.extend(seen.to_le_bytes());
    }
}
