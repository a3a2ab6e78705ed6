//! Hands out tasks, takes in what workers make of them, and has days finished and written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use tracing::Span;

use super::answers::{Answer, Failure, NoAnswer, Report};
use super::child::{Slot, Worker};
use super::ending::Ending;
use super::error::{TaskName, WorkerError};
use super::orders::{Hello, Order};
use super::shares::Division;
use super::staged::Staged;
use super::states;
use super::tasks::{self, Next, Queue, Task};
use crate::aggregate::rows::{POD_NUMBERS, STORAGE_NUMBERS};
use crate::decode::row_group::Counts;
use crate::failpoint;
use crate::memory::limit::Cgroup;
use crate::memory::watch;
use crate::pipeline::{self, Complete, Job, Outcome, RunError, Shared};
use crate::plan::chunks;
use crate::sink::Sink;
use crate::store::StoreError;
use crate::store::traffic::Fault;
use crate::telemetry::Figure;

/// How worker processes are set up.
pub struct Setup<'a> {
    pub division: &'a Division,
    /// What holds for all tasks.
    pub hello: Hello,
    /// A worker that gives no sign of life for so long is killed.
    pub timeout: Duration,
    /// Of this process, and so of its workers.
    pub cgroup: Option<Cgroup>,
}

/// Figures of the workers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerFigures {
    pub processes: usize,
    /// Of each.
    pub threads: usize,
    /// How many died and were replaced.
    pub died: u32,
    /// The most memory that one of them had resident at once, in bytes.
    pub peak: u64,
}

/// Days that may be open beyond those that workers are at, for each worker.
const DAYS_AHEAD: usize = 2;

/// How often one looks after the workers.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a job by worker processes. `job` says what the coordinator itself may use.
///
/// # Errors
/// As for [`pipeline::run`], and those of [`WorkerError`].
pub fn run(job: &Job<'_>, sink: Box<dyn Sink>, setup: &Setup<'_>) -> Result<Outcome, RunError> {
    let span = Span::current();
    pipeline::collect(job, sink, &|shared, complete| {
        let _entered = span.enter();
        Coordinator { job, setup, shared, complete }.bring();
    })
}

struct Coordinator<'a> {
    job: &'a Job<'a>,
    setup: &'a Setup<'a>,
    shared: &'a Shared<'a>,
    complete: Complete<'a>,
}

/// What a worker made of a task.
struct Made<'a> {
    task: Task,
    staged: Staged<'a>,
    report: Report,
}

/// What came of a try at a task.
enum Tried<'a> {
    Done(Staged<'a>, Report),
    /// The run is over for another reason.
    Stopped,
    Failed(RunError),
    Died {
        garbled: bool,
    },
}

impl Coordinator<'_> {
    /// Brings the states or rows of all units.
    fn bring(&self) {
        let (job, shared, workers) = (self.job, self.shared, self.setup.division.workers);
        let tasks = tasks::cut(&job.plan.groups, workers);
        // More would find nothing to do.
        let workers = workers.min(tasks.len());
        let threads = self.setup.division.worker_threads;
        let processes = self.setup.division.workers;
        shared.outcome(|outcome| {
            outcome.workers =
                Some(WorkerFigures { processes, threads, ..WorkerFigures::default() });
        });
        if job.streaming {
            for unit in shared.states.without_rows() {
                job.pool.install(|| (self.complete)(unit));
            }
        }
        let queue = Queue::new(tasks);
        let slots: Vec<Slot> = (0..workers).map(|_| Slot::default()).collect();
        let over = AtomicBool::new(false);
        let span = Span::current();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let stopped = shared.is_stopped();
                    slots.iter().for_each(|slot| slot.look_after(self.setup.timeout, stopped));
                    std::thread::sleep(LOOK);
                }
            });
            let (queue, span) = (&queue, &span);
            let tending: Vec<_> = slots
                .iter()
                .map(|slot| {
                    threads.spawn(move || {
                        let _entered = span.enter();
                        let _ended = shared.on_panic();
                        self.tend(slot, queue);
                    })
                })
                .collect();
            let ends: Vec<_> = tending.into_iter().map(|thread| thread.join()).collect();
            over.store(true, Ordering::Relaxed);
            if let Some(panic) = ends.into_iter().find_map(Result::err) {
                std::panic::resume_unwind(panic);
            }
        });
        if !job.streaming {
            (0..job.plan.units.len()).for_each(|unit| job.pool.install(|| (self.complete)(unit)));
        }
    }

    /// Keeps one worker busy until there is nothing more to do. What it made is taken in while it is at
    /// its next task; what it makes of that waits.
    fn tend(&self, slot: &Slot, queue: &Queue) {
        let (give, made) = crossbeam_channel::bounded(0);
        let span = Span::current();
        std::thread::scope(move |threads| {
            let taking_in = threads.spawn(move || {
                let _entered = span.enter();
                let _ended = self.shared.on_panic();
                for made in made {
                    if self.shared.is_stopped() {
                        continue;
                    }
                    if let Err(error) = self.take_in(made) {
                        self.shared.fail(error);
                    }
                }
            });
            let mut idle: Option<Worker<'_>> = None;
            if let Err(error) = self.tend_with(slot, queue, &mut idle, &give) {
                self.shared.fail(error);
            }
            drop(give);
            if let Some(worker) = idle {
                worker.end(false, self.setup.timeout, &|| false);
            }
            if let Err(panic) = taking_in.join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn tend_with<'s>(
        &'s self,
        slot: &'s Slot,
        queue: &Queue,
        idle: &mut Option<Worker<'s>>,
        give: &Sender<Made<'s>>,
    ) -> Result<(), RunError> {
        let stopped = || self.shared.is_stopped();
        let window = self.setup.division.workers * DAYS_AHEAD + 1;
        while !stopped() {
            let written = self.shared.progress.days();
            let open_until = if self.job.streaming { written + window } else { usize::MAX };
            match queue.next(written, open_until) {
                Next::Done => break,
                Next::Blocked => {
                    self.shared.progress.wait_beyond(written, &stopped);
                }
                Next::Task(task) => {
                    let Some(made) = self.work(task, slot, idle)? else { break };
                    // A panic has ended who would take it in.
                    if give.send(made).is_err() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Has a task done, by a second worker if the first one dies; `None` where the run is over.
    fn work<'s>(
        &'s self,
        task: Task,
        slot: &'s Slot,
        idle: &mut Option<Worker<'s>>,
    ) -> Result<Option<Made<'s>>, RunError> {
        let mut first = None;
        loop {
            let oom_kills = self.oom_kills();
            let mut worker = match idle.take() {
                Some(worker) if worker.is_gone() => {
                    let ending = self.bury(worker, false, oom_kills);
                    tracing::warn!("a worker process {ending} while it had nothing to do");
                    self.start(slot)?
                }
                Some(worker) => worker,
                None => self.start(slot)?,
            };
            let garbled = match self.attempt(&task, first.is_some(), &mut worker) {
                Tried::Died { garbled } => garbled,
                alive => {
                    *idle = Some(worker);
                    return match alive {
                        Tried::Failed(error) => Err(error),
                        Tried::Done(staged, report) => Ok(Some(Made { task, staged, report })),
                        Tried::Stopped | Tried::Died { .. } => Ok(None),
                    };
                }
            };
            let id = worker.id();
            let ending = self.bury(worker, garbled, oom_kills);
            if self.shared.is_stopped() {
                return Ok(None);
            }
            let name = self.name(&task);
            match first {
                None => tracing::warn!(
                    worker = id,
                    "a worker process {ending}, while at work on {name}; nothing of that counts, and it is \
                     done again by another one in chunks of half the size"
                ),
                Some(first) => {
                    return Err(WorkerError::Died { task: name, first, second: ending }.into());
                }
            }
            first = Some(ending);
        }
    }

    fn start<'s>(&self, slot: &'s Slot) -> Result<Worker<'s>, RunError> {
        Worker::start(&self.setup.hello, slot)
            .map_err(|source| WorkerError::Start { source }.into())
    }

    fn oom_kills(&self) -> u64 {
        self.setup.cgroup.as_ref().map_or(0, watch::oom_kills)
    }

    /// Sees to the end of a worker that should not have ended.
    fn bury(&self, worker: Worker<'_>, garbled: bool, oom_kills: u64) -> Ending {
        let ending = worker.end(garbled, self.setup.timeout, &|| self.oom_kills() > oom_kills);
        if !self.shared.is_stopped() {
            self.figures(|figures| figures.died += 1);
        }
        ending
    }

    fn figures(&self, change: impl FnOnce(&mut WorkerFigures)) {
        self.shared.outcome(|outcome| {
            if let Some(figures) = &mut outcome.workers {
                change(figures);
            }
        });
    }

    /// One try. What the worker sends counts only once it says that it is done.
    fn attempt(&self, task: &Task, again: bool, worker: &mut Worker<'_>) -> Tried<'_> {
        let (job, shared) = (self.job, self.shared);
        let usual = match job.adaptive {
            true => {
                let groups = &job.plan.groups[task.groups.clone()];
                chunks::usual_rows(groups, self.setup.division.worker_threads)
            }
            false => job.chunk_rows,
        };
        let chunk_rows = if again { (usual / 2).max(1) } else { usual };
        // A baseline that keeps every day to the end finishes it there.
        let whole = task.whole && job.streaming;
        worker.order(&Order::new(job.plan, task, chunk_rows, job.adaptive, whole));
        let mut staged = Staged::new(shared.heap, job.spiller);
        let units = task.units.1 - task.units.0 + 1;
        loop {
            if shared.is_stopped() {
                return Tried::Stopped;
            }
            match worker.answer() {
                Ok(Answer::Alive) => {}
                Ok(Answer::State { unit, piece }) if unit < units => {
                    if let Err(error) = staged.push_state(task.units.0 + unit, piece) {
                        return Tried::Failed(error.into());
                    }
                }
                Ok(Answer::Rows { unit, piece }) if unit < units => {
                    if let Err(error) = staged.push_rows(task.units.0 + unit, piece) {
                        return Tried::Failed(error.into());
                    }
                }
                Ok(Answer::Done(report))
                    if staged.agrees(task.units, &report.finished)
                        && (whole || report.finished.is_empty()) =>
                {
                    return Tried::Done(staged, report);
                }
                Ok(Answer::State { .. } | Answer::Rows { .. } | Answer::Done(_)) => {
                    return Tried::Died { garbled: true };
                }
                Ok(Answer::Failed(failure)) => return Tried::Failed(failed(failure)),
                Err(NoAnswer::End) => return Tried::Died { garbled: false },
                Err(NoAnswer::Garbled) => return Tried::Died { garbled: true },
                Err(NoAnswer::Version) => return Tried::Failed(WorkerError::Version.into()),
            }
        }
    }

    /// Adds what was done to its days, and completes those that now have all.
    fn take_in(&self, made: Made<'_>) -> Result<(), RunError> {
        let Made { task, mut staged, mut report } = made;
        failpoint::hit("coordinator.take_in").map_err(WorkerError::from)?;
        let (job, shared) = (self.job, self.shared);
        let complete = job.pool.install(|| -> Result<Vec<usize>, RunError> {
            let mut held = pipeline::ChunkStates::new(&shared.states);
            staged.take_in_states(|unit, piece| {
                let state = held.state(unit).map_err(|error| shared.day_error(error))?;
                states::decode_into(piece, job.tenant.keys.len(), state)
                    .map_err(|_| WorkerError::Garbled.into())
            })?;
            held.give_back().map_err(|error| shared.day_error(error))?;
            for (unit, counts) in report.finished.drain(..) {
                let unit = task.units.0 + unit;
                let day = staged.day(unit, &job.plan.units[unit].meta, job.seed)?;
                shared.states.set_finished(unit, (day, counts));
            }
            Ok(shared.states.rows_done(task.units, task.rows))
        })?;
        self.count(&task, report);
        if job.streaming {
            complete.into_iter().for_each(|unit| job.pool.install(|| (self.complete)(unit)));
        }
        Ok(())
    }

    fn count(&self, task: &Task, report: Report) {
        if let Some(traffic) = self.job.store.traffic() {
            let faults = Fault::ALL.into_iter().zip(report.faults);
            traffic.add(report.requests, report.fetched, faults);
        }
        self.figures(|figures| figures.peak = figures.peak.max(report.peak));
        let bytes = self.job.plan.groups[task.groups.clone()].iter().map(|g| g.group.bytes).sum();
        let telemetry = self.job.telemetry;
        telemetry.add(Figure::Chunks, report.chunks);
        telemetry.add(Figure::BytesRead, bytes);
        telemetry.add_time(Figure::AggregateTime, Duration::from_micros(report.aggregate_micros));
        telemetry.add_time(Figure::FinishTime, Duration::from_micros(report.finish_micros));
        let known = |name: &str| {
            POD_NUMBERS.iter().chain(&STORAGE_NUMBERS).copied().find(|known| *known == name)
        };
        let counts = Counts {
            rows: report.rows,
            rows_outside: report.rows_outside,
            rows_without_time: report.rows_without_time,
            odd_values: (report.odd_values.iter())
                .filter_map(|(name, &count)| Some((known(name)?, count)))
                .collect(),
        };
        telemetry.add_counts(&counts);
        self.shared.outcome(|outcome| {
            outcome.counts.add(counts);
            outcome.chunks += report.chunks;
            outcome.aggregate_time += Duration::from_micros(report.aggregate_micros);
            outcome.finish_time += Duration::from_micros(report.finish_micros);
            let changes = &mut outcome.changes;
            let least = [changes.least_rows, report.least_rows];
            changes.least_rows = least.into_iter().filter(|&rows| rows > 0).min().unwrap_or(0);
            changes.shrunk += report.shrunk;
            changes.grown += report.grown;
            outcome.spilled_by_workers.0 += report.spilled.0;
            outcome.spilled_by_workers.1 += report.spilled.1;
        });
    }

    fn name(&self, task: &Task) -> TaskName {
        let plan = self.job.plan;
        let (first, last) = (&plan.units[task.units.0].meta, &plan.units[task.units.1].meta);
        let days = if first.date == last.date {
            first.date.to_string()
        } else {
            format!("{} to {}", first.date, last.date)
        };
        let mut files: Vec<String> =
            plan.groups[task.groups.clone()].iter().map(|g| g.file.object.to_string()).collect();
        files.dedup();
        TaskName { days: format!("{days} of source {}", first.source_uuid), files }
    }
}

fn failed(failure: Failure) -> RunError {
    match failure.moved {
        Some((path, true)) => RunError::Read(StoreError::Vanished { path: path.into() }.into()),
        Some((path, false)) => RunError::Read(StoreError::Changed { path: path.into() }.into()),
        None => WorkerError::Failed { message: failure.message, code: failure.code }.into(),
    }
}
