//! The partial states of the open days: in memory, counted in bytes, and on disk where their share
//! is used up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Job;
use super::error::RunError;
use crate::aggregate::partial::Partial;
use crate::decode::row_group::Days;
use crate::labels::known::KnownLabels;
use crate::memory::heap::Heap;
use crate::plan::PlannedGroup;
use crate::plan::units::UnitDays;
use crate::spill::SpillError;
use crate::spill::groups::{self, LentPairs, Share};
use crate::spill::spiller::{Spilled, Spiller};

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

/// What is known of a day: what [`UnitStates::rows_done`] hands over.
#[derive(Default)]
pub struct UnitState {
    /// States that no task holds.
    pub idle: Vec<Partial>,
    pub spilled: Spilled,
    /// Rows that can still come.
    rows_left: usize,
}

impl UnitState {
    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> u64 {
        self.idle.iter().map(|state| state.heap_bytes() as u64).sum()
    }

    /// Gives all states away, those on disk too, one after another.
    ///
    /// # Errors
    /// Those of `give`, or a temporary file that cannot be read.
    pub fn each(
        self,
        kind: StateKind,
        spiller: &Spiller,
        give: &mut dyn FnMut(Partial) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        for state in self.idle {
            give(state)?;
        }
        for block in self.spilled.partitions().flatten() {
            let file = spiller.file()?;
            let mut state = kind.empty();
            let share = Share { index: 0, count: 1, lent: &LentPairs::default() };
            groups::decode_into(&file.read(*block)?, share, &mut state)
                .map_err(|_| file.damaged())?;
            give(state)?;
        }
        Ok(())
    }
}

/// The states of all days of a run.
pub struct UnitStates<'a> {
    units: Vec<Mutex<UnitState>>,
    kind: StateKind,
    spiller: &'a Spiller,
    heap: &'a Heap,
    /// Spill although within the share: set when memory is short for other reasons.
    pub spill_early: AtomicBool,
}

impl<'a> UnitStates<'a> {
    pub fn new(
        units: usize,
        groups: &[PlannedGroup],
        kind: StateKind,
        spiller: &'a Spiller,
        heap: &'a Heap,
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

    /// Hands a complete unit over; its bytes stay counted.
    pub fn take(&self, unit: usize) -> UnitState {
        self.with(unit, std::mem::take)
    }

    /// Whether the states use more than they should: a table that doubles needs room before it
    /// gives any back, and a day room to be finished in.
    fn is_over(&self) -> bool {
        let limit = self.heap.limit();
        let most = match self.spill_early.load(Ordering::Relaxed) {
            true => limit / 4,
            false => limit / 4 * 3,
        };
        self.heap.used() > most
    }
}

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
    pub fn give_back(mut self) -> Result<(), SpillError> {
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
    pub fn state(&mut self, unit: usize) -> Result<&mut Partial, SpillError> {
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

    /// Takes in what a state has grown by, and spills it if the states are over their share and
    /// this is one of the large ones.
    fn count(&mut self, at: usize) -> Result<(), SpillError> {
        let units = self.units;
        let held = &mut self.held[at];
        held.count(units.heap);
        let groups = held.state.pods.groups.len();
        let is_large = held.bytes * 4 >= units.heap.used();
        let must = units.is_over() && is_large && groups > 0;
        if must || units.spiller.is_forced(groups) {
            let whole = std::mem::replace(&mut held.state, units.kind.empty());
            let (rest, pods) = whole.split_pods(units.kind.known_labels());
            let blocks = units.spiller.spill(&pods)?;
            units.with(held.unit, |u| u.spilled.add(blocks));
            held.state = rest;
            held.count(units.heap);
        }
        Ok(())
    }
}

impl Held {
    fn count(&mut self, heap: &Heap) {
        let now = self.state.heap_bytes() as u64;
        heap.change(self.bytes, now);
        self.bytes = now;
    }
}

/// The same, by the days of one source.
pub struct SourceStates<'s, 'a> {
    states: &'s mut ChunkStates<'a>,
    days: &'s UnitDays,
}

impl Days for SourceStates<'_, '_> {
    type Error = SpillError;

    fn state(&mut self, day: i64) -> Result<Option<&mut Partial>, SpillError> {
        self.days.unit(day).map(|unit| self.states.state(unit)).transpose()
    }
}
