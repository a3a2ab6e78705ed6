//! The writers' work: finished days into the sinks, in the order of the plan.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::Shared;
use super::error::RunError;
use super::finish::{DayRows, FinishedDay};
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
    /// Summed over the sinks.
    pub time: Duration,
    /// What the sinks have to say.
    pub remarks: Vec<String>,
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

/// Takes `units` days, whatever order they come in, and gives them to the sinks in order: each day
/// to the first sink that is free. Ends early when the run is stopped.
pub fn write(
    days: &Receiver<(usize, FinishedDay)>,
    mut sinks: Vec<Box<dyn Sink>>,
    units: usize,
    shared: &Shared<'_>,
    heap: &Heap,
) -> Result<Written, RunError> {
    // Without room: a day that no sink is free for waits where it can be seen to wait.
    let (give, take) = crossbeam_channel::bounded(0);
    let mut written = Written::default();
    let parts: Vec<_> = std::thread::scope(|threads| {
        let writers: Vec<_> = sinks
            .iter_mut()
            .map(|sink| {
                let take = take.clone();
                threads.spawn(move || {
                    let mut written = Written::default();
                    let all = write_days(&take, sink.as_mut(), shared, heap, &mut written);
                    // At once, so that nothing more is read for nothing.
                    if let Err(error) = all {
                        shared.fail(error);
                    }
                    written
                })
            })
            .collect();
        drop(take);
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (unit, day) in days {
            early.insert(unit, day);
            while let Some(day) = early.remove(&next) {
                // Nobody takes it after a failure or when the run was stopped.
                let _ = give.send(day);
                next += 1;
            }
        }
        drop(give);
        writers.into_iter().map(|writer| writer.join()).collect()
    });
    for part in parts {
        match part {
            Ok(part) => written.add(part),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    // With all days in it, the output is complete: a signal that comes now changes nothing.
    if written.days == units {
        let started = Instant::now();
        written.remarks = sinks.iter().flat_map(|sink| sink.remarks()).collect();
        for sink in sinks {
            sink.finish()?;
        }
        written.finished = true;
        written.time += started.elapsed();
    }
    Ok(written)
}

/// One writer's work: day after day into its sink.
fn write_days(
    days: &Receiver<FinishedDay>,
    sink: &mut dyn Sink,
    shared: &Shared<'_>,
    heap: &Heap,
    written: &mut Written,
) -> Result<(), RunError> {
    let stopped = || shared.is_stopped();
    for day in days {
        if stopped() {
            return Ok(());
        }
        let started = Instant::now();
        let _working = shared.activity.working();
        let rows = loop {
            match put(sink, &day, heap, &stopped) {
                Ok(Some(rows)) => break rows,
                Ok(None) => return Ok(()),
                Err(RunError::Sink(failed)) => {
                    *written.redone.entry(sink.recover(failed)?).or_default() += 1;
                }
                Err(error) => return Err(error),
            }
        };
        let bytes = day.bytes();
        drop(day);
        heap.change(bytes, 0);
        written.count(rows);
        written.days += 1;
        written.time += started.elapsed();
        shared.progress.advance();
    }
    Ok(())
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
        FinishedDay::Rows(DayRows::InMemory(rows, _)) => {
            sink.begin_day(&rows.day)?;
            sink.write(rows)?;
            count.count(rows);
        }
        FinishedDay::Encoded { meta, day, rows, .. } => {
            sink.begin_day(meta)?;
            sink.write_encoded(day)?;
            count = *rows;
        }
        FinishedDay::Rows(DayRows::OnDisk(runs, _)) => {
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
    fn add(&mut self, other: Written) {
        self.days += other.days;
        self.pod_rows += other.pod_rows;
        self.storage_rows += other.storage_rows;
        self.unallocated_rows += other.unallocated_rows;
        self.time += other.time;
        for (why, times) in other.redone {
            *self.redone.entry(why).or_default() += times;
        }
    }

    fn count(&mut self, rows: Rows) {
        self.pod_rows += rows.pod;
        self.storage_rows += rows.storage;
        self.unallocated_rows += rows.unallocated;
    }
}
