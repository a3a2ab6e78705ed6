//! What a process can say of itself.

use std::fs;
use std::time::Duration;

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
            cpu: cpu_time().unwrap_or_default().as_secs_f64(),
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

/// CPU time of this process and of the children it has waited for, to a hundredth of a second;
/// `None` where the kernel does not say.
pub fn cpu_time() -> Option<Duration> {
    parse_cpu(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The kernel counts in hundredths of a second whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

fn parse_cpu(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold blanks and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime, stime, cutime and cstime, the 14th to 17th of all fields; the third follows the name.
    let ticks: Option<Vec<u32>> =
        after_name.split_whitespace().skip(11).take(4).map(|field| field.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 4)?;
    Some(TICK * ticks.iter().fold(0, |sum: u32, &next| sum.saturating_add(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194560 1 2 3 4 250 50 20 5 20 0 3 0 99 8 9";
        assert_eq!(parse_cpu(stat), Some(Duration::from_millis(3250)));
        assert_eq!(parse_cpu("7 (name) R 1 7 7"), None);
        assert_eq!(parse_cpu(""), None);
    }

    #[test]
    fn this_process_has_used_some() {
        let mut sum = 0u64;
        while cpu_time().unwrap() < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let measured = Measured::so_far();
        assert!(measured.cpu >= 0.02, "{measured:?}");
        assert!(measured.peak > 1024 * 1024, "{measured:?}");
    }
}
