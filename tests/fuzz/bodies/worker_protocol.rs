//! What goes between the coordinator and its workers, by the first byte: what a worker answers, a state or
//! rows on their own, or what a worker is told. Each is read as it was meant or refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use ocp_rollup::aggregate::partial::Partial;
use ocp_rollup::lookups::Lookups;
use ocp_rollup::process::answers::{Answer, AnswerReader};
use ocp_rollup::process::orders::{self, Hello, Order};
use ocp_rollup::process::rows::{self, Taken};
use ocp_rollup::process::states::{decode_into, encode};
use ocp_rollup::settings::{Aggregation, FanOut, NullRules, PodSource};
use ocp_rollup::summary::finish::{Tenant, finish};
use ocp_rollup::summary::row::{DayMeta, Measures, RowBatch, SummaryRow};
use uuid::Uuid;

const SEED: u64 = 7;

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, rest)) => answers(rest),
        Some((1, rest)) => state(rest),
        Some((2, rest)) => told(rest),
        Some((3, rest)) => finished(rest),
        _ => {}
    }
}

fn tenant() -> Tenant {
    let enabled_keys = ["app", "env", "team"].map(str::to_owned).to_vec();
    let lookups = Lookups { enabled_keys, ..Lookups::default() };
    let (pod_source, fan_out) = (PodSource::Hourly, FanOut::Koku);
    let rules = Aggregation { pod_source, fan_out, null_rules: NullRules::Trino };
    Tenant::new(&lookups, rules).unwrap_or_else(|error| panic!("{error}"))
}

/// As the coordinator takes them in: days count once a task is done.
fn answers(data: &[u8]) {
    let tenant = tenant();
    let Ok(mut reader) = AnswerReader::new(data) else { return };
    let mut pieces: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    while let Ok(answer) = reader.receive() {
        match answer {
            Answer::State { unit, piece } => pieces.entry(unit).or_default().push(piece),
            Answer::Done(_) => {
                for pieces in std::mem::take(&mut pieces).into_values() {
                    let mut state = Partial::empty(SEED);
                    let keys = tenant.keys.len();
                    if pieces.iter().all(|piece| decode_into(piece, keys, &mut state).is_ok()) {
                        check(state, &tenant);
                    }
                }
            }
            Answer::Rows { piece, .. } => finished(&piece),
            Answer::Alive | Answer::Failed(_) => {}
        }
    }
}

fn state(piece: &[u8]) {
    let tenant = tenant();
    let mut state = Partial::empty(SEED);
    if decode_into(piece, tenant.keys.len(), &mut state).is_ok() {
        check(state, &tenant);
    }
}

/// A state that was taken in can be finished, and one more way through the pipe changes no row.
fn check(state: Partial, tenant: &Tenant) {
    let mut again = Partial::empty(SEED);
    let sent = encode(&state, &mut |piece| decode_into(&piece, tenant.keys.len(), &mut again));
    assert_eq!(sent, Ok(()), "what is sent is refused");
    assert_eq!(rows_of(again, tenant), rows_of(state, tenant));
}

/// Every row to the last bit, and what was dropped.
fn rows_of(state: Partial, tenant: &Tenant) -> Vec<String> {
    let without_node = state.rows_without_node;
    let (batch, fan_out) = finish(state, &meta(), tenant);
    lines(&batch)
        .into_iter()
        .chain([format!("{without_node} without a node, {fan_out:?}")])
        .collect()
}

fn meta() -> Arc<DayMeta> {
    Arc::new(DayMeta {
        date: NaiveDate::default(),
        source_uuid: Uuid::nil(),
        report_period_id: None,
        cluster_id: None,
        cluster_alias: None,
    })
}

/// Rows that were taken in, sent once more: the same.
fn finished(piece: &[u8]) {
    let taken_in = |pieces: &[Vec<u8>]| {
        let mut taken = Taken::new(meta(), SEED);
        pieces.iter().try_for_each(|piece| taken.take(piece)).ok()?;
        Some(taken.batch())
    };
    let Some(batch) = taken_in(&[piece.to_vec()]) else { return };
    let mut pieces = Vec::new();
    let sent = rows::encode(&batch, &mut |piece| {
        pieces.push(piece);
        Ok::<_, ()>(())
    });
    assert_eq!(sent, Ok(()));
    assert_eq!(taken_in(&pieces).as_ref().map(lines), Some(lines(&batch)));
}

/// A line for each row.
fn lines(batch: &RowBatch) -> Vec<String> {
    let line = |row: &SummaryRow| {
        let values: &[f64] = match &row.measures {
            Measures::Pod(values) => &values[..],
            Measures::Storage(values) => &values[..],
        };
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let names = [row.namespace, row.node, row.resource_id, row.pod_labels];
        let more = [row.persistentvolumeclaim, row.persistentvolume, row.volume_labels];
        let rest = [row.storageclass, row.csi_volume_handle];
        let texts: Vec<_> =
            names.iter().chain(&more).chain(&rest).map(|&id| batch.text(id)).collect();
        format!("{:?} {:?} {texts:?} {bits:?}", row.kind, row.cost_category_id)
    };
    batch.rows.iter().map(line).collect()
}

/// As a worker reads it: a greeting, then tasks, a line each.
fn told(mut lines: &[u8]) {
    if !matches!(orders::receive::<Hello>(&mut lines), Ok(Some(_))) {
        return;
    }
    while let Ok(Some(order)) = orders::receive::<Order>(&mut lines) {
        let mut line = Vec::new();
        orders::send(&mut line, &order).unwrap_or_else(|error| panic!("{error}"));
        let again = orders::receive(&mut &line[..]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.as_ref(), Some(&order));
        let Some(plan) = order.into_plan() else { continue };
        for group in &plan.groups {
            let (first, last) = group.units;
            assert!(first <= last && last < plan.units.len());
        }
    }
}
