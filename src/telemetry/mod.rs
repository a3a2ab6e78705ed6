//! What a run is doing, in numbers that any thread may add to and any may read.
//!
//! Reader, tasks and writer add to the figures of one [`Telemetry`]; progress, metrics and the run
//! report read them as a [`Snapshot`]. It holds no text that grows with the input but, where a
//! report is asked for, the sums by day and namespace, which are bounded.

mod planned;
pub mod totals;
mod warnings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::decode::row_group::Counts;
use crate::store::Store;
use crate::summary::finish::Oddities;

pub use planned::Planned;
use totals::Totals;
pub use warnings::{CaptureWarnings, Warning, Warnings};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One number of a run. Times are in nanoseconds, sizes in bytes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Figure {
            $($(#[$doc])* $name,)*
        }

        impl Figure {
            pub const COUNT: usize = [$(Figure::$name),*].len();
        }
    };
}

figures! {
    /// Compressed bytes of the row groups that were read to their end.
    BytesRead,
    /// Line items that were decoded.
    RowsRead,
    /// Of those, rows of days that were not asked for.
    RowsOfOtherDays,
    RowsWithoutTime,
    RowsWithoutNode,
    /// Rows that count more than once because labels changed within a day.
    RowsMultipliedByLabels,
    /// Rows that count more than once because several cost categories match.
    RowsMultipliedByCategories,
    /// Rows that count more than once because their claim has several volumes.
    RowsMultipliedByVolumes,
    /// Pod rows of nodes that show no capacity on their day.
    RowsWithoutCapacity,
    Chunks,
    /// Rows of the next chunk.
    ChunkRows,
    DaysFinished,
    /// Days that the sink has taken; in bulk they wait for the others of their month.
    DaysTaken,
    /// Days that are in their places.
    DaysWritten,
    PodRowsWritten,
    StorageRowsWritten,
    UnallocatedRowsWritten,
    /// Days that were written again after a deadlock.
    RedoneForDeadlock,
    /// The same after a serialization failure.
    RedoneForSerialization,
    /// The same after a lost connection.
    RedoneForConnection,
    /// Steps before the first day that were done again, since the database failed in passing.
    RedonePreparations,
    /// Compressed bytes that went to disk for lack of memory.
    SpilledBytes,
    /// Of this process, files not counted.
    MemoryUsed,
    /// Of other processes of the cgroup.
    MemoryOfOthers,
    MemoryLimit,
    /// The limit less headroom.
    MemoryBudget,
    LookupTime,
    PlanTime,
    /// The reader's, waiting for bytes.
    ReadTime,
    /// Of all tasks together.
    AggregateTime,
    /// Of all tasks together.
    FinishTime,
    /// The writer's, in calls of the sink: the next three, and pauses before a day is done again.
    WriteTime,
    /// Waiting for the lock of the day, deleting old rows.
    BeginTime,
    CopyTime,
    CommitTime,
}

/// The figures of one run.
#[derive(Debug)]
pub struct Telemetry {
    started: Instant,
    figures: [AtomicU64; Figure::COUNT],
    planned: Mutex<Option<Planned>>,
    totals: Option<Mutex<Totals>>,
    store: OnceLock<Store>,
    pub warnings: Warnings,
}

/// The figures at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Since the start of the run.
    pub time: Duration,
    figures: [u64; Figure::COUNT],
    /// Once the plan is made.
    pub planned: Option<Volume>,
    /// Requests that were tried again, by kind; empty without an object store.
    pub retries: Vec<(&'static str, u64)>,
    /// Of an object store: requests, and bytes of their answers.
    pub network: Option<(u64, u64)>,
    pub warnings: u64,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Compressed bytes of the columns that are needed.
    pub bytes: u64,
    pub rows: u64,
    pub days: u64,
    /// Days left as they are, since nothing they are made of has changed.
    pub unchanged: u64,
    /// When that was known, since the start of the run.
    pub at: Duration,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new(false)
    }
}

impl Telemetry {
    /// `detailed`: keep sums by day and namespace too, for a report.
    pub fn new(detailed: bool) -> Self {
        Telemetry {
            started: Instant::now(),
            figures: std::array::from_fn(|_| AtomicU64::new(0)),
            planned: Mutex::new(None),
            totals: detailed.then(Mutex::default),
            store: OnceLock::new(),
            warnings: Warnings::default(),
        }
    }

    pub fn add(&self, figure: Figure, count: u64) {
        self.figures[figure as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub fn set(&self, figure: Figure, value: u64) {
        self.figures[figure as usize].store(value, Ordering::Relaxed);
    }

    pub fn add_time(&self, figure: Figure, time: Duration) {
        self.add(figure, time.as_nanos() as u64);
    }

    pub fn set_time(&self, figure: Figure, time: Duration) {
        self.set(figure, time.as_nanos() as u64);
    }

    /// Does `work` and adds the time that it takes.
    pub fn timed<T>(&self, figure: Figure, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.add_time(figure, started.elapsed());
        done
    }

    /// Counts line items that were decoded.
    pub fn add_counts(&self, counts: &Counts) {
        self.add(Figure::RowsRead, counts.rows);
        self.add(Figure::RowsOfOtherDays, counts.rows_outside);
        self.add(Figure::RowsWithoutTime, counts.rows_without_time);
    }

    /// Counts a day that is ready to be written, with its rows that count otherwise than one might
    /// think.
    pub fn add_finished_day(&self, oddities: Oddities, rows_without_node: u64) {
        self.add(Figure::DaysFinished, 1);
        self.add(Figure::RowsWithoutNode, rows_without_node);
        self.add(Figure::RowsMultipliedByLabels, oddities.label_rows);
        self.add(Figure::RowsMultipliedByCategories, oddities.category_rows);
        self.add(Figure::RowsMultipliedByVolumes, oddities.volume_rows);
        self.add(Figure::RowsWithoutCapacity, oddities.rows_without_capacity);
    }

    /// Counts from here on what goes over the network to `store`.
    pub fn watch_store(&self, store: &Store) {
        // Set already where a run starts over, with the same store.
        let _ = self.store.set(store.clone());
    }

    /// Forgets what an attempt has counted: the run starts over.
    pub fn start_over(&self) {
        let kept = [Figure::LookupTime, Figure::PlanTime].map(|figure| figure as usize);
        for (at, figure) in self.figures.iter().enumerate() {
            if !kept.contains(&at) {
                figure.store(0, Ordering::Relaxed);
            }
        }
        *lock(&self.planned) = None;
        if let Some(totals) = &self.totals {
            *lock(totals) = Totals::default();
        }
    }

    /// Takes in what is to be done.
    pub fn set_planned(&self, planned: impl FnOnce(Duration) -> Planned) {
        *lock(&self.planned) = Some(planned(self.started.elapsed()));
    }

    /// What is to be done; `None` before that is known.
    pub fn planned(&self) -> Option<Planned> {
        lock(&self.planned).clone()
    }

    /// The sums so far; `None` without detail.
    pub fn totals(&self) -> Option<MutexGuard<'_, Totals>> {
        self.totals.as_ref().map(lock)
    }

    pub fn snapshot(&self) -> Snapshot {
        let traffic = self.store.get().and_then(Store::traffic);
        Snapshot {
            time: self.started.elapsed(),
            figures: std::array::from_fn(|at| self.figures[at].load(Ordering::Relaxed)),
            planned: lock(&self.planned).as_ref().map(|planned| planned.volume),
            retries: traffic.map(|traffic| traffic.retries().collect()).unwrap_or_default(),
            network: traffic.map(|traffic| (traffic.requests(), traffic.bytes())),
            warnings: self.warnings.count(),
        }
    }
}

impl Snapshot {
    pub fn get(&self, figure: Figure) -> u64 {
        self.figures[figure as usize]
    }

    pub fn seconds(&self, figure: Figure) -> f64 {
        Duration::from_nanos(self.get(figure)).as_secs_f64()
    }

    pub fn rows_written(&self) -> u64 {
        use Figure::{PodRowsWritten, StorageRowsWritten, UnallocatedRowsWritten};
        let kinds = [PodRowsWritten, StorageRowsWritten, UnallocatedRowsWritten];
        kinds.map(|kind| self.get(kind)).iter().sum()
    }

    /// Line items a second since the plan was made.
    pub fn rows_per_second(&self) -> Option<f64> {
        let seconds = self.time.saturating_sub(self.planned?.at).as_secs_f64();
        (seconds > 0.0).then(|| self.get(Figure::RowsRead) as f64 / seconds)
    }

    /// How long it will take if it goes on like this: by the rows that are to be read or the days
    /// that are to be written, whichever takes longer.
    pub fn time_left(&self) -> Option<Duration> {
        let planned = self.planned?;
        let passed = self.time.saturating_sub(planned.at).as_secs_f64();
        let left = |done: u64, all: u64| {
            (done > 0).then(|| passed * all.saturating_sub(done) as f64 / done as f64)
        };
        let rows = left(self.get(Figure::RowsRead), planned.rows);
        let days = left(self.get(Figure::DaysTaken), planned.days);
        let seconds = rows.into_iter().chain(days).reduce(f64::max)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seconds: u64, rows: u64, days: u64) -> Snapshot {
        let telemetry = Telemetry::default();
        telemetry.set(Figure::RowsRead, rows);
        telemetry.set(Figure::DaysTaken, days);
        let at = Duration::from_secs(10);
        let volume = Volume { bytes: 0, rows: 1000, days: 10, unchanged: 0, at };
        Snapshot {
            time: Duration::from_secs(seconds),
            planned: Some(volume),
            ..telemetry.snapshot()
        }
    }

    #[test]
    fn the_slower_of_reading_and_writing_says_how_long_it_takes() {
        // Planning took ten seconds, which say nothing about the rest.
        assert_eq!(snapshot(15, 500, 0).time_left(), Some(Duration::from_secs(5)));
        assert_eq!(snapshot(15, 1000, 1).time_left(), Some(Duration::from_secs(45)));
        assert_eq!(snapshot(15, 500, 5).rows_per_second(), Some(100.0));
        assert_eq!(snapshot(10, 0, 0).time_left(), None);
    }

    #[test]
    fn starting_over_keeps_nothing_of_the_rows() {
        let telemetry = Telemetry::new(true);
        telemetry.add(Figure::RowsRead, 5);
        telemetry.timed(Figure::PlanTime, || std::thread::sleep(Duration::from_millis(1)));
        telemetry.start_over();
        let now = telemetry.snapshot();
        assert_eq!(now.get(Figure::RowsRead), 0);
        assert!(now.get(Figure::PlanTime) > 0 && now.planned.is_none());
    }
}
