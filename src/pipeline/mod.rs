//! Wires read → aggregate → reduce → finish → write.
//!
//! One reader thread fetches chunks and queues them for a rayon pool; each task adds its chunk to a
//! partial state per day; whoever completes a day merges its states and finishes it; one writer
//! thread a sink takes the days in order.

mod activity;
mod day_error;
pub mod error;
mod finish;
mod pressure;
mod queue;
mod spilled;
mod states;
mod stop;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::decode::row_group::{self, AddError, Buffers, Counts, Reading};
use crate::memory::controller::{Changes, Controller};
use crate::memory::heap::Heap;
use crate::memory::permits::Permits;
use crate::memory::shares::{Budget, Shares};
use crate::memory::watch::Watch;
use crate::plan::chunks::{Next, Schedule};
use crate::plan::units::UnitDays;
use crate::plan::{Plan, PlanError};
use crate::read::ahead::ReadAhead;
use crate::read::reader::FetchedChunk;
use crate::sink::Sink;
use crate::spill::spiller::Spiller;
use crate::store::Store;
use crate::summary::finish::{FanOutCounts, Tenant};
use crate::telemetry::{Figure, Telemetry};

use activity::Activity;
use day_error::DayError;
pub use error::RunError;
use finish::{FinishedDay, Finisher};
use pressure::Pressure;
use queue::ReadyQueue;
use states::{ChunkStates, StateKind, UnitStates};
use stop::Stop;
use writer::Progress;
pub use writer::Written;

/// What a run works with, all settled.
pub struct Job<'a> {
    pub plan: &'a Plan,
    pub store: &'a Store,
    pub tenant: &'a Tenant,
    pub reading: Reading,
    /// Finish a day as soon as it is complete; else all at the end.
    pub streaming: bool,
    /// Rows of a chunk while memory is no concern.
    pub chunk_rows: usize,
    /// Whether chunks may shrink when it is.
    pub adaptive: bool,
    pub budget: &'a Budget,
    pub shares: Shares,
    pub watch: &'a Watch,
    pub spiller: &'a Spiller,
    /// What the run is doing, for whoever looks.
    pub telemetry: &'a Telemetry,
    /// Of as many threads as the shares say.
    pub pool: &'a rayon::ThreadPool,
    /// Set from outside to end the run early.
    pub cancelled: &'a AtomicBool,
    /// Drawn at the start of the run, for hashes of texts.
    pub seed: u64,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub counts: Counts,
    pub rows_without_node: u64,
    pub fan_out: FanOutCounts,
    /// Pod and storage groups before labels of nodes and namespaces were laid under them.
    pub groups: u64,
    pub written: Written,
    pub chunks: u64,
    pub changes: Changes,
    /// Compressed bytes and groups that went to disk for lack of memory.
    pub spilled: (u64, u64),
    /// How long at most one thread worked, and how long all of it took.
    pub serial_time: (Duration, Duration),
    /// Summed over the threads.
    pub aggregate_time: Duration,
    pub finish_time: Duration,
}

/// Runs a job into a sink. On an error or a cancelled run the sink is dropped without `finish`.
pub fn run(job: &Job<'_>, sink: Box<dyn Sink>) -> Result<Outcome, RunError> {
    let kind = StateKind { categorical: job.reading.categorical, seed: job.seed };
    let units = job.plan.units.len();
    let lanes = job.shares.threads;
    let mut sinks = sink.beside();
    sinks.insert(0, sink);
    let heap = Heap::new(job.shares.heap);
    let stop = Stop::new(job.cancelled);
    let activity = Activity::start();
    let permits = Permits::new(job.shares.in_flight);
    let controller = Controller::new(job.chunk_rows, lanes + 1);
    let pressure = Pressure::new(job.watch, job.budget, job.shares, controller);
    let shared = Shared {
        job,
        states: UnitStates::new(units, &job.plan.groups, kind, job.spiller, &heap, job.shares),
        finisher: Finisher {
            tenant: job.tenant,
            spiller: job.spiller,
            heap: &heap,
            shares: job.shares,
            kind,
            stop: &stop,
        },
        days: (0..=job.plan.units.iter().map(|u| u.source).max().unwrap_or(0))
            .map(|source| UnitDays::new(&job.plan.units, source))
            .collect(),
        queue: ReadyQueue::default(),
        progress: Progress::default(),
        writers: sinks.len(),
        outcome: Mutex::new(Outcome::default()),
        failure: Mutex::new(None),
        stop: &stop,
        activity: &activity,
        pressure: &pressure,
        permits,
    };
    let (day_sender, days) = crossbeam_channel::unbounded();
    std::thread::scope(|threads| {
        let shared = &shared;
        threads.spawn(|| {
            let spill_early = |early| shared.states.spill_early.store(early, Ordering::Relaxed);
            pressure.follow(&heap, &shared.permits, &spill_early);
        });
        threads.spawn(move || {
            job.pool.in_place_scope(|tasks| {
                // Days without any rows have nothing to wait for.
                if job.streaming {
                    for unit in shared.states.without_rows() {
                        let days = day_sender.clone();
                        tasks.spawn(move |_| shared.finish_unit(unit, &days));
                    }
                }
                shared.read(lanes, |chunk, most_waiting| {
                    if shared.queue.push(chunk, most_waiting, &|| shared.is_stopped()) {
                        let days = day_sender.clone();
                        tasks.spawn(move |_| shared.aggregate(&days));
                    }
                });
            });
            if !job.streaming {
                for unit in 0..units {
                    job.pool.install(|| shared.finish_unit(unit, &day_sender));
                }
            }
        });
        let _watched = pressure.ended_on_drop();
        match writer::write(&days, sinks, units, shared, &heap) {
            Ok(written) => shared.outcome(|outcome| outcome.written = written),
            Err(error) => shared.fail(error),
        }
    });
    let failure = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(error) if stop.is_cancelled() && error.may_be_interruption() => {
            Err(RunError::Interrupted)
        }
        Some(error) => Err(error),
        None if !outcome.written.finished && stop.is_cancelled() => Err(RunError::Interrupted),
        None if !outcome.written.finished => {
            Err(RunError::Incomplete { written: outcome.written.days, planned: units })
        }
        None => {
            outcome.changes = pressure.changes();
            outcome.spilled = job.spiller.written();
            outcome.serial_time = activity.serial();
            Ok(outcome)
        }
    }
}

/// What the threads of a run share.
struct Shared<'a> {
    job: &'a Job<'a>,
    states: UnitStates<'a>,
    finisher: Finisher<'a>,
    /// By source.
    days: Vec<UnitDays>,
    queue: ReadyQueue,
    progress: Progress,
    /// Days that are written at once.
    writers: usize,
    outcome: Mutex<Outcome>,
    failure: Mutex<Option<RunError>>,
    stop: &'a Stop<'a>,
    activity: &'a Activity,
    pressure: &'a Pressure<'a>,
    permits: Arc<Permits>,
}

impl Shared<'_> {
    /// Whether nothing more is to be done: after a failure, or when the run was cancelled.
    fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// Keeps the first failure.
    fn fail(&self, error: RunError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.fail();
    }

    fn outcome(&self, change: impl FnOnce(&mut Outcome)) {
        change(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The reader thread: fetches chunks in order and gives them to `queue`, with how many may
    /// wait there.
    fn read(&self, lanes: usize, queue: impl FnMut(FetchedChunk, usize)) {
        match self.read_chunks(lanes, queue) {
            Ok(chunks) => self.outcome(|outcome| outcome.chunks = chunks),
            Err(error) => self.fail(error.into()),
        }
    }

    /// How many chunks it read.
    fn read_chunks(
        &self,
        lanes: usize,
        mut queue: impl FnMut(FetchedChunk, usize),
    ) -> Result<u64, PlanError> {
        let job = self.job;
        let stopped = || self.is_stopped();
        let mut schedule = Schedule::new(&job.plan.groups, lanes);
        let (all_columns, permits) = (job.reading.all_columns, self.permits.clone());
        let mut ahead =
            ReadAhead::new(job.plan, job.store, all_columns, permits, job.shares.in_flight);
        let mut chunks = 0;
        while !stopped() {
            let (rows, waiting) = self.pressure.chunks();
            let rows = if job.adaptive { rows } else { job.chunk_rows };
            let mut give = |chunk| queue(chunk, waiting);
            let written = self.progress.days();
            // Beyond the days that are read, those that are being finished or written.
            let open_until =
                if job.streaming { written + lanes + self.writers } else { usize::MAX };
            match schedule.next(rows, open_until) {
                Next::Chunk(chunk) => {
                    let bytes = chunk.completed_bytes(&job.plan.groups);
                    if !ahead.fetch(chunk, &stopped, &mut give)? {
                        break;
                    }
                    chunks += 1;
                    job.telemetry.add(Figure::Chunks, 1);
                    job.telemetry.add(Figure::BytesRead, bytes);
                    job.telemetry.set(Figure::ChunkRows, rows as u64);
                    job.telemetry.set_time(Figure::ReadTime, ahead.waited());
                }
                // What is under way may be what the days wait for.
                Next::Blocked => {
                    if !ahead.give_next(&mut give)? {
                        self.progress.wait_beyond(written, &stopped);
                    }
                }
                Next::Done => break,
            }
        }
        ahead.give_all(&stopped, &mut |chunk| queue(chunk, self.pressure.chunks().1))?;
        job.telemetry.set_time(Figure::ReadTime, ahead.waited());
        Ok(chunks)
    }

    /// Adds a chunk to the states of its days, and finishes those that it completes.
    fn aggregate(&self, days: &Sender<(usize, FinishedDay)>) {
        let Some(chunk) = self.queue.pop() else {
            return;
        };
        let started = Instant::now();
        let working = self.activity.working();
        if !self.is_stopped() {
            match self.add(&chunk) {
                Ok(counts) => {
                    self.job.telemetry.add_time(Figure::AggregateTime, started.elapsed());
                    self.job.telemetry.add_counts(&counts);
                    self.outcome(|outcome| {
                        outcome.counts.add(counts);
                        outcome.aggregate_time += started.elapsed();
                    });
                }
                Err(AddError::Input(error)) => self.fail(error.into()),
                Err(AddError::State((unit, error))) => self.fail_day(unit, error),
            }
        }
        let (units, rows) = (chunk.units, chunk.rows);
        drop(chunk);
        drop(working);
        self.queue.done(units.0);
        for unit in self.states.rows_done(units, rows) {
            if self.job.streaming {
                self.finish_unit(unit, days);
            }
        }
    }

    fn add(&self, chunk: &FetchedChunk) -> Result<Counts, AddError<(usize, DayError)>> {
        let mut counts = Counts::default();
        let mut buffers = Buffers::default();
        let mut states = ChunkStates::new(&self.states);
        for (source, segment) in &chunk.segments {
            let mut days = states.of_source(&self.days[*source]);
            let (tenant, reading) = (self.job.tenant, self.job.reading);
            counts.add(row_group::add_rows(segment, tenant, reading, &mut days, &mut buffers)?);
        }
        states.give_back().map_err(AddError::State)?;
        Ok(counts)
    }

    /// Turns the states of a day into rows and hands them to the writer.
    fn finish_unit(&self, unit: usize, days: &Sender<(usize, FinishedDay)>) {
        if self.is_stopped() {
            return;
        }
        let started = Instant::now();
        let _working = self.activity.working();
        let state = self.states.take(unit);
        match self.finisher.finish(state, &self.job.plan.units[unit].meta) {
            Ok((day, counts)) => {
                let telemetry = self.job.telemetry;
                telemetry.add_time(Figure::FinishTime, started.elapsed());
                telemetry.add_finished_day(counts.fan_out, counts.rows_without_node);
                telemetry.set(Figure::SpilledBytes, self.job.spiller.written().0);
                self.outcome(|outcome| {
                    outcome.rows_without_node += counts.rows_without_node;
                    outcome.groups += counts.groups;
                    outcome.fan_out.add(counts.fan_out);
                    outcome.finish_time += started.elapsed();
                });
                // The writer is gone only after a failure, which it has reported.
                let _ = days.send((unit, day));
            }
            Err(error) => self.fail_day(unit, error),
        }
    }

    fn fail_day(&self, unit: usize, error: DayError) {
        let meta = &self.job.plan.units[unit].meta;
        self.fail(match error {
            DayError::Stopped => return,
            DayError::Spill(error) => error.into(),
            DayError::TooLarge { held, least } => {
                let (date, source_uuid) = (meta.date, meta.source_uuid);
                RunError::TooLarge { date, source_uuid, held, least }
            }
        });
    }
}
