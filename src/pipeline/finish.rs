//! A complete day to rows: at once where it fits, else part by part.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::aggregate::partial::Partial;
use crate::ledger::Rows;
use crate::memory::heap::Heap;
use crate::memory::shares::Shares;
use crate::sink::{Encode, Encoded, SinkError};
use crate::spill::rows::RunsOfDay;
use crate::spill::spiller::Spiller;
use crate::summary::finish::{Oddities, Tenant, finish};
use crate::summary::row::{DayMeta, RowBatch};

use super::Job;
use super::day_error::DayError;
use super::error::RunError;
use super::spilled::SpilledDay;
use super::states::{StateKind, UnitState};
use super::stop::Stop;

/// The rows of a day, with the bytes that they are counted with.
pub enum DayRows {
    InMemory(RowBatch, u64),
    OnDisk(RunsOfDay, u64),
}

impl DayRows {
    /// Bytes that they are counted with.
    pub fn bytes(&self) -> u64 {
        match self {
            DayRows::InMemory(_, bytes) | DayRows::OnDisk(_, bytes) => *bytes,
        }
    }

    /// Gives all of them away in order, in one batch or several.
    ///
    /// # Errors
    /// Those of `give`, or a temporary file that cannot be read.
    pub fn each_batch(
        self,
        give: &mut dyn FnMut(RowBatch) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        match self {
            DayRows::InMemory(batch, _) => give(batch),
            DayRows::OnDisk(runs, _) => {
                let mut merged = runs.merge()?;
                while let Some(batch) = merged.next_batch()? {
                    give(batch)?;
                }
                Ok(())
            }
        }
    }
}

/// A day as it goes to the writer.
pub enum FinishedDay {
    Rows(DayRows),
    /// As the sink wants it: what its encoder made, with the rows by kind, and the bytes that both
    /// are counted with.
    Encoded {
        meta: Arc<DayMeta>,
        day: Encoded,
        rows: Rows,
        bytes: u64,
    },
}

impl FinishedDay {
    /// Bytes that it is counted with.
    pub fn bytes(&self) -> u64 {
        match self {
            FinishedDay::Rows(rows) => rows.bytes(),
            FinishedDay::Encoded { bytes, .. } => *bytes,
        }
    }

    /// Lets `encoder` prepare a day that is in memory, if there is room for that. The encoded form
    /// takes its place in `heap`.
    pub fn encoded(
        rows: DayRows,
        encoder: &dyn Encode,
        heap: &Heap,
    ) -> Result<FinishedDay, SinkError> {
        let DayRows::InMemory(batch, bytes) = rows else { return Ok(FinishedDay::Rows(rows)) };
        let Some(_reserved) = heap.reserve(encoder.bytes(&batch)) else {
            return Ok(FinishedDay::Rows(DayRows::InMemory(batch, bytes)));
        };
        let Some(day) = encoder.encode(&batch)? else {
            return Ok(FinishedDay::Rows(DayRows::InMemory(batch, bytes)));
        };
        let now = day.heap_bytes() as u64;
        heap.change(bytes, now);
        let mut rows = Rows::default();
        rows.count(&batch);
        Ok(FinishedDay::Encoded { meta: batch.day.clone(), day, rows, bytes: now })
    }
}

/// What finishing a day takes in memory beside its states, in tenths of their bytes: labels are
/// merged, rows made and sorted.
const GROWTH: u64 = 15;

/// Finishes days within a share of the memory.
pub struct Finisher<'a> {
    pub tenant: &'a Tenant,
    pub spiller: &'a Spiller,
    pub heap: &'a Heap,
    pub shares: Shares,
    pub kind: StateKind,
    pub stop: &'a Stop<'a>,
}

/// Figures of a finished day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCounts {
    pub oddities: Oddities,
    pub rows_without_node: u64,
    /// Pod and storage groups before the labels of nodes and namespaces were laid under them.
    pub groups: u64,
}

impl<'a> Finisher<'a> {
    /// Of the days of a job, within `heap`.
    pub fn new(job: &Job<'a>, heap: &'a Heap, stop: &'a Stop<'a>) -> Self {
        let (tenant, spiller, shares) = (job.tenant, job.spiller, job.shares);
        Finisher { tenant, spiller, heap, shares, kind: StateKind::of(job), stop }
    }
}

impl Finisher<'_> {
    pub fn finish(
        &self,
        mut unit: UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<(DayRows, DayCounts), DayError> {
        if let Some(finished) = unit.finished.take() {
            return Ok(finished);
        }
        if let Some(finished) = self.in_memory(&mut unit, meta)? {
            return Ok(finished);
        }
        let mut bytes = unit.idle_bytes() + unit.heap_bytes();
        for state in std::mem::take(&mut unit.idle) {
            self.go_on()?;
            let before = unit.heap_bytes() + state.heap_bytes() as u64;
            unit.spill(&state, self.spiller)?;
            drop(state);
            bytes = self.recount(bytes, bytes.saturating_sub(before) + unit.heap_bytes());
        }
        let (runs, counts) = SpilledDay::new(self, meta, unit)?.finish()?;
        let now = self.recount(bytes, runs.heap_bytes());
        Ok((DayRows::OnDisk(runs, now), counts))
    }

    /// The rows of a day that is in memory, if there is room to finish it there; else all of it is still
    /// in `unit`.
    fn in_memory(
        &self,
        unit: &mut UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<Option<(DayRows, DayCounts)>, DayError> {
        if !unit.spilled.is_empty() {
            return Ok(None);
        }
        // What was spilled had nothing but label objects, of which nothing goes to disk.
        unit.idle.extend(unit.owners.take());
        let before = unit.idle_bytes();
        unit.idle = self.merge(std::mem::take(&mut unit.idle), before)?;
        if unit.idle.len() > 1 {
            return Ok(None);
        }
        let Some(state) = unit.idle.pop() else { return Ok(None) };
        let bytes = self.recount(before, state.heap_bytes() as u64);
        let Some(reserved) = self.heap.reserve(bytes * GROWTH / 10) else {
            unit.idle.push(state);
            return Ok(None);
        };
        let (rows, counts) = self.finish_in_memory(state, meta);
        drop(reserved);
        let now = self.recount(bytes, rows.heap_bytes() as u64);
        Ok(Some((DayRows::InMemory(rows, now), counts)))
    }

    /// One state of all, or all as they were if there is no room for it.
    fn merge(&self, states: Vec<Partial>, bytes: u64) -> Result<Vec<Partial>, DayError> {
        if states.len() == 1 {
            return Ok(states);
        }
        // Not reserved: a thread that waits for the halves of a merge takes up other work
        // meanwhile, which may want to reserve too.
        let Some(_held) = self.heap.try_hold(bytes) else {
            return Ok(states);
        };
        let merged = states.into_par_iter().reduce_with(|one, other| match self.stop.is_set() {
            true => one,
            false => one.merge(other),
        });
        self.go_on()?;
        Ok(vec![merged.unwrap_or_else(|| self.kind.empty())])
    }

    fn recount(&self, before: u64, after: u64) -> u64 {
        self.heap.change(before, after);
        after
    }

    /// # Errors
    /// The run was stopped.
    pub fn go_on(&self) -> Result<(), DayError> {
        if self.stop.is_set() { Err(DayError::Stopped) } else { Ok(()) }
    }

    fn finish_in_memory(&self, state: Partial, meta: &Arc<DayMeta>) -> (RowBatch, DayCounts) {
        let mut counts = DayCounts {
            rows_without_node: state.rows_without_node,
            groups: (state.pods.groups.len() + state.storage.groups.len()) as u64,
            ..DayCounts::default()
        };
        let has_others = !state.capacity.is_empty() || !state.storage.groups.is_empty();
        let lacks_pods = state.pods.groups.is_empty() && has_others;
        let (rows, oddities) = finish(state, meta, self.tenant);
        counts.oddities = Oddities { days_without_pods: lacks_pods.into(), ..oddities };
        (rows, counts)
    }
}

impl DayCounts {
    pub fn add(&mut self, other: DayCounts) {
        self.oddities.add(other.oddities);
        self.rows_without_node += other.rows_without_node;
        self.groups += other.groups;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use chrono::NaiveDate;
    use uuid::Uuid;

    use super::*;
    use crate::aggregate::rows::{LabelRows, PodRows};
    use crate::lookups::Lookups;
    use crate::memory::limit::{Limit, LimitSource};
    use crate::memory::shares::{Budget, Demand, Distance};
    use crate::settings::{Aggregation, FanOut, NullRules, PodSource};
    use crate::summary::row::TextId;

    const KIND: StateKind = StateKind { categorical: true, seed: 7 };

    fn tenant() -> Tenant {
        let lookups = Lookups { enabled_keys: vec!["region".into()], ..Lookups::default() };
        let (pod_source, fan_out) = (PodSource::Hourly, FanOut::Koku);
        let rules = Aggregation { pod_source, fan_out, null_rules: NullRules::SelfHosted };
        Tenant::new(&lookups, rules).unwrap()
    }

    /// A state of the label object of a node alone, and one of a pod on that node.
    fn states(tenant: &Tenant) -> [Partial; 2] {
        let mut labels = KIND.empty();
        let mut sets = Vec::new();
        let texts = [&br#"{"region":"eu"}"#[..]].into_iter();
        labels.label_sets(texts, &tenant.keys, tenant.null_rules, &mut sets).unwrap();
        let owner = vec![labels.texts.intern("node")];
        labels.node_labels.add(&LabelRows { interval: vec![3], owner, labels: sets });
        let mut pods = KIND.empty();
        let mut rows = PodRows {
            interval: vec![0],
            namespace: vec![pods.texts.intern("shop")],
            node: vec![pods.texts.intern("node")],
            resource_id: vec![TextId::NULL],
            pod: vec![pods.texts.intern("pod")],
            labels: vec![Partial::no_labels(tenant.null_rules)],
            ..PodRows::default()
        };
        rows.numbers.iter_mut().for_each(|column| column.push(3600.0));
        pods.pods.add(&rows, &pods.texts, tenant.null_rules);
        [labels, pods]
    }

    /// A state of nothing but label objects leaves nothing on disk when it is spilled: they stay.
    #[test]
    fn label_objects_that_were_spilled_alone_are_laid_under_pods() {
        let tenant = tenant();
        let spiller = Spiller::new(std::env::temp_dir(), None);
        let meta = Arc::new(DayMeta {
            date: NaiveDate::default(),
            source_uuid: Uuid::nil(),
            report_period_id: None,
            cluster_id: None,
            cluster_alias: None,
        });
        let demand = Demand { threads: 1, decode_bytes: 0, fixed: 0, input: Distance::Disk };
        let limit = Limit { bytes: 1 << 30, source: LimitSource::Setting };
        let shares = Budget::of(limit).shares(demand).unwrap();
        let cancelled = AtomicBool::new(false);
        let stop = Stop::new(&cancelled);
        for spill_pods in [false, true] {
            let [labels, pods] = states(&tenant);
            let mut unit = UnitState::default();
            unit.spill(&labels, &spiller).unwrap();
            assert!(unit.spilled.is_empty());
            if spill_pods {
                unit.spill(&pods, &spiller).unwrap();
            } else {
                unit.idle.push(pods);
            }
            let heap = Heap::new(1 << 20);
            heap.change(0, unit.idle_bytes() + unit.heap_bytes());
            let finisher = Finisher {
                tenant: &tenant,
                spiller: &spiller,
                heap: &heap,
                shares,
                kind: KIND,
                stop: &stop,
            };
            let (rows, counts) = finisher.finish(unit, &meta).unwrap();
            assert_eq!((rows.bytes(), counts.groups), (heap.used(), 1));
            assert_eq!(matches!(rows, DayRows::OnDisk(..)), spill_pods);
            let mut labels = Vec::new();
            rows.each_batch(&mut |batch| {
                let of_pods = batch.rows.iter().map(|row| batch.text(row.pod_labels));
                labels.extend(of_pods.flatten().map(str::to_owned));
                Ok(())
            })
            .unwrap();
            assert_eq!(labels, [r#"{"region":"eu"}"#]);
        }
    }
}
