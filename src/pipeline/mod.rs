//! Wires read → aggregate → reduce → finish → write.
//!
//! [`run`] does all of it; [`run_unit`] reads, aggregates and finishes days, for a coordinator that has
//! `collect` do the rest.
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
mod unit;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::decode::row_group::{self, AddError, Buffers, Counts, Reading};
use crate::memory::controller::Changes;
use crate::memory::heap::Heap;
use crate::memory::permits::Permits;
use crate::memory::shares::{Budget, Shares};
use crate::memory::watch::Watch;
use crate::plan::chunks::{Next, Schedule};
use crate::plan::units::UnitDays;
use crate::plan::{Plan, PlanError};
use crate::process::WorkerFigures;
use crate::read::ahead::ReadAhead;
use crate::read::reader::FetchedChunk;
use crate::sink::{Encode, Sink};
use crate::spill::spiller::Spiller;
use crate::store::Store;
use crate::summary::finish::{Oddities, Tenant};
use crate::telemetry::{Figure, Telemetry};

use activity::Activity;
use day_error::DayError;
pub use error::RunError;
pub use finish::{DayCounts, DayRows};
use finish::{FinishedDay, Finisher};
use pressure::Pressure;
use queue::ReadyQueue;
pub use states::UnitState;
use states::UnitStates;
pub(crate) use states::{ChunkStates, StateKind};
use stop::{OnPanic, Stop};
pub use unit::{Brought, run_unit};
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
    pub oddities: Oddities,
    /// Pod and storage groups before labels of nodes and namespaces were laid under them.
    pub groups: u64,
    pub written: Written,
    pub chunks: u64,
    pub changes: Changes,
    /// Compressed bytes and groups that went to disk for lack of memory.
    pub spilled: (u64, u64),
    /// The same of worker processes.
    pub spilled_by_workers: (u64, u64),
    /// `None` where all was done in one process.
    pub workers: Option<WorkerFigures>,
    /// How long at most one thread worked, and how long all of it took.
    pub serial_time: (Duration, Duration),
    /// Summed over the threads.
    pub aggregate_time: Duration,
    pub finish_time: Duration,
}

/// Takes a unit whose rows are all in.
pub(crate) type Complete<'c> = &'c (dyn Fn(usize) + Sync);

/// Runs a job into a sink. On an error or a cancelled run the sink is dropped without `finish`.
pub fn run(job: &Job<'_>, sink: Box<dyn Sink>) -> Result<Outcome, RunError> {
    collect(job, sink, &|shared, complete| shared.run_units(complete))
}

/// Finishes and writes units whose states, or rows, `bring` adds to [`Shared::states`] and completes.
pub(crate) fn collect(
    job: &Job<'_>,
    sink: Box<dyn Sink>,
    bring: &(dyn Fn(&Shared<'_>, Complete<'_>) + Sync),
) -> Result<Outcome, RunError> {
    let heap = Heap::new(job.shares.heap);
    let stop = Stop::new(job.cancelled);
    let activity = Activity::start();
    let pressure = Pressure::of(job);
    let encoder = sink.encoder();
    let mut sinks = sink.beside();
    sinks.insert(0, sink);
    let shared = Shared::new(job, &heap, &stop, &activity, &pressure, encoder, sinks.len());
    let finisher = Finisher::new(job, &heap, &stop);
    let units = job.plan.units.len();
    let (day_sender, days) = crossbeam_channel::unbounded();
    std::thread::scope(|threads| {
        let (shared, finisher) = (&shared, &finisher);
        threads.spawn(|| shared.follow_pressure());
        threads.spawn(move || {
            bring(shared, &|unit| shared.finish_unit(unit, finisher, &day_sender));
        });
        let _watched = pressure.ended_on_drop();
        match writer::write(&days, sinks, units, shared, &heap) {
            Ok(written) => shared.outcome(|outcome| outcome.written = written),
            Err(error) => shared.fail(error),
        }
    });
    match shared.end()? {
        outcome if outcome.written.finished => Ok(outcome),
        _ if stop.is_cancelled() => Err(RunError::Interrupted),
        outcome => Err(RunError::Incomplete { written: outcome.written.days, planned: units }),
    }
}

/// What the threads of a run share.
pub(crate) struct Shared<'a> {
    job: &'a Job<'a>,
    pub heap: &'a Heap,
    pub states: UnitStates<'a>,
    /// By source.
    days: Vec<UnitDays>,
    queue: ReadyQueue,
    pub progress: Progress,
    /// Days that are written at once.
    writers: usize,
    outcome: Mutex<Outcome>,
    failure: Mutex<Option<RunError>>,
    stop: &'a Stop<'a>,
    activity: &'a Activity,
    pressure: &'a Pressure<'a>,
    permits: Arc<Permits>,
    encoder: Option<Arc<dyn Encode>>,
    /// Those of the tasks that ended: as many as there were tasks at once.
    buffers: Mutex<Vec<Buffers>>,
}

impl<'a> Shared<'a> {
    fn new(
        job: &'a Job<'a>,
        heap: &'a Heap,
        stop: &'a Stop<'a>,
        activity: &'a Activity,
        pressure: &'a Pressure<'a>,
        encoder: Option<Arc<dyn Encode>>,
        writers: usize,
    ) -> Self {
        let (plan, kind, units) = (job.plan, StateKind::of(job), job.plan.units.len());
        Shared {
            job,
            heap,
            states: UnitStates::new(units, &plan.groups, kind, job.spiller, heap, job.shares),
            days: (0..=plan.units.iter().map(|u| u.source).max().unwrap_or(0))
                .map(|source| UnitDays::new(&plan.units, source))
                .collect(),
            queue: ReadyQueue::default(),
            progress: Progress::default(),
            writers,
            outcome: Mutex::new(Outcome::default()),
            failure: Mutex::new(None),
            stop,
            activity,
            pressure,
            permits: Permits::new(job.shares.in_flight),
            encoder,
            buffers: Mutex::default(),
        }
    }

    /// What came of it, or the first failure.
    fn end(self) -> Result<Outcome, RunError> {
        match self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) if self.stop.is_cancelled() && error.may_be_interruption() => {
                return Err(RunError::Interrupted);
            }
            Some(error) => return Err(error),
            None => {}
        }
        let mut outcome = self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.spilled = self.job.spiller.written();
        outcome.serial_time = self.activity.serial();
        Ok(outcome)
    }

    /// Watches memory until the pressure is told that it has ended.
    fn follow_pressure(&self) {
        let spill_early = |early| self.states.spill_early.store(early, Ordering::Relaxed);
        self.pressure.follow(self.heap, &self.permits, &spill_early);
    }

    /// Reads and aggregates all units in this process.
    fn run_units(&self, complete: Complete<'_>) {
        let job = self.job;
        let lanes = job.shares.threads;
        job.pool.in_place_scope(|tasks| {
            // Days without any rows have nothing to wait for.
            if job.streaming {
                for unit in self.states.without_rows() {
                    tasks.spawn(move |_| {
                        let _ended = self.stop.on_panic();
                        complete(unit);
                    });
                }
            }
            self.read(lanes, |chunk, most_waiting| {
                if self.queue.push(chunk, most_waiting, &|| self.is_stopped()) {
                    tasks.spawn(move |_| {
                        let _ended = self.stop.on_panic();
                        self.aggregate(complete);
                    });
                }
            });
        });
        if !job.streaming {
            (0..job.plan.units.len()).for_each(|unit| job.pool.install(|| complete(unit)));
        }
        self.outcome(|outcome| outcome.changes = self.pressure.changes());
    }

    /// Whether nothing more is to be done: after a failure, or when the run was cancelled.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// Ends the run if the thread panics before this is dropped.
    pub fn on_panic(&self) -> OnPanic<'_> {
        self.stop.on_panic()
    }

    /// Keeps the first failure.
    pub fn fail(&self, error: RunError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.fail();
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Buffers>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn outcome(&self, change: impl FnOnce(&mut Outcome)) {
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
    fn aggregate(&self, complete: Complete<'_>) {
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
                complete(unit);
            }
        }
    }

    fn add(&self, chunk: &FetchedChunk) -> Result<Counts, AddError<(usize, DayError)>> {
        let mut counts = Counts::default();
        let mut buffers = self.buffers().pop().unwrap_or_default();
        let mut states = ChunkStates::new(&self.states);
        for (source, segment) in &chunk.segments {
            let mut days = states.of_source(&self.days[*source]);
            let (tenant, reading) = (self.job.tenant, self.job.reading);
            counts.add(row_group::add_rows(segment, tenant, reading, &mut days, &mut buffers)?);
        }
        states.give_back().map_err(AddError::State)?;
        let decoded = buffers.take_decoded();
        if self.job.adaptive {
            self.pressure.learn(decoded);
        }
        self.buffers().push(buffers);
        Ok(counts)
    }

    /// Turns the states of a day into rows and hands them to the writer.
    fn finish_unit(
        &self,
        unit: usize,
        finisher: &Finisher<'_>,
        days: &Sender<(usize, FinishedDay)>,
    ) {
        if self.is_stopped() {
            return;
        }
        let started = Instant::now();
        let _working = self.activity.working();
        let state = self.states.take(unit);
        let finished = finisher.finish(state, &self.job.plan.units[unit].meta);
        let encoded = finished.and_then(|(day, counts)| {
            let day = match self.encoder.as_deref() {
                Some(encoder) => FinishedDay::encoded(day, encoder, self.heap)?,
                None => FinishedDay::Rows(day),
            };
            Ok((day, counts))
        });
        match encoded {
            Ok((day, counts)) => {
                let telemetry = self.job.telemetry;
                telemetry.add_time(Figure::FinishTime, started.elapsed());
                telemetry.add_finished_day(counts.oddities, counts.rows_without_node);
                telemetry.set(Figure::SpilledBytes, self.job.spiller.written().0);
                self.outcome(|outcome| {
                    outcome.rows_without_node += counts.rows_without_node;
                    outcome.groups += counts.groups;
                    outcome.oddities.add(counts.oddities);
                    outcome.finish_time += started.elapsed();
                });
                // The writer is gone only after a failure, which it has reported.
                let _ = days.send((unit, day));
            }
            Err(error) => self.fail_day(unit, error),
        }
    }

    fn fail_day(&self, unit: usize, error: DayError) {
        if !matches!(error, DayError::Stopped) {
            self.fail(self.day_error((unit, error)));
        }
    }

    /// What is wrong with a day, with the day.
    pub fn day_error(&self, (unit, error): (usize, DayError)) -> RunError {
        let meta = &self.job.plan.units[unit].meta;
        match error {
            DayError::Stopped => RunError::Interrupted,
            DayError::Spill(error) => error.into(),
            DayError::Sink(error) => error.into(),
            DayError::TooLarge { held, least } => {
                let (date, source_uuid) = (meta.date, meta.source_uuid);
                RunError::TooLarge { date, source_uuid, held, least }
            }
        }
    }
}
