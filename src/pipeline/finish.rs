//! A complete day to rows: at once where it fits, else partition by partition.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::aggregate::partial::Partial;
use crate::spill::groups::{self, LentPairs, Share};
use crate::spill::rows::{MergedRuns, Run};
use crate::spill::spiller::Spiller;
use crate::spill::{Block, SpillError};
use crate::summary::finish::{FanOutCounts, Tenant, finish, finish_pods, finish_rest};
use crate::summary::row::{DayMeta, RowBatch};
use crate::summary::unallocated::NodeUses;

use super::states::{StateKind, UnitState};

/// The rows of a day.
pub enum FinishedDay {
    InMemory(RowBatch),
    OnDisk(MergedRuns),
}

/// What finishing a day takes in memory, in terms of its states: labels are merged, rows made and
/// sorted beside them.
const GROWTH: u64 = 3;

/// The same of a spilled partition, in terms of its bytes on disk before compression.
const GROWTH_OF_SPILLED: u64 = 5;

/// Finishes days within a share of the memory.
pub struct Finisher<'a> {
    pub tenant: &'a Tenant,
    pub spiller: &'a Spiller,
    /// Bytes that one day may take. As many days are open at once as there are shares, so that no
    /// task has to wait for another's memory.
    pub share: u64,
    /// Partitions of a day that are finished at once.
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
        unit: UnitState,
        meta: &Arc<DayMeta>,
    ) -> Result<(FinishedDay, DayCounts), SpillError> {
        let bytes: usize = unit.idle.iter().map(Partial::heap_bytes).sum();
        let needed = bytes as u64 * GROWTH;
        if !unit.spilled.is_empty() || (needed > self.share && unit.has_pods()) {
            return self.finish_spilled(unit, meta);
        }
        let merged = unit.idle.into_par_iter().reduce_with(Partial::merge);
        let state = merged.unwrap_or_else(|| self.kind.empty());
        let mut counts = DayCounts {
            rows_without_node: state.rows_without_node,
            groups: (state.pods.groups.len() + state.storage.groups.len()) as u64,
            ..DayCounts::default()
        };
        let (rows, fan_out) = finish(state, meta, self.tenant);
        counts.fan_out = fan_out;
        Ok((FinishedDay::InMemory(rows), counts))
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
            rest = rest.merge(other);
        }
        let facts = rest.facts();
        let lent = LentPairs::new(&facts);
        let pieces = self.pieces(unit.spilled.partitions());
        let gathered = Mutex::new(Gathered::default());
        pieces.par_iter().try_for_each(|piece| {
            let share = Share { index: piece.share.0, count: piece.share.1, lent: &lent };
            self.finish_piece(piece, share, &facts, meta, &gathered)
        })?;
        let Gathered { uses, mut counts, mut runs } =
            gathered.into_inner().unwrap_or_else(|e| e.into_inner());
        counts.rows_without_node = rest.rows_without_node;
        counts.groups += rest.storage.groups.len() as u64;
        let batch = finish_rest(rest, meta, self.tenant, &uses, &mut counts.fan_out);
        let file = self.spiller.file()?;
        runs.push(Run::write(&batch, &file)?);
        drop(batch);
        let merged = MergedRuns::new(meta.clone(), &file, runs, self.kind.seed)?;
        Ok((FinishedDay::OnDisk(merged), counts))
    }

    /// Partitions, cut into shares where one alone would not fit.
    fn pieces<'b>(&self, partitions: impl Iterator<Item = &'b [Block]>) -> Vec<Piece<'b>> {
        let mut pieces = Vec::new();
        for blocks in partitions {
            let raw: u64 = blocks.iter().map(|block| u64::from(block.raw)).sum();
            let most = (self.share / self.threads).max(1);
            let count = (raw * GROWTH_OF_SPILLED).div_ceil(most).max(1);
            pieces.extend((0..count).map(|index| Piece { blocks, share: (index, count) }));
        }
        pieces
    }

    fn finish_piece<'t>(
        &'t self,
        piece: &Piece<'_>,
        share: Share<'_>,
        facts: &Partial,
        meta: &Arc<DayMeta>,
        gathered: &Mutex<Gathered<'t>>,
    ) -> Result<(), SpillError> {
        let file = self.spiller.file()?;
        let mut state = facts.facts();
        for &block in piece.blocks {
            groups::decode_into(&file.read(block)?, share, &mut state)
                .map_err(|_| file.damaged())?;
        }
        let mut counts =
            DayCounts { groups: state.pods.groups.len() as u64, ..DayCounts::default() };
        let mut uses = NodeUses::default();
        let batch = finish_pods(state, meta, self.tenant, &mut uses, &mut counts.fan_out);
        let run = Run::write(&batch, &file)?;
        let mut gathered = gathered.lock().unwrap_or_else(|e| e.into_inner());
        gathered.uses.merge(&uses);
        gathered.counts.add(counts);
        gathered.runs.push(run);
        Ok(())
    }
}

/// A part of a day's spilled groups that is finished by itself.
struct Piece<'b> {
    blocks: &'b [Block],
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

impl UnitState {
    fn has_pods(&self) -> bool {
        self.idle.iter().any(|state| !state.pods.groups.is_empty())
    }
}
