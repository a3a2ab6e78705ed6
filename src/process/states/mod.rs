//! Partial states as bytes, in pieces of which each stands for itself.
//!
//! A piece is a table of the texts and label objects that it uses, then items: a group, a place, an
//! object. Ids count into the tables from 1; 0 is null. Pieces of one state or of several, in any
//! order, merge to the same state.

mod decode;
mod encode;

pub use decode::decode_into;
pub use encode::encode;

// What an item is.
const POD: u8 = 1;
const CAPACITY: u8 = 2;
const PLACE: u8 = 3;
const STORAGE: u8 = 4;
const NODE_LABELS: u8 = 5;
const NAMESPACE_LABELS: u8 = 6;
const ROWS_WITHOUT_NODE: u8 = 7;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::NaiveDate;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::encode::PIECE;
    use super::*;
    use crate::aggregate::partial::Partial;
    use crate::aggregate::rows::{LabelRows, PodRows, StorageRows};
    use crate::labels::sets::SetId;
    use crate::lookups::Lookups;
    use crate::settings::{Aggregation, FanOut, NullRules, PodSource};
    use crate::spill::bytes::Malformed;
    use crate::summary::finish::{Tenant, finish};
    use crate::summary::row::{DayMeta, Measures, TextId};

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
