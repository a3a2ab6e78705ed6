//! What a process can say of itself.

use serde::{Deserialize, Serialize};

use crate::memory::usage;
use crate::telemetry::{Figure, Snapshot};

/// What one run used and did. Times in seconds; those of stages summed over the threads that did
/// the work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// User and system, of this process and its children.
    pub cpu: f64,
    /// The most memory that was resident at once, in bytes; pages of the program file included.
    pub peak: u64,
    pub rows_read: u64,
    pub rows_written: u64,
    pub chunks: u64,
    /// Bytes that went to disk for lack of memory.
    pub spilled: u64,
    /// Lookups, listings and the ends of files.
    pub plan: f64,
    /// Wait for bytes.
    pub read: f64,
    /// Decode and add to the states of days.
    pub aggregate: f64,
    /// Merge states and turn them into rows.
    pub finish: f64,
    /// Put rows into the sink.
    pub write: f64,
}

impl Measured {
    /// What this process used up to now.
    pub fn so_far() -> Self {
        Measured {
            cpu: usage::cpu_time().unwrap_or_default().as_secs_f64(),
            peak: usage::peak_resident().unwrap_or_default(),
            ..Measured::default()
        }
    }

    /// The same, with the figures of a run that is over.
    pub fn of(figures: &Snapshot) -> Self {
        let seconds = |figure| figures.seconds(figure);
        Measured {
            rows_read: figures.get(Figure::RowsRead),
            rows_written: figures.rows_written(),
            chunks: figures.get(Figure::Chunks),
            spilled: figures.get(Figure::SpilledBytes),
            plan: seconds(Figure::LookupTime) + seconds(Figure::PlanTime),
            read: seconds(Figure::ReadTime),
            aggregate: seconds(Figure::AggregateTime),
            finish: seconds(Figure::FinishTime),
            write: seconds(Figure::WriteTime),
            ..Measured::so_far()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn this_process_has_used_some() {
        let mut sum = 0u64;
        while usage::cpu_time().unwrap() < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let measured = Measured::so_far();
        assert!(measured.cpu >= 0.02, "{measured:?}");
        assert!(measured.peak > 1024 * 1024, "{measured:?}");
    }
}
