//! The partial states of the open days: in memory, counted in bytes, and on disk where their share
//! is used up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Job;
use super::day_error::{DayError, check_owners};
use super::error::RunError;
use super::finish::{DayCounts, DayRows};
use crate::aggregate::partial::Partial;
use crate::decode::row_group::Days;
use crate::labels::known::KnownLabels;
use crate::memory::heap::Heap;
use crate::memory::shares::Shares;
use crate::plan::PlannedGroup;
use crate::plan::units::UnitDays;
use crate::spill::SpillError;
use crate::spill::bytes::{Cursor, Malformed};
use crate::spill::groups::{self, LentPairs, Share};
use crate::spill::sorted::{self, ALL, SortedRun, Spread};
use crate::spill::spiller::{Spilled, Spiller};
use crate::spill::{capacity, claims};

/// How states come to be.
#[derive(Debug, Clone, Copy)]
pub struct StateKind {
    /// Label texts are told apart by hash; else compared.
    pub categorical: bool,
    /// Drawn at the start of the run, for hashes of texts.
    pub seed: u64,
}

impl StateKind {
    pub fn of(job: &Job<'_>) -> Self {
        StateKind { categorical: job.reading.categorical, seed: job.seed }
    }

    pub fn known_labels(self) -> KnownLabels {
        if self.categorical {
            KnownLabels::hashed(self.seed)
        } else {
            KnownLabels::compared(self.seed)
        }
    }

    pub fn empty(self) -> Partial {
        Partial::new(self.known_labels(), self.seed)
    }
}

/// What is known of a day: what `UnitStates::rows_done` hands over.
#[derive(Default)]
pub struct UnitState {
    /// States that no task holds.
    pub idle: Vec<Partial>,
    pub spilled: Spilled,
    /// What stays in memory of the states that were spilled.
    pub owners: Option<Partial>,
    /// The day's rows where it was finished elsewhere.
    pub finished: Option<(DayRows, DayCounts)>,
    /// Rows that can still come.
    rows_left: usize,
}

impl UnitState {
    /// Writes a state of the day out.
    ///
    /// # Errors
    /// The temporary file fails.
    pub fn spill(&mut self, state: &Partial, spiller: &Spiller) -> Result<(), SpillError> {
        self.keep(spiller.spill(state)?, state);
        Ok(())
    }

    fn keep(&mut self, spilled: Spilled, state: &Partial) {
        self.spilled.add(spilled);
        let owners = self.owners.get_or_insert_with(|| Partial::empty(state.texts.seed()));
        owners.merge_owners(state);
    }

    /// Bytes of the states in memory.
    pub fn idle_bytes(&self) -> u64 {
        self.idle.iter().map(|state| state.heap_bytes() as u64).sum()
    }

    /// Gives all states away, what was spilled too, in parts of about `most` bytes.
    ///
    /// # Errors
    /// Those of `give`, or a temporary file that cannot be read.
    pub fn each(
        self,
        kind: StateKind,
        most: u64,
        give: &mut dyn FnMut(Partial) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        self.idle.into_iter().chain(self.owners).try_for_each(&mut *give)?;
        let Spilled { pods, capacity, places, claims, .. } = self.spilled;
        let lent = LentPairs::default();
        let all = Share { index: 0, count: 1, lent: &lent };
        let mut parts = |runs: &[SortedRun], add: AddRecord<'_>| -> Result<(), RunError> {
            if runs.is_empty() {
                return Ok(());
            }
            for part in Spread::of(runs).cut(ALL, most, 1) {
                let mut state = kind.empty();
                sorted::each::<SpillError>(
                    runs,
                    &part.hashes,
                    |record| add(record, &mut state),
                    || Ok(()),
                )?;
                give(state)?;
            }
            Ok(())
        };
        parts(&pods, &|record, state| groups::decode_into(record, all, state))?;
        parts(&capacity, &capacity::decode_into)?;
        parts(&places, &claims::decode_any_place_into)?;
        parts(&claims, &|mut record, state| {
            claims::decode_group_into(&mut record, state).map(|_| ())
        })
    }

    /// Bytes of what spilled states leave behind.
    pub fn heap_bytes(&self) -> u64 {
        let owners = self.owners.as_ref().map_or(0, Partial::heap_bytes);
        (owners + self.spilled.heap_bytes()) as u64
    }
}

/// Adds a spilled record to a state.
type AddRecord<'r> = &'r dyn Fn(Cursor<'_>, &mut Partial) -> Result<(), Malformed>;

/// The states of all days of a run.
pub struct UnitStates<'a> {
    units: Vec<Mutex<UnitState>>,
    kind: StateKind,
    spiller: &'a Spiller,
    heap: &'a Heap,
    shares: Shares,
    /// Bytes of all states, which are part of the heap.
    bytes: AtomicU64,
    /// Bytes of states that are being spilled: as good as gone.
    leaving: AtomicU64,
    /// Spill although within the share: set when memory is short for other reasons.
    pub spill_early: AtomicBool,
}

/// Rows after which a state is counted again, at most.
const BATCH: usize = 4096;

impl<'a> UnitStates<'a> {
    pub fn new(
        units: usize,
        groups: &[PlannedGroup],
        kind: StateKind,
        spiller: &'a Spiller,
        heap: &'a Heap,
        shares: Shares,
    ) -> Self {
        let mut states: Vec<UnitState> = (0..units).map(|_| UnitState::default()).collect();
        for group in groups {
            for unit in &mut states[group.units.0..=group.units.1] {
                unit.rows_left += group.group.rows;
            }
        }
        UnitStates {
            units: states.into_iter().map(Mutex::new).collect(),
            kind,
            spiller,
            heap,
            shares,
            bytes: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            spill_early: AtomicBool::new(false),
        }
    }

    fn with<T>(&self, unit: usize, change: impl FnOnce(&mut UnitState) -> T) -> T {
        change(&mut self.units[unit].lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Units that no row group can hold.
    pub fn without_rows(&self) -> Vec<usize> {
        let none = |&unit: &usize| self.with(unit, |u| u.rows_left == 0);
        (0..self.units.len()).filter(none).collect()
    }

    /// Counts rows off, and says which units that completes.
    pub fn rows_done(&self, (first, last): (usize, usize), rows: usize) -> Vec<usize> {
        let complete = |&unit: &usize| {
            self.with(unit, |u| {
                u.rows_left -= rows;
                u.rows_left == 0
            })
        };
        (first..=last).filter(complete).collect()
    }

    /// Keeps the rows of a unit that was finished elsewhere.
    pub fn set_finished(&self, unit: usize, finished: (DayRows, DayCounts)) {
        self.with(unit, |unit| unit.finished = Some(finished));
    }

    /// Hands a complete unit over; its bytes stay counted in the heap.
    pub fn take(&self, unit: usize) -> UnitState {
        let taken = self.with(unit, std::mem::take);
        let bytes: usize = taken.idle.iter().map(Partial::heap_bytes).sum();
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        taken
    }

    /// Whether the states would use more than they should with `growth` bytes more: days need
    /// room to be finished in. Where others fill the heap, to spill states would not help.
    fn is_over(&self, growth: u64) -> bool {
        let limit = self.heap.limit();
        let most = match self.spill_early.load(Ordering::Relaxed) {
            true => limit / 4,
            false => limit / 8 * 5,
        };
        let leaving = self.leaving.load(Ordering::Relaxed);
        let states = self.bytes.load(Ordering::Relaxed).saturating_sub(leaving);
        (self.heap.used() + growth).saturating_sub(leaving) > most && states >= limit / 8
    }

    /// The least bytes of a state that is worth a spill.
    fn least(&self) -> u64 {
        self.heap.limit() / 256
    }

    /// The unit with the largest state that no task holds, and the bytes of that. Units that others
    /// are busy with do not count.
    fn largest_idle(&self) -> Option<(usize, u64)> {
        let largest = |unit: &Mutex<UnitState>| {
            let unit = unit.try_lock().ok()?;
            unit.idle.iter().map(|state| state.heap_bytes() as u64).max()
        };
        let units = self.units.iter().enumerate();
        units.filter_map(|(at, unit)| Some((at, largest(unit)?))).max_by_key(|&(_, bytes)| bytes)
    }

    /// Spills the largest state of a unit that no task holds. Whoever completes the unit meanwhile
    /// waits: nothing of it may be missing then.
    fn spill_idle(&self, unit: usize) -> Result<(), DayError> {
        self.with(unit, |unit| {
            // Another task may have been faster.
            let idle = &unit.idle;
            let Some(largest) = (0..idle.len()).max_by_key(|&at| idle[at].heap_bytes()) else {
                return Ok(());
            };
            let mut state = unit.idle.swap_remove(largest);
            let bytes = state.heap_bytes() as u64;
            self.spill(&mut state, bytes, |spilled, whole| self.keep(unit, spilled, whole))?;
            unit.idle.push(state);
            Ok(())
        })
    }

    /// Spills a state of `bytes` bytes and puts an empty one in its place, whose bytes it returns.
    /// `keep` is given what was written and of what.
    fn spill(
        &self,
        state: &mut Partial,
        bytes: u64,
        keep: impl FnOnce(Spilled, &Partial) -> Result<(), DayError>,
    ) -> Result<u64, DayError> {
        self.leaving.fetch_add(bytes, Ordering::Relaxed);
        let fresh = state.successor(self.kind.known_labels());
        let whole = std::mem::replace(state, fresh);
        keep(self.spiller.spill(&whole)?, &whole)?;
        drop(whole);
        let left = state.heap_bytes() as u64;
        self.change(bytes, left);
        self.leaving.fetch_sub(bytes, Ordering::Relaxed);
        Ok(left)
    }

    /// Keeps what a spilled state leaves behind. More of it may come, so it is held against all of
    /// the heap, not against the half that it may have in the end.
    fn keep(
        &self,
        unit: &mut UnitState,
        spilled: Spilled,
        whole: &Partial,
    ) -> Result<(), DayError> {
        let before = unit.heap_bytes();
        unit.keep(spilled, whole);
        let after = unit.heap_bytes();
        self.heap.change(before, after);
        let owners = unit.owners.as_ref().map_or(0, |owners| owners.heap_bytes() as u64);
        match owners * 2 > self.heap.limit() {
            true => check_owners(owners, self.heap.limit(), &self.shares),
            false => Ok(()),
        }
    }

    /// Counts that a state of `before` bytes now has `after`.
    fn change(&self, before: u64, after: u64) {
        self.heap.change(before, after);
        self.bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// What is wrong, with the unit that it is of.
type OfUnit = (usize, DayError);

/// A state that a task holds.
struct Held {
    unit: usize,
    state: Partial,
    /// As counted last.
    bytes: u64,
}

/// The states that one task holds while it works on a chunk.
pub struct ChunkStates<'a> {
    units: &'a UnitStates<'a>,
    held: Vec<Held>,
}

impl<'a> ChunkStates<'a> {
    pub fn new(units: &'a UnitStates<'a>) -> Self {
        ChunkStates { units, held: Vec::new() }
    }

    pub fn of_source<'s>(&'s mut self, days: &'s UnitDays) -> SourceStates<'s, 'a> {
        SourceStates { states: self, days }
    }

    /// Gives all states back, counted.
    pub fn give_back(mut self) -> Result<(), OfUnit> {
        for at in 0..self.held.len() {
            self.count(at)?;
        }
        for Held { unit, state, .. } in self.held {
            self.units.with(unit, |u| u.idle.push(state));
        }
        Ok(())
    }

    /// The state of a unit to add to, which may be another one each time.
    ///
    /// # Errors
    /// The state that was there had to be spilled, which failed.
    pub fn state(&mut self, unit: usize) -> Result<&mut Partial, OfUnit> {
        let at = match self.held.iter().rposition(|held| held.unit == unit) {
            Some(at) => {
                self.count(at)?;
                at
            }
            None => {
                let (state, bytes) = match self.units.with(unit, |u| u.idle.pop()) {
                    // Counted when it was given back.
                    Some(state) => {
                        let bytes = state.heap_bytes() as u64;
                        (state, bytes)
                    }
                    None => (self.units.kind.empty(), 0),
                };
                self.held.push(Held { unit, state, bytes });
                self.held.len() - 1
            }
        };
        Ok(&mut self.held[at].state)
    }

    /// Takes in what a state has grown by, and spills the largest states there are while all of
    /// them are over their share, or would be if this one doubles.
    fn count(&mut self, at: usize) -> Result<(), OfUnit> {
        let units = self.units;
        let held = &mut self.held[at];
        held.count(units);
        let groups = held.state.pods.groups.len() + held.state.storage.groups.len();
        if units.spiller.is_forced(groups) {
            return held.spill(units);
        }
        while units.is_over(self.held[at].state.growth_bytes(BATCH) as u64) {
            let own = (0..self.held.len()).max_by_key(|&at| self.held[at].bytes).unwrap_or(at);
            let own_bytes = self.held[own].bytes;
            match units.largest_idle() {
                Some((unit, bytes)) if bytes > own_bytes.max(units.least()) => {
                    units.spill_idle(unit).map_err(|error| (unit, error))?;
                }
                _ if own_bytes > units.least() => self.held[own].spill(units)?,
                _ => break,
            }
        }
        Ok(())
    }
}

impl Held {
    fn count(&mut self, units: &UnitStates<'_>) {
        let now = self.state.heap_bytes() as u64;
        units.change(self.bytes, now);
        self.bytes = now;
    }

    fn spill(&mut self, units: &UnitStates<'_>) -> Result<(), OfUnit> {
        let unit = self.unit;
        self.bytes = units
            .spill(&mut self.state, self.bytes, |spilled, whole| {
                units.with(unit, |unit| units.keep(unit, spilled, whole))
            })
            .map_err(|error| (unit, error))?;
        Ok(())
    }
}

/// The same, by the days of one source.
pub struct SourceStates<'s, 'a> {
    states: &'s mut ChunkStates<'a>,
    days: &'s UnitDays,
}

impl Days for SourceStates<'_, '_> {
    type Error = OfUnit;

    fn state(&mut self, day: i64) -> Result<Option<&mut Partial>, OfUnit> {
        self.days.unit(day).map(|unit| self.states.state(unit)).transpose()
    }
}
