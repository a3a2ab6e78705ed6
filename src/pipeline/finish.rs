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
use super::spilled::SpilledDay;
use super::states::{StateKind, UnitState};
use super::stop::Stop;

/// The rows of a day.
pub enum FinishedDay {
    /// With the bytes that they are counted with.
    InMemory(RowBatch, u64),
    /// As the sink wants it: what its encoder made, with the rows by kind, and the bytes that both
    /// are counted with.
    Encoded {
        meta: Arc<DayMeta>,
        day: Encoded,
        rows: Rows,
        bytes: u64,
    },
    OnDisk(RunsOfDay, u64),
}

impl FinishedDay {
    /// Bytes that it is counted with.
    pub fn bytes(&self) -> u64 {
        match self {
            FinishedDay::InMemory(_, bytes)
            | FinishedDay::Encoded { bytes, .. }
            | FinishedDay::OnDisk(_, bytes) => *bytes,
        }
    }

    /// Lets `encoder` prepare a day that is in memory, if there is room for that. The encoded form
    /// takes its place in `heap`.
    pub fn encoded(self, encoder: &dyn Encode, heap: &Heap) -> Result<Self, SinkError> {
        let FinishedDay::InMemory(batch, bytes) = self else { return Ok(self) };
        let Some(_reserved) = heap.reserve(encoder.bytes(&batch)) else {
            return Ok(FinishedDay::InMemory(batch, bytes));
        };
        let Some(day) = encoder.encode(&batch)? else {
            return Ok(FinishedDay::InMemory(batch, bytes));
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
    ) -> Result<(FinishedDay, DayCounts), DayError> {
        if let Some(finished) = unit.finished.take() {
            return Ok(finished);
        }
        if let Some((rows, bytes, counts)) = self.in_memory(&mut unit, meta)? {
            return Ok((FinishedDay::InMemory(rows, bytes), counts));
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
        Ok((FinishedDay::OnDisk(runs, now), counts))
    }

    /// The rows of a day that is in memory, with the bytes that they are counted with, if there is room
    /// to finish it there; else all of it is still in `unit`.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn in_memory(
        &self,
        unit: &mut UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<Option<(RowBatch, u64, DayCounts)>, DayError> {
        if !unit.spilled.is_empty() {
            return Ok(None);
        }
        let of_idle = unit.idle_bytes();
        let before = of_idle + unit.heap_bytes();
        unit.idle = self.merge(std::mem::take(&mut unit.idle), of_idle)?;
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
        Ok(Some((rows, now, counts)))
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
