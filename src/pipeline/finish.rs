//! A complete day to rows: at once where it fits, else partition by partition.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::aggregate::partial::Partial;
use crate::memory::heap::Heap;
use crate::sink::{Encode, Encoded, SinkError};
use crate::spill::groups::{self, LentPairs, Share};
use crate::spill::rows::{MergedRuns, Run};
use crate::spill::spiller::{Spilled, Spiller};
use crate::spill::{Block, SpillError};
use crate::summary::finish::{FanOutCounts, Tenant, finish, finish_pods, finish_rest};
use crate::summary::row::{DayMeta, RowBatch};
use crate::summary::unallocated::NodeUses;

use super::states::{StateKind, UnitState};
use super::writer::RowCounts;

/// The rows of a day.
pub enum FinishedDay {
    /// With the bytes that they are counted with.
    InMemory(RowBatch, u64),
    /// As the sink wants it: what its encoder made, with the rows by kind.
    Encoded {
        meta: Arc<DayMeta>,
        day: Encoded,
        rows: RowCounts,
        bytes: u64,
    },
    OnDisk(MergedRuns),
}

impl FinishedDay {
    /// Lets `encoder` prepare a day that is in memory, if there is room for that. The encoded form
    /// takes its place in `heap`.
    pub fn encoded(self, encoder: &dyn Encode, heap: &Heap) -> Result<Self, SinkError> {
        let FinishedDay::InMemory(rows, bytes) = self else { return Ok(self) };
        let Some(_reserved) = heap.reserve(encoder.bytes(&rows)) else {
            return Ok(FinishedDay::InMemory(rows, bytes));
        };
        let Some(day) = encoder.encode(&rows)? else {
            return Ok(FinishedDay::InMemory(rows, bytes));
        };
        let now = day.heap_bytes() as u64;
        heap.change(bytes, now);
        let (meta, rows) = (rows.day.clone(), RowCounts::of(&rows));
        Ok(FinishedDay::Encoded { meta, day, rows, bytes: now })
    }
}

/// What finishing a day takes in memory, in terms of its states: labels are merged, rows made and
/// sorted beside them.
const GROWTH: u64 = 2;

/// The same of a spilled partition, in terms of its bytes on disk before compression.
const GROWTH_OF_SPILLED: u64 = 6;

/// Finishes days within a share of the memory.
pub struct Finisher<'a> {
    pub tenant: &'a Tenant,
    pub spiller: &'a Spiller,
    pub heap: &'a Heap,
    /// Parts of a spilled day that are finished at once.
    pub threads: u64,
    pub kind: StateKind,
}

/// Figures of a finished day.
#[derive(Debug, Clone, Copy, Default)]
pub struct DayCounts {
    pub fan_out: FanOutCounts,
    pub rows_without_node: u64,
    /// Pod and storage groups before the labels of nodes and namespaces were laid under them.
    pub groups: u64,
}

impl Finisher<'_> {
    pub fn finish(
        &self,
        mut unit: UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<(FinishedDay, DayCounts), SpillError> {
        let mut bytes: u64 = unit.idle.iter().map(|state| state.heap_bytes() as u64).sum();
        if unit.spilled.is_empty() {
            // Before anything is reserved: a thread that waits for the halves of a merge takes up
            // other work meanwhile, which may want to reserve too.
            let merged = unit.idle.into_par_iter().reduce_with(Partial::merge);
            let state = merged.unwrap_or_else(|| self.kind.empty());
            let now = state.heap_bytes() as u64;
            self.heap.change(bytes, now);
            bytes = now;
            if let Some(reserved) = self.heap.reserve(bytes * GROWTH) {
                let (rows, counts) = self.finish_in_memory(state, meta);
                drop(reserved);
                let now = rows.heap_bytes() as u64;
                self.heap.change(bytes, now);
                return Ok((FinishedDay::InMemory(rows, now), counts));
            }
            unit.idle = vec![state];
        }
        let finished = self.finish_spilled(unit, meta);
        self.heap.change(bytes, 0);
        finished
    }

    fn finish_in_memory(&self, state: Partial, meta: &Arc<DayMeta>) -> (RowBatch, DayCounts) {
        let mut counts = DayCounts {
            rows_without_node: state.rows_without_node,
            groups: (state.pods.groups.len() + state.storage.groups.len()) as u64,
            ..DayCounts::default()
        };
        let (rows, fan_out) = finish(state, meta, self.tenant);
        counts.fan_out = fan_out;
        (rows, counts)
    }

    fn finish_spilled(
        &self,
        mut unit: UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<(FinishedDay, DayCounts), SpillError> {
        let mut rest = self.kind.empty();
        for state in unit.idle {
            let (other, pods) = state.split_pods(self.kind.known_labels());
            unit.spilled.add(self.spiller.spill(&pods)?);
            drop(pods);
            rest = rest.merge(other);
        }
        let facts = rest.facts();
        let lent = LentPairs::new(&facts);
        let pieces = self.pieces(&unit.spilled);
        let gathered = Mutex::new(Gathered::default());
        pieces.par_iter().try_for_each(|piece| {
            let share = Share { index: piece.share.0, count: piece.share.1, lent: &lent };
            self.finish_piece(piece, share, &facts, meta, &gathered)
        })?;
        let Gathered { uses, mut counts, mut runs } =
            gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        counts.rows_without_node = rest.rows_without_node;
        counts.groups += rest.storage.groups.len() as u64;
        let batch = finish_rest(rest, meta, self.tenant, &uses, &mut counts.fan_out);
        let file = self.spiller.file()?;
        runs.push(Run::write(&batch, &file)?);
        drop(batch);
        let merged = MergedRuns::new(meta.clone(), &file, runs, self.kind.seed)?;
        Ok((FinishedDay::OnDisk(merged), counts))
    }

    /// As many partitions at once as fit, and shares of one where it alone would not.
    fn pieces(&self, spilled: &Spilled) -> Vec<Piece> {
        let most = (self.heap.limit() / 2 / self.threads).max(1) / GROWTH_OF_SPILLED;
        let raw = |blocks: &[Block]| blocks.iter().map(|b| u64::from(b.raw)).sum::<u64>();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut open = 0;
        for blocks in spilled.partitions() {
            let bytes = raw(blocks);
            if let Some(last) = pieces.last_mut()
                && open + bytes <= most
            {
                last.blocks.extend(blocks);
                open += bytes;
                continue;
            }
            let count = bytes.div_ceil(most.max(1)).max(1);
            for index in 0..count {
                pieces.push(Piece { blocks: blocks.to_vec(), share: (index, count) });
            }
            open = if count == 1 { bytes } else { u64::MAX / 2 };
        }
        pieces
    }

    fn finish_piece<'t>(
        &'t self,
        piece: &Piece,
        share: Share<'_>,
        facts: &Partial,
        meta: &Arc<DayMeta>,
        gathered: &Mutex<Gathered<'t>>,
    ) -> Result<(), SpillError> {
        let file = self.spiller.file()?;
        let mut state = facts.facts();
        for &block in &piece.blocks {
            groups::decode_into(&file.read(block)?, share, &mut state)
                .map_err(|_| file.damaged())?;
        }
        let mut counts =
            DayCounts { groups: state.pods.groups.len() as u64, ..DayCounts::default() };
        let mut uses = NodeUses::default();
        let batch = finish_pods(state, meta, self.tenant, &mut uses, &mut counts.fan_out);
        let run = Run::write(&batch, &file)?;
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.uses.merge(&uses);
        gathered.counts.add(counts);
        gathered.runs.push(run);
        Ok(())
    }
}

/// A part of a day's spilled groups that is finished by itself.
struct Piece {
    blocks: Vec<Block>,
    /// Which share of the blocks' groups, and of how many.
    share: (u64, u64),
}

#[derive(Default)]
struct Gathered<'t> {
    uses: NodeUses<'t>,
    counts: DayCounts,
    runs: Vec<Run>,
}

impl DayCounts {
    fn add(&mut self, other: DayCounts) {
        self.fan_out.add(other.fan_out);
        self.rows_without_node += other.rows_without_node;
        self.groups += other.groups;
    }
}
