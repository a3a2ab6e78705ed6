//! The writer thread's work: finished days into the sink, in the order of the plan.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::Shared;
use super::error::RunError;
use super::finish::FinishedDay;
use crate::database::Passing;
use crate::ledger::Rows;
use crate::memory::heap::Heap;
use crate::memory::permits::LOOK_UP;
use crate::sink::Sink;

/// What went into the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub days: usize,
    pub pod_rows: u64,
    pub storage_rows: u64,
    pub unallocated_rows: u64,
    pub time: Duration,
    /// How often a day was done again, by why.
    pub redone: BTreeMap<Passing, u64>,
    /// Whether the sink has all days and was told so.
    pub finished: bool,
}

/// How many days were written: the reader must not run too far ahead of it.
#[derive(Debug, Default)]
pub struct Progress {
    days: Mutex<usize>,
    changed: Condvar,
}

impl Progress {
    pub fn days(&self) -> usize {
        *self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn advance(&self) {
        *self.days.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until more than `days` were written; false if `stopped` before.
    pub fn wait_beyond(&self, days: usize, stopped: &dyn Fn() -> bool) -> bool {
        let mut now = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        while *now <= days {
            if stopped() {
                return false;
            }
            let waited = self.changed.wait_timeout(now, LOOK_UP);
            now = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Takes `units` days, whatever order they come in; ends early when the run is stopped.
pub fn write(
    days: &Receiver<(usize, FinishedDay)>,
    mut sink: Box<dyn Sink>,
    units: usize,
    shared: &Shared<'_>,
    heap: &Heap,
) -> Result<Written, RunError> {
    let stopped = || shared.is_stopped();
    let mut written = Written::default();
    let mut early = BTreeMap::new();
    for (unit, day) in days {
        early.insert(unit, day);
        while let Some(day) = early.remove(&written.days) {
            if stopped() {
                return Ok(written);
            }
            let started = Instant::now();
            let _working = shared.activity.working();
            let rows = loop {
                match put(&mut *sink, &day, heap, &stopped) {
                    Ok(Some(rows)) => break rows,
                    Ok(None) => return Ok(written),
                    Err(RunError::Sink(failed)) => {
                        *written.redone.entry(sink.recover(failed)?).or_default() += 1;
                    }
                    Err(error) => return Err(error),
                }
            };
            let bytes = day.bytes();
            drop(day);
            heap.change(bytes, 0);
            written.add(rows);
            written.days += 1;
            written.time += started.elapsed();
            shared.progress.advance();
        }
    }
    // With all days in it, the output is complete: a signal that comes now changes nothing.
    if written.days == units {
        let started = Instant::now();
        sink.finish()?;
        written.finished = true;
        written.time += started.elapsed();
    }
    Ok(written)
}

/// Puts a whole day into the sink, from its first row on, and counts its rows; `None` if `stopped`
/// on the way.
fn put(
    sink: &mut dyn Sink,
    day: &FinishedDay,
    heap: &Heap,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Rows>, RunError> {
    let mut count = Rows::default();
    match day {
        FinishedDay::InMemory(rows, _) => {
            sink.begin_day(&rows.day)?;
            sink.write(rows)?;
            count.count(rows);
        }
        FinishedDay::Encoded { meta, day, rows, .. } => {
            sink.begin_day(meta)?;
            sink.write_encoded(day)?;
            count = *rows;
        }
        FinishedDay::OnDisk(runs, _) => {
            let mut runs = runs.merge()?;
            let _held = heap.hold(runs.heap_bytes());
            sink.begin_day(runs.day())?;
            while let Some(rows) = runs.next_batch()? {
                if stopped() {
                    return Ok(None);
                }
                sink.write(&rows)?;
                count.count(&rows);
            }
        }
    }
    sink.end_day()?;
    Ok(Some(count))
}

impl Written {
    fn add(&mut self, rows: Rows) {
        self.pod_rows += rows.pod;
        self.storage_rows += rows.storage;
        self.unallocated_rows += rows.unallocated;
    }
}
