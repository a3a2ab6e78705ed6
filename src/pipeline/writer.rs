//! The writer thread's work: finished days into the sink, in the order of the plan.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::error::RunError;
use super::finish::FinishedDay;
use crate::memory::heap::Heap;
use crate::memory::permits::LOOK_UP;
use crate::sink::Sink;
use crate::summary::row::{RowBatch, RowKind};

/// What went into the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub days: usize,
    pub pod_rows: u64,
    pub storage_rows: u64,
    pub unallocated_rows: u64,
    pub time: Duration,
    /// Whether the sink has all days and was told so.
    pub finished: bool,
}

/// Rows by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    pod: u64,
    storage: u64,
    unallocated: u64,
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

    fn advance(&self) {
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

/// Takes `units` days, whatever order they come in; ends early when `stopped`.
pub fn write(
    days: &Receiver<(usize, FinishedDay)>,
    mut sink: Box<dyn Sink>,
    units: usize,
    progress: &Progress,
    heap: &Heap,
    stopped: &dyn Fn() -> bool,
) -> Result<Written, RunError> {
    let mut written = Written::default();
    let mut early = BTreeMap::new();
    for (unit, day) in days {
        early.insert(unit, day);
        while let Some(day) = early.remove(&written.days) {
            if stopped() {
                return Ok(written);
            }
            let started = Instant::now();
            match day {
                FinishedDay::InMemory(rows, bytes) => {
                    sink.begin_day(&rows.day)?;
                    sink.write(&rows)?;
                    written.count(RowCounts::of(&rows));
                    drop(rows);
                    heap.change(bytes, 0);
                }
                FinishedDay::Encoded { meta, day, rows, bytes } => {
                    sink.begin_day(&meta)?;
                    sink.write_encoded(day)?;
                    written.count(rows);
                    heap.change(bytes, 0);
                }
                FinishedDay::OnDisk(mut runs) => {
                    sink.begin_day(runs.day())?;
                    while let Some(rows) = runs.next_batch()? {
                        if stopped() {
                            return Ok(written);
                        }
                        sink.write(&rows)?;
                        written.count(RowCounts::of(&rows));
                    }
                }
            }
            sink.end_day()?;
            written.days += 1;
            written.time += started.elapsed();
            progress.advance();
        }
    }
    if written.days == units && !stopped() {
        let started = Instant::now();
        sink.finish()?;
        written.finished = true;
        written.time += started.elapsed();
    }
    Ok(written)
}

impl RowCounts {
    pub fn of(rows: &RowBatch) -> Self {
        let mut counts = RowCounts::default();
        for row in &rows.rows {
            *match row.kind {
                RowKind::Pod => &mut counts.pod,
                RowKind::Storage => &mut counts.storage,
                RowKind::Unallocated => &mut counts.unallocated,
            } += 1;
        }
        counts
    }
}

impl Written {
    fn count(&mut self, rows: RowCounts) {
        self.pod_rows += rows.pod;
        self.storage_rows += rows.storage;
        self.unallocated_rows += rows.unallocated;
    }
}
