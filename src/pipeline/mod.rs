//! Wires read → aggregate → reduce → finish → write.
//!
//! One reader thread fetches chunks and hands them through a bounded channel to a rayon pool; each
//! task adds its chunk to a partial state per day; whoever completes a day merges its states and
//! finishes it; one writer thread puts the days into the sink in order.

pub mod error;
mod states;
mod writer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::aggregate::partial::Partial;
use crate::decode::row_group::{self, Buffers, Counts, Reading};
use crate::plan::Plan;
use crate::plan::chunks::Chunk;
use crate::plan::units::UnitDays;
use crate::read::reader::{FetchedChunk, Reader};
use crate::sink::Sink;
use crate::store::Store;
use crate::summary::finish::{FanOutCounts, Tenant, finish};
use crate::summary::row::RowBatch;

pub use error::RunError;
use states::{ChunkStates, UnitStates};
pub use writer::Written;

/// What a run works with, all settled.
pub struct Job<'a> {
    pub plan: &'a Plan,
    pub chunks: &'a [Chunk],
    pub store: &'a Store,
    pub tenant: &'a Tenant,
    pub reading: Reading,
    /// Finish a day as soon as it is complete; else all at the end.
    pub streaming: bool,
    /// Row groups with more bytes than this are read page by page.
    pub most_group_bytes: u64,
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
    /// Summed over the threads.
    pub aggregate_time: Duration,
    pub finish_time: Duration,
}

/// Runs a job into a sink. On an error or a cancelled run the sink is dropped without `finish`.
pub fn run(job: &Job<'_>, sink: Box<dyn Sink>) -> Result<Outcome, RunError> {
    let shared = Shared {
        job,
        states: UnitStates::new(job.plan.units.len(), job.chunks),
        days: (0..=job.plan.units.iter().map(|u| u.source).max().unwrap_or(0))
            .map(|source| UnitDays::new(&job.plan.units, source))
            .collect(),
        outcome: Mutex::new(Outcome::default()),
        failure: Mutex::new(None),
        stopped: AtomicBool::new(false),
    };
    // As many chunks wait as are worked on.
    let (chunk_sender, chunks) = crossbeam_channel::bounded(job.pool.current_num_threads());
    let (day_sender, days) = crossbeam_channel::bounded(2);
    std::thread::scope(|threads| {
        let shared = &shared;
        threads.spawn(move || {
            job.pool.in_place_scope(|tasks| {
                // Days without any chunk have nothing to wait for.
                if job.streaming {
                    for unit in shared.states.without_chunks() {
                        let days = day_sender.clone();
                        tasks.spawn(move |_| shared.finish_unit(unit, Vec::new(), &days));
                    }
                }
                let mut reader =
                    Reader::new(job.plan, job.store, job.reading.all_columns, job.most_group_bytes);
                for chunk in job.chunks {
                    if shared.is_stopped() {
                        break;
                    }
                    match reader.fetch(chunk) {
                        Ok(fetched) => {
                            // Blocks while enough chunks wait: each task below makes room.
                            if chunk_sender.send(fetched).is_err() {
                                break;
                            }
                        }
                        Err(error) => {
                            shared.fail(error.into());
                            break;
                        }
                    }
                    let (chunks, days) = (chunks.clone(), day_sender.clone());
                    tasks.spawn(move |_| {
                        if let Ok(fetched) = chunks.recv() {
                            shared.aggregate(&fetched, &days);
                        }
                    });
                }
            });
            if !job.streaming && !shared.is_stopped() {
                job.pool.install(|| {
                    for unit in 0..job.plan.units.len() {
                        let states = shared.states.take_all(unit);
                        shared.finish_unit(unit, states, &day_sender);
                    }
                });
            }
        });
        match writer::write(&days, sink, job.plan.units.len(), &shared.stopped) {
            Ok(written) => shared.outcome(|outcome| outcome.written = written),
            Err(error) => shared.fail(error.into()),
        }
        // After an early end: let go of those who wait for room.
        days.iter().for_each(drop);
    });
    let failure = shared.failure.into_inner().unwrap_or_else(|e| e.into_inner());
    match failure {
        Some(error) => Err(error),
        None if job.cancelled.load(Ordering::Relaxed) => Err(RunError::Interrupted),
        None => Ok(shared.outcome.into_inner().unwrap_or_else(|e| e.into_inner())),
    }
}

/// What the threads of a run share.
struct Shared<'a> {
    job: &'a Job<'a>,
    states: UnitStates,
    /// By source.
    days: Vec<UnitDays>,
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
        self.failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn outcome(&self, change: impl FnOnce(&mut Outcome)) {
        change(&mut self.outcome.lock().unwrap_or_else(|e| e.into_inner()));
    }

    /// Adds a chunk to the states of its days, and finishes those that it completes.
    fn aggregate(&self, chunk: &FetchedChunk, days: &crossbeam_channel::Sender<(usize, RowBatch)>) {
        if self.is_stopped() {
            return;
        }
        let started = Instant::now();
        let mut counts = Counts::default();
        let mut buffers = Buffers::default();
        let mut chunk_states =
            ChunkStates::new(&self.states, self.job.seed, self.job.reading.categorical);
        for (source, segment) in &chunk.segments {
            let mut days = chunk_states.of_source(&self.days[*source]);
            let reading = self.job.reading;
            match row_group::add_rows(segment, self.job.tenant, reading, &mut days, &mut buffers) {
                Ok(more) => counts.add(more),
                Err(error) => return self.fail(error.into()),
            }
        }
        chunk_states.give_back();
        self.outcome(|outcome| {
            outcome.counts.add(counts);
            outcome.aggregate_time += started.elapsed();
        });
        for (unit, states) in self.states.chunk_done(chunk.units) {
            if self.job.streaming {
                self.finish_unit(unit, states, days);
            } else {
                self.states.keep(unit, states);
            }
        }
    }

    /// Merges the states of a day and hands its rows to the writer.
    fn finish_unit(
        &self,
        unit: usize,
        states: Vec<Partial>,
        days: &crossbeam_channel::Sender<(usize, RowBatch)>,
    ) {
        if self.is_stopped() {
            return;
        }
        let started = Instant::now();
        let merged = states.into_par_iter().reduce_with(Partial::merge);
        let state = merged.unwrap_or_else(|| Partial::empty(self.job.seed));
        let without_node = state.rows_without_node;
        let groups = (state.pods.groups.len() + state.storage.groups.len()) as u64;
        let meta = self.job.plan.units[unit].meta.clone();
        let (rows, fan_out) = finish(state, meta, self.job.tenant);
        self.outcome(|outcome| {
            outcome.rows_without_node += without_node;
            outcome.groups += groups;
            outcome.fan_out.label_rows += fan_out.label_rows;
            outcome.fan_out.category_rows += fan_out.category_rows;
            outcome.finish_time += started.elapsed();
        });
        // The writer is gone only after a failure, which it has reported.
        let _ = days.send((unit, rows));
    }
}
