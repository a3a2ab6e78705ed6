//! The partial states of the open days: as many of each as tasks work on it at once.

use std::sync::Mutex;

use crate::aggregate::partial::Partial;
use crate::decode::row_group::Days;
use crate::labels::known::KnownLabels;
use crate::plan::chunks::Chunk;
use crate::plan::units::UnitDays;

/// By unit: states that no task holds, and how many chunks can still add to it.
pub struct UnitStates {
    units: Vec<Mutex<Unit>>,
}

#[derive(Default)]
struct Unit {
    idle: Vec<Partial>,
    chunks_left: usize,
}

impl UnitStates {
    pub fn new(units: usize, chunks: &[Chunk]) -> Self {
        let mut states: Vec<Unit> = (0..units).map(|_| Unit::default()).collect();
        for chunk in chunks {
            for unit in &mut states[chunk.units.0..=chunk.units.1] {
                unit.chunks_left += 1;
            }
        }
        UnitStates { units: states.into_iter().map(Mutex::new).collect() }
    }

    fn with<T>(&self, unit: usize, change: impl FnOnce(&mut Unit) -> T) -> T {
        change(&mut self.units[unit].lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Units that no chunk can add to.
    pub fn without_chunks(&self) -> Vec<usize> {
        let none = |&unit: &usize| self.with(unit, |u| u.chunks_left == 0);
        (0..self.units.len()).filter(none).collect()
    }

    /// Counts a chunk off and takes the states of the units that it completes.
    pub fn chunk_done(&self, (first, last): (usize, usize)) -> Vec<(usize, Vec<Partial>)> {
        let mut complete = Vec::new();
        for unit in first..=last {
            let states = self.with(unit, |u| {
                u.chunks_left -= 1;
                (u.chunks_left == 0).then(|| std::mem::take(&mut u.idle))
            });
            complete.extend(states.map(|states| (unit, states)));
        }
        complete
    }

    /// Puts states back.
    pub fn keep(&self, unit: usize, states: Vec<Partial>) {
        self.with(unit, |u| u.idle.extend(states));
    }

    pub fn take_all(&self, unit: usize) -> Vec<Partial> {
        self.with(unit, |u| std::mem::take(&mut u.idle))
    }
}

/// The states that one task holds while it works on a chunk.
pub struct ChunkStates<'a> {
    units: &'a UnitStates,
    held: Vec<(usize, Partial)>,
    seed: u64,
    categorical: bool,
}

impl<'a> ChunkStates<'a> {
    pub fn new(units: &'a UnitStates, seed: u64, categorical: bool) -> Self {
        ChunkStates { units, held: Vec::new(), seed, categorical }
    }

    pub fn of_source<'s>(&'s mut self, days: &'s UnitDays) -> SourceStates<'s, 'a> {
        SourceStates { states: self, days }
    }

    pub fn give_back(self) {
        for (unit, state) in self.held {
            self.units.keep(unit, vec![state]);
        }
    }

    fn state(&mut self, unit: usize) -> &mut Partial {
        let at = match self.held.iter().rposition(|&(held, _)| held == unit) {
            Some(at) => at,
            None => {
                let idle = self.units.with(unit, |u| u.idle.pop());
                let state = idle.unwrap_or_else(|| {
                    let known = if self.categorical {
                        KnownLabels::hashed(self.seed)
                    } else {
                        KnownLabels::compared(self.seed)
                    };
                    Partial::new(known, self.seed)
                });
                self.held.push((unit, state));
                self.held.len() - 1
            }
        };
        &mut self.held[at].1
    }
}

/// The same, by the days of one source.
pub struct SourceStates<'s, 'a> {
    states: &'s mut ChunkStates<'a>,
    days: &'s UnitDays,
}

impl Days for SourceStates<'_, '_> {
    fn state(&mut self, day: i64) -> Option<&mut Partial> {
        self.days.unit(day).map(|unit| self.states.state(unit))
    }
}
