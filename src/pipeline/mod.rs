//! Wires read → aggregate → reduce → finish → write.
//!
//! One reader thread fetches chunks and queues them for a rayon pool; each task adds its chunk to a
//! partial state per day; whoever completes a day merges its states and finishes it; one writer
//! thread a sink takes the days in order.

pub mod error;
mod finish;
mod queue;
mod states;
mod writer;

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

pub use error::RunError;
use finish::{FinishedDay, Finisher};
use queue::ReadyQueue;
use states::{ChunkStates, StateKind, UnitStates};
pub use writer::Written;
use writer::{Progress, Writing};

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
    let shared = Shared {
        job,
        states: UnitStates::new(units, &job.plan.groups, kind, job.spiller, &heap),
        finisher: Finisher {
            tenant: job.tenant,
            spiller: job.spiller,
            heap: &heap,
            threads: job.shares.threads as u64,
            kind,
        },
        days: (0..=job.plan.units.iter().map(|u| u.source).max().unwrap_or(0))
            .map(|source| UnitDays::new(&job.plan.units, source))
            .collect(),
        queue: ReadyQueue::default(),
        progress: Progress::default(),
        writers: sinks.len(),
        outcome: Mutex::new(Outcome::default()),
        failure: Mutex::new(None),
        stopped: AtomicBool::new(false),
    };
    let (day_sender, days) = crossbeam_channel::unbounded();
    std::thread::scope(|threads| {
        let shared = &shared;
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
        let writing = Writing {
            units,
            progress: &shared.progress,
            heap: &heap,
            stopped: &|| shared.is_stopped(),
            fail: &|error| shared.fail(error),
        };
        match writer::write(&days, sinks, &writing) {
            Ok(written) => shared.outcome(|outcome| outcome.written = written),
            Err(error) => shared.fail(error),
        }
    });
    let failure = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = shared.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cancelled = job.cancelled.load(Ordering::Relaxed);
    match failure {
        Some(error) if cancelled && error.may_be_interruption() => Err(RunError::Interrupted),
        Some(error) => Err(error),
        None if cancelled && !outcome.written.finished => Err(RunError::Interrupted),
        None => {
            outcome.spilled = job.spiller.written();
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
    stopped: AtomicBool,
}

impl Shared<'_> {
    /// Whether nothing more is to be done: after a failure, or when the run was cancelled.
    fn is_stopped(&self) -> bool {
        if self.job.cancelled.load(Ordering::Relaxed) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Keeps the first failure.
    fn fail(&self, error: RunError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn outcome(&self, change: impl FnOnce(&mut Outcome)) {
        change(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The reader thread: fetches chunks in order and gives them to `queue`, with how many may
    /// wait there.
    fn read(&self, lanes: usize, queue: impl FnMut(FetchedChunk, usize)) {
        let mut controller = Controller::new(self.job.chunk_rows, lanes + 1);
        let read = self.read_chunks(lanes, &mut controller, queue);
        match read {
            Ok(chunks) => self.outcome(|outcome| {
                outcome.chunks = chunks;
                outcome.changes = controller.changes();
            }),
            Err(error) => self.fail(error.into()),
        }
    }

    /// How many chunks it read.
    fn read_chunks(
        &self,
        lanes: usize,
        controller: &mut Controller,
        mut queue: impl FnMut(FetchedChunk, usize),
    ) -> Result<u64, PlanError> {
        let job = self.job;
        let stopped = || self.is_stopped();
        let mut schedule = Schedule::new(&job.plan.groups, lanes);
        let in_flight = job.shares.in_flight;
        let permits = Permits::new(in_flight);
        let all_columns = job.reading.all_columns;
        let mut ahead =
            ReadAhead::new(job.plan, job.store, all_columns, permits.clone(), in_flight);
        let mut chunks = 0;
        while !stopped() {
            let rows = if job.adaptive { controller.rows() } else { job.chunk_rows };
            let waiting = controller.waiting();
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
                    self.look_at_memory(controller, &permits);
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
        let waiting = controller.waiting();
        ahead.give_all(&stopped, &mut |chunk| queue(chunk, waiting))?;
        job.telemetry.set_time(Figure::ReadTime, ahead.waited());
        Ok(chunks)
    }

    /// Answers pressure on memory, from this process or others in its cgroup.
    fn look_at_memory(&self, controller: &mut Controller, permits: &Permits) {
        let in_use = self.job.watch.sample();
        let limit = self.job.budget.limit.bytes.saturating_sub(in_use.others);
        if controller.observe(in_use.own, limit) {
            permits.resize(self.job.shares.in_flight.min(limit / 10));
            self.states.spill_early.store(controller.is_spilling(), Ordering::Relaxed);
            tracing::debug!(
                used = in_use.own,
                others = in_use.others,
                limit,
                rows = controller.rows(),
                waiting = controller.waiting(),
                spilling = controller.is_spilling(),
                "chunks follow the memory there is"
            );
        }
    }

    /// Adds a chunk to the states of its days, and finishes those that it completes.
    fn aggregate(&self, days: &Sender<(usize, FinishedDay)>) {
        let Some(chunk) = self.queue.pop() else {
            return;
        };
        let started = Instant::now();
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
                Err(error) => self.fail(error),
            }
        }
        let (units, rows) = (chunk.units, chunk.rows);
        drop(chunk);
        self.queue.done(units.0);
        for unit in self.states.rows_done(units, rows) {
            if self.job.streaming {
                self.finish_unit(unit, days);
            }
        }
    }

    fn add(&self, chunk: &FetchedChunk) -> Result<Counts, RunError> {
        let mut counts = Counts::default();
        let mut buffers = Buffers::default();
        let mut states = ChunkStates::new(&self.states);
        for (source, segment) in &chunk.segments {
            let mut days = states.of_source(&self.days[*source]);
            let (tenant, reading) = (self.job.tenant, self.job.reading);
            match row_group::add_rows(segment, tenant, reading, &mut days, &mut buffers) {
                Ok(more) => counts.add(more),
                Err(AddError::Input(error)) => return Err(error.into()),
                Err(AddError::State(error)) => return Err(error.into()),
            }
        }
        states.give_back()?;
        Ok(counts)
    }

    /// Turns the states of a day into rows and hands them to the writer.
    fn finish_unit(&self, unit: usize, days: &Sender<(usize, FinishedDay)>) {
        if self.is_stopped() {
            return;
        }
        let started = Instant::now();
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
            Err(error) => self.fail(error.into()),
        }
    }
}
