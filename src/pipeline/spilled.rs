//! A spilled day to rows, part by part: each part is read back, finished and written as a sorted
//! run of rows.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::day_error::{DayError, OWNERS_GROWTH, check_owners};
use super::finish::{DayCounts, Finisher};
use super::states::UnitState;
use crate::aggregate::capacity::CapacityTotals;
use crate::aggregate::partial::Partial;
use crate::spill::bytes::{Cursor, Malformed};
use crate::spill::groups::{self, LentPairs, NODE_STEP, Share};
use crate::spill::rows::{Run, RunsOfDay};
use crate::spill::sorted::{self, ALL, Hashes, Part, SortedRun, Spread};
use crate::spill::spiller::Spilled;
use crate::spill::{capacity, claims};
use crate::summary::finish::{finish_claims, finish_pods};
use crate::summary::row::{DayMeta, RowBatch};
use crate::summary::storage::{Mounted, Mounts};
use crate::summary::unallocated::NodeUses;

/// What a part takes while it is finished, in terms of its bytes on disk before compression.
const GROWTH: u64 = 6;

/// More runs than this are merged before they are read by parts, and so many at once.
const FEW: usize = 16;
const AT_ONCE: usize = 64;

/// A day whose states are on disk.
pub struct SpilledDay<'a> {
    finisher: &'a Finisher<'a>,
    meta: &'a Arc<DayMeta>,
    spilled: Spilled,
    /// Label objects of nodes and namespaces, which every part may need.
    owners: Partial,
    /// Bytes before compression that a thread works on at once.
    most: u64,
    done: Mutex<Done>,
}

/// What came of the parts.
#[derive(Default)]
struct Done {
    counts: DayCounts,
    runs: Vec<Run>,
}

/// Pod groups that are finished at once: of a range of hashes, one of several shares.
struct Piece {
    hashes: Hashes,
    /// Which share, and of how many.
    share: (u64, u64),
}

impl<'a> SpilledDay<'a> {
    /// # Errors
    /// The label objects alone do not fit.
    pub fn new(
        finisher: &'a Finisher<'a>,
        meta: &'a Arc<DayMeta>,
        unit: UnitState,
    ) -> Result<Self, DayError> {
        let owners = unit.owners.unwrap_or_else(|| finisher.kind.empty());
        let limit = finisher.heap.limit();
        // More than a quarter if that is free now.
        let free = (limit.saturating_sub(finisher.heap.used()) / 2).max(limit / 4);
        check_owners(owners.heap_bytes() as u64, limit, &finisher.shares)?;
        Ok(SpilledDay {
            finisher,
            meta,
            spilled: unit.spilled,
            owners,
            most: finisher
                .spiller
                .part_bytes(free / finisher.shares.threads.max(1) as u64 / GROWTH),
            done: Mutex::default(),
        })
    }

    /// The rows of the day, in sorted runs, few enough to be merged at once.
    ///
    /// # Errors
    /// The temporary file fails, or the run was stopped.
    pub fn finish(mut self) -> Result<(RunsOfDay, DayCounts), DayError> {
        let Spilled { pods, capacity, places, claims } = std::mem::take(&mut self.spilled);
        let lacks_pods = pods.is_empty() && !(capacity.is_empty() && claims.is_empty());
        self.spilled = Spilled {
            pods: self.merged(pods)?,
            capacity: self.merged(capacity)?,
            places: self.merged(places)?,
            claims: self.merged(claims)?,
        };
        let cluster = self.cluster()?;
        let pods = Spread::of(&self.spilled.pods);
        let nodes = pods.cut(ALL, self.most, NODE_STEP);
        nodes.par_iter().try_for_each(|nodes| self.finish_nodes(nodes, &pods, &cluster))?;
        drop((pods, nodes));
        self.spilled.pods = Vec::new();
        if !self.spilled.claims.is_empty() {
            let mounted = self.mount()?;
            let volumes = Spread::of(&mounted).cut(ALL, self.most, 1);
            volumes.par_iter().try_for_each(|part| self.finish_volumes(&mounted, part))?;
        }
        let Done { mut counts, runs } =
            self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        counts.rows_without_node = self.owners.rows_without_node;
        counts.oddities.days_without_pods = lacks_pods.into();
        let (finisher, kind) = (self.finisher, self.finisher.kind);
        let mut runs = RunsOfDay { day: self.meta.clone(), runs, seed: kind.seed };
        let room = finisher.heap.limit() / 8;
        let _reserved = finisher.heap.reserve_or_go_on(room);
        let at_once = finisher.spiller.runs_at_once(RunsOfDay::at_once(room));
        runs.reduce(at_once, finisher.spiller, || finisher.go_on())?;
        Ok((runs, counts))
    }

    /// The same records in few runs: each part that is read costs a block of every run.
    fn merged(&self, mut runs: Vec<SortedRun>) -> Result<Vec<SortedRun>, DayError> {
        let (finisher, spiller) = (self.finisher, self.finisher.spiller);
        let at_once = spiller.runs_at_once(AT_ONCE);
        while runs.len() > spiller.runs_at_once(FEW) {
            runs = runs
                .par_chunks(at_once)
                .map(|runs| {
                    let bytes = runs.len() as u64 * sorted::RUN_BYTES;
                    let _reserved = finisher.heap.reserve_or_go_on(bytes);
                    SortedRun::merge(spiller.file()?, runs, || finisher.go_on())
                })
                .collect::<Result<_, DayError>>()?;
        }
        Ok(runs)
    }

    fn each(
        &self,
        runs: &[SortedRun],
        hashes: &Hashes,
        take: impl FnMut(Cursor<'_>) -> Result<(), Malformed>,
    ) -> Result<(), DayError> {
        sorted::each(runs, hashes, take, || self.finisher.go_on())
    }

    /// The capacity of all nodes.
    fn cluster(&self) -> Result<CapacityTotals, DayError> {
        let mut cluster = CapacityTotals::default();
        for part in Spread::of(&self.spilled.capacity).cut(ALL, self.most, NODE_STEP) {
            let _reserved = self.finisher.heap.reserve_or_go_on(part.bytes * GROWTH);
            let mut state = self.finisher.kind.empty();
            self.each(&self.spilled.capacity, &part.hashes, |record| {
                capacity::decode_into(record, &mut state)
            })?;
            cluster.merge(&state.capacity.totals().1);
        }
        Ok(cluster)
    }

    /// The pod and unallocated rows of some nodes.
    fn finish_nodes(
        &self,
        nodes: &Part,
        pods: &Spread,
        cluster: &CapacityTotals,
    ) -> Result<(), DayError> {
        let pieces = self.pieces(nodes, pods);
        let uses = Mutex::new(NodeUses::default());
        if pieces.len() > 1 {
            pieces.par_iter().try_for_each(|piece| {
                let mut of_piece = NodeUses::default();
                self.finish_piece(Some(piece), nodes, cluster, &mut of_piece, false)?;
                uses.lock().unwrap_or_else(PoisonError::into_inner).merge(&of_piece);
                Ok::<_, DayError>(())
            })?;
        }
        let only = if pieces.len() == 1 { pieces.first() } else { None };
        let mut uses = uses.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.finish_piece(only, nodes, cluster, &mut uses, true)
    }

    /// The groups of some nodes as pieces that fit: nodes together, a node by its namespaces, a
    /// namespace on a node by labels.
    fn pieces(&self, nodes: &Part, pods: &Spread) -> Vec<Piece> {
        // A little more than planned is read at once rather than in two small halves.
        let fits = |part: &Part| part.bytes <= self.most / 2 * 3;
        if fits(nodes) {
            return vec![Piece { hashes: nodes.hashes.clone(), share: (0, 1) }];
        }
        let mut pieces = Vec::new();
        for part in pods.cut(nodes.hashes.clone(), self.most, 1) {
            let count = if fits(&part) { 1 } else { part.bytes.div_ceil(self.most) };
            pieces.extend((0..count).map(|index| {
                let hashes = part.hashes.clone();
                Piece { hashes, share: (index, count) }
            }));
        }
        pieces
    }

    /// The rows of a piece of the groups of `nodes`; with the last one, the unallocated rows of
    /// the nodes.
    fn finish_piece(
        &self,
        piece: Option<&Piece>,
        nodes: &Part,
        cluster: &CapacityTotals,
        uses: &mut NodeUses<'a>,
        is_last: bool,
    ) -> Result<(), DayError> {
        self.finisher.go_on()?;
        // Capacity and label objects are far less than a piece, but for the smallest.
        let _reserved =
            self.finisher.heap.reserve_or_go_on(nodes.bytes.min(self.most / 2 * 3) * GROWTH);
        let mut state = self.owners.owners(|node| {
            nodes.hashes.contains(&u64::from(groups::node_hash(&self.owners.texts, node)))
        });
        self.each(&self.spilled.capacity, &nodes.hashes, |record| {
            capacity::decode_into(record, &mut state)
        })?;
        if let Some(Piece { hashes, share: (index, count) }) = piece {
            let lent = match count {
                1 => LentPairs::default(),
                _ => LentPairs::new(&state),
            };
            let share = Share { index: *index, count: *count, lent: &lent };
            self.each(&self.spilled.pods, hashes, |record| {
                groups::decode_into(record, share, &mut state)
            })?;
        }
        let mut counts =
            DayCounts { groups: state.pods.groups.len() as u64, ..DayCounts::default() };
        let (tenant, oddities) = (self.finisher.tenant, &mut counts.oddities);
        let rows = finish_pods(state, self.meta, tenant, cluster, uses, is_last, oddities);
        self.put(&rows, counts)
    }

    /// Keeps finished rows.
    fn put(&self, rows: &RowBatch, counts: DayCounts) -> Result<(), DayError> {
        let run = Run::write(rows, self.finisher.spiller.file()?)?;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.counts.add(counts);
        if !run.is_empty() {
            done.runs.push(run);
        }
        Ok(())
    }

    /// Joins the storage groups with the places of their pods, and orders them by volume: the
    /// nodes of a volume are counted over all of its pods.
    fn mount(&self) -> Result<Vec<SortedRun>, DayError> {
        let pods = Spread::of(&self.spilled.claims).cut(ALL, self.most, 1);
        pods.par_iter().map(|part| self.mount_part(part)).collect()
    }

    fn mount_part(&self, part: &Part) -> Result<SortedRun, DayError> {
        let _reserved = self.finisher.heap.reserve_or_go_on(part.bytes * GROWTH);
        let mut state = self.finisher.kind.empty();
        self.each(&self.spilled.claims, &part.hashes, |mut record| {
            claims::decode_group_into(&mut record, &mut state).map(|_| ())
        })?;
        let groups = &state.storage.groups;
        let pods: FxHashSet<_> = groups.iter().map(|(key, _)| (key.namespace, key.pod)).collect();
        self.each(&self.spilled.places, &part.hashes, |record| {
            claims::decode_place_into(record, &pods, &mut state)
        })?;
        let mounts = Mounts::new(&state.storage, &state.places);
        let groups = &state.storage.groups;
        let mut order: Vec<(u32, u32)> = (0..groups.len())
            .map(|index| (claims::volume_hash(&state.texts, &groups.key(index)), index as u32))
            .collect();
        order.sort_unstable();
        let fan_out = self.finisher.tenant.fan_out;
        let run = SortedRun::write(&self.finisher.spiller.file()?, &order, |index, out| {
            let mounted = mounts.of(&groups.key(index), fan_out);
            claims::encode_mounted(&state, index, &mounted, out);
        })?;
        let counts = DayCounts { groups: groups.len() as u64, ..DayCounts::default() };
        self.done.lock().unwrap_or_else(PoisonError::into_inner).counts.add(counts);
        Ok(run)
    }

    /// The storage rows of some volumes.
    fn finish_volumes(&self, mounted: &[SortedRun], part: &Part) -> Result<(), DayError> {
        let owners = self.owners.heap_bytes() as u64 * (OWNERS_GROWTH - 1);
        let _reserved = self.finisher.heap.reserve_or_go_on(part.bytes * GROWTH + owners);
        let mut state = self.owners.owners(|_| true);
        let mut places: Vec<Mounted> = Vec::new();
        self.each(mounted, &part.hashes, |record| {
            let (index, place) = claims::decode_mounted_into(record, &mut state)?;
            // Each group was written once.
            if index != places.len() {
                return Err(Malformed);
            }
            places.push(place);
            Ok(())
        })?;
        let mut counts = DayCounts::default();
        let tenant = self.finisher.tenant;
        let rows = finish_claims(state, &places, self.meta, tenant, &mut counts.oddities);
        self.put(&rows, counts)
    }
}
