//! Partial states as bytes, in pieces of which each stands for itself.
//!
//! A piece is a table of the texts and label objects that it uses, then items: a group, a place, an
//! object. Ids count into the tables from 1; 0 is null. Pieces of one state or of several, in any
//! order, merge to the same state.

use rustc_hash::FxHashMap;

use crate::aggregate::capacity::{Most, NodeInterval};
use crate::aggregate::owners::{LastSeen, Owned, OwnerLabels};
use crate::aggregate::partial::Partial;
use crate::aggregate::places::Place;
use crate::aggregate::pods::{PodKey, PodState};
use crate::aggregate::storage::{StorageKey, StorageState};
use crate::labels::sets::SetId;
use crate::spill::bytes::{Cursor, Malformed, put_text, put_varint};
use crate::spill::values::{put_sums, take_sums};
use crate::summary::row::TextId;

/// A piece is given away when its items are this long.
const PIECE: usize = 256 * 1024;

const POD: u8 = 1;
const CAPACITY: u8 = 2;
const PLACE: u8 = 3;
const STORAGE: u8 = 4;
const NODE_LABELS: u8 = 5;
const NAMESPACE_LABELS: u8 = 6;
const ROWS_WITHOUT_NODE: u8 = 7;

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

/// Adds a piece to a state of a tenant with so many enabled `keys`.
///
/// # Errors
/// Bytes that [`encode`] did not make of a state of that tenant.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::NaiveDate;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::aggregate::rows::{LabelRows, PodRows, StorageRows};
    use crate::lookups::Lookups;
    use crate::settings::{Aggregation, FanOut, NullRules, PodSource};
    use crate::summary::finish::{Tenant, finish};
    use crate::summary::row::{DayMeta, Measures};

    fn tenant() -> Tenant {
        let enabled_keys = vec!["a".into(), "b".into()];
        let lookups = Lookups { enabled_keys, ..Lookups::default() };
        let (pod_source, fan_out) = (PodSource::Hourly, FanOut::Koku);
        let rules = Aggregation { pod_source, fan_out, null_rules: NullRules::Trino };
        Tenant::new(&lookups, rules).unwrap()
    }

    type Row = (usize, usize, f64);

    /// Pods and claims as (name, label text, usage), with a label object for each node.
    fn state(tenant: &Tenant, rows: &[Row]) -> Partial {
        let texts = [r#"{"a":"x"}"#, r#"{"b":null,"a":""}"#, "{}"];
        let mut state = Partial::empty(7);
        let intern = |state: &mut Partial, name: usize| match name {
            0 => TextId::NULL,
            name => state.texts.intern(&format!("name-{name}")),
        };
        for &(name, text, usage) in rows {
            let labels = match texts.get(text) {
                Some(text) => {
                    let mut sets = Vec::new();
                    let texts = [text.as_bytes()].into_iter();
                    state.label_sets(texts, &tenant.keys, tenant.null_rules, &mut sets).unwrap();
                    sets[0]
                }
                None => SetId::NULL,
            };
            let id = intern(&mut state, name);
            let mut pods = PodRows {
                interval: vec![0],
                namespace: vec![id],
                node: vec![intern(&mut state, name / 2)],
                resource_id: vec![intern(&mut state, text)],
                pod: vec![id],
                labels: vec![labels],
                ..PodRows::default()
            };
            pods.numbers.iter_mut().for_each(|column| column.push(usage));
            state.rows_without_node += state.pods.add(&pods, &state.texts, tenant.null_rules);
            state.capacity.add(&pods);
            state.places.add(&pods, state.pods.news());
            let mut storage = StorageRows {
                namespace: vec![id],
                pod: vec![id],
                claim: vec![intern(&mut state, text)],
                volume: vec![id],
                storageclass: vec![TextId::NULL],
                csi_volume_handle: vec![id],
                volume_labels: vec![labels],
                claim_labels: vec![labels],
                ..StorageRows::default()
            };
            storage.numbers.iter_mut().for_each(|column| column.push(usage));
            state.storage.add(&storage);
            let owned = LabelRows { interval: vec![3], owner: vec![id], labels: vec![labels] };
            state.node_labels.add(&owned);
            state.namespace_labels.add(&owned);
        }
        state
    }

    fn pieces(state: &Partial) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        encode::<()>(state, &mut |piece| {
            pieces.push(piece);
            Ok(())
        })
        .unwrap();
        pieces
    }

    /// Every row to the last bit, and what was dropped.
    fn rows(state: Partial, tenant: &Tenant) -> Vec<String> {
        let meta = Arc::new(DayMeta {
            date: NaiveDate::from_ymd_opt(2025, 10, 1).unwrap(),
            source_uuid: Uuid::nil(),
            report_period_id: None,
            cluster_id: None,
            cluster_alias: None,
        });
        let mut lines = vec![format!("{} without a node", state.rows_without_node)];
        let (batch, fan_out) = finish(state, &meta, tenant);
        lines.push(format!("{fan_out:?}"));
        for row in &batch.rows {
            let bits: Vec<u64> = match &row.measures {
                Measures::Pod(values) => values.iter().map(|v| v.to_bits()).collect(),
                Measures::Storage(values) => values.iter().map(|v| v.to_bits()).collect(),
            };
            let texts = [row.namespace, row.node, row.resource_id, row.pod_labels];
            let more = [row.persistentvolumeclaim, row.persistentvolume, row.volume_labels];
            let texts: Vec<_> = texts.iter().chain(&more).map(|&id| batch.text(id)).collect();
            lines.push(format!("{:?} {texts:?} {bits:?}", row.kind));
        }
        lines
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_make_the_same_rows(
            first in prop::collection::vec((0usize..9, 0usize..4, usage()), 0..30),
            second in prop::collection::vec((0usize..9, 0usize..4, usage()), 0..30),
            turn in 0usize..4,
        ) {
            let tenant = tenant();
            let [a, b] = [&first, &second].map(|rows| state(&tenant, rows));
            let mut pieces = [pieces(&a), pieces(&b)].concat();
            let turn = turn % pieces.len().max(1);
            pieces.rotate_left(turn);
            // Other ids than in either.
            let mut merged = state(&tenant, &[]);
            merged.texts.intern("first");
            pieces.iter().for_each(|piece| decode_into(piece, tenant.keys.len(), &mut merged).unwrap());
            prop_assert_eq!(rows(merged, &tenant), rows(a.merge(b), &tenant));
        }

        #[test]
        fn what_is_cut_or_garbled_is_refused_or_read_but_never_a_panic(
            of in prop::collection::vec((0usize..9, 0usize..4, usage()), 1..9),
            cut in 0usize..2000, at in 0usize..2000, byte: u8,
        ) {
            let tenant = tenant();
            let mut piece = pieces(&state(&tenant, &of)).concat();
            let at = at % piece.len();
            piece[at] = byte;
            piece.truncate(cut);
            let _ = decode_into(&piece, tenant.keys.len(), &mut Partial::empty(7));
        }
    }

    /// Labels by number are only as good as the keys that both sides have.
    #[test]
    fn a_key_that_the_tenant_has_not_is_refused() {
        let tenant = tenant();
        let [piece] = &pieces(&state(&tenant, &[(1, 0, 2.0)]))[..] else { panic!("one piece") };
        let read = |keys| decode_into(piece, keys, &mut Partial::empty(7));
        assert_eq!(read(tenant.keys.len()), Ok(()));
        assert_eq!(read(1), Ok(()), "it uses the first key alone");
        assert_eq!(read(0), Err(Malformed));
    }

    fn usage() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..1e9f64, Just(f64::NAN), Just(-1e30), Just(1e-40), Just(1e300)]
    }

    #[test]
    fn a_large_state_comes_in_several_pieces() {
        let tenant = tenant();
        let many: Vec<Row> = (1..4000).map(|i| (i, i % 4, i as f64)).collect();
        let whole = state(&tenant, &many);
        let pieces = pieces(&whole);
        assert!(pieces.len() > 2, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE));
        let mut merged = Partial::empty(7);
        pieces
            .iter()
            .rev()
            .for_each(|piece| decode_into(piece, tenant.keys.len(), &mut merged).unwrap());
        assert_eq!(rows(merged, &tenant), rows(whole, &tenant));
    }
}
