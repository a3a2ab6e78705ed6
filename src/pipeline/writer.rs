//! The writer thread's work: finished days into the sink, in the order of the plan.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::sink::{Sink, SinkError};
use crate::summary::row::{RowBatch, RowKind};

/// What went into the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub days: usize,
    pub pod_rows: u64,
    pub storage_rows: u64,
    pub unallocated_rows: u64,
    pub time: Duration,
}

/// Takes `units` days, whatever order they come in; ends early when `stopped`.
pub fn write(
    days: &Receiver<(usize, RowBatch)>,
    mut sink: Box<dyn Sink>,
    units: usize,
    stopped: &AtomicBool,
) -> Result<Written, SinkError> {
    let mut written = Written::default();
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (unit, rows) in days {
        early.insert(unit, rows);
        while let Some(rows) = early.remove(&next) {
            if stopped.load(Ordering::Relaxed) {
                return Ok(written);
            }
            let started = Instant::now();
            sink.begin_day(&rows.day)?;
            sink.write(&rows)?;
            sink.end_day()?;
            written.count(&rows);
            written.time += started.elapsed();
            next += 1;
        }
    }
    if next == units && !stopped.load(Ordering::Relaxed) {
        let started = Instant::now();
        sink.finish()?;
        written.time += started.elapsed();
    }
    Ok(written)
}

impl Written {
    fn count(&mut self, rows: &RowBatch) {
        self.days += 1;
        for row in &rows.rows {
            *match row.kind {
                RowKind::Pod => &mut self.pod_rows,
                RowKind::Storage => &mut self.storage_rows,
                RowKind::Unallocated => &mut self.unallocated_rows,
            } += 1;
        }
    }
}
