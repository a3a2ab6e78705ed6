//! The worker: does tasks as an undivided run would, and sends rows instead of writing them, or states
//! where others have line items of a day too.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

pub use super::answers::Failure;
use super::answers::{Answer, AnswerWriter, Report};
use super::error::WorkerError;
use super::orders::{Hello, Order};
use super::{rows, states};
use crate::decode::row_group::Reading;
use crate::failpoint::{self, FailpointError};
use crate::memory::limit::{Limit, LimitSource};
use crate::memory::shares::{Budget, Demand, TooSmall};
use crate::memory::usage;
use crate::memory::watch::Watch;
use crate::pipeline::{self, Brought, DayCounts, Job, Outcome, RunError, StateKind};
use crate::settings::{Input, Layout, S3, TypePaths};
use crate::spill::spiller::Spiller;
use crate::store::traffic::Fault;
use crate::store::{Store, StoreError};
use crate::summary::categories::PatternError;
use crate::summary::finish::Tenant;
use crate::telemetry::Telemetry;

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFault {
    #[error("the coordinator is gone")]
    Gone { source: io::Error },
    #[error("the coordinator's orders make no sense: it is of another version")]
    Orders,
    #[error("cannot make the worker's threads")]
    Threads { source: rayon::ThreadPoolBuildError },
    #[error(transparent)]
    Memory(#[from] TooSmall),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lookups(#[from] PatternError),
    #[error(transparent)]
    Failpoint(#[from] FailpointError),
}

/// Has the kernel kill this process when its parent dies.
///
/// # Errors
/// The kernel refuses, or the parent is gone already.
pub fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32);
    // In a namespace of processes of its own, the parent may bear another number.
    if now == parent || now == 0 { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// Has the kernel kill this process rather than the coordinator when memory runs out.
pub fn die_first() {
    /// Half of all memory, in thousandths.
    const MORE: &str = "500";
    // Where that cannot be said, the kernel chooses by size.
    let _ = std::fs::write("/proc/self/oom_score_adj", MORE);
}

/// Does the ordered tasks until there are no more. `explain` says how the run would fail.
///
/// # Errors
/// A task that fails is said to the coordinator and is none; see [`WorkerFault`].
pub fn serve<W: Write + Send>(
    hello: &Hello,
    orders: &Receiver<Order>,
    out: W,
    explain: &dyn Fn(RunError) -> Failure,
) -> Result<(), WorkerFault> {
    let gone = |source| WorkerFault::Gone { source };
    let answers = Answers { writer: Mutex::new(AnswerWriter::new(out).map_err(gone)?) };
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let every = Duration::from_millis(hello.alive_every.max(1));
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(every);
                // Who cannot be told will not be for long.
                let _ = answers.send(&Answer::Alive);
            }
        });
        let served = serve_orders(hello, orders, &answers, explain);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        served
    })
}

fn serve_orders<W: Write + Send>(
    hello: &Hello,
    orders: &Receiver<Order>,
    answers: &Answers<W>,
    explain: &dyn Fn(RunError) -> Failure,
) -> Result<(), WorkerFault> {
    let never = Arc::new(AtomicBool::new(false));
    let store = Store::open(&input(hello), &never)?;
    let tenant = Tenant::new(&hello.lookups, hello.rules)?;
    let limit = Limit { bytes: hello.memory, source: LimitSource::Setting };
    let budget = Budget::of(limit);
    let demand = Demand {
        threads: hello.threads as u64,
        decode_bytes: hello.decode_bytes,
        fixed: 0,
        input: store.distance(),
    };
    let shares = budget.shares(demand)?.of_part(hello.part);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(shares.threads)
        .thread_name(|i| format!("aggregate-{i}"))
        .build()
        .map_err(|source| WorkerFault::Threads { source })?;
    let telemetry = Telemetry::default();
    let mut seen = Seen::default();
    for order in orders {
        failpoint::hit("worker.begin")?;
        let (chunk_rows, adaptive, whole) = (order.chunk_rows, order.adaptive, order.whole);
        let plan = order.into_plan().ok_or(WorkerFault::Orders)?;
        // Of its own, so that its file goes with the task.
        let spiller = Spiller::new(hello.spill_dir.clone(), hello.force_spill);
        let job = Job {
            plan: &plan,
            store: &store,
            tenant: &tenant,
            reading: Reading { categorical: hello.categorical, all_columns: hello.all_columns },
            streaming: true,
            chunk_rows,
            adaptive,
            budget: &budget,
            shares,
            // What the others of the run take in the cgroup is planned.
            watch: &Watch::new(None),
            spiller: &spiller,
            // Its figures go with the answer.
            telemetry: &telemetry,
            pool: &pool,
            cancelled: &never,
            seed: hello.seed,
        };
        let finished = Mutex::default();
        let sending = Sending { answers, job: &job, finished: &finished };
        let done = pipeline::run_unit(&job, whole, &|unit, brought| sending.send(unit, brought));
        let finished = finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answer = match done {
            Ok(outcome) => Answer::Done(seen.report(&outcome, finished, &store)),
            Err(error) => Answer::Failed(explain(error)),
        };
        failpoint::hit("worker.before_done")?;
        answers.send(&answer).map_err(|source| WorkerFault::Gone { source })?;
    }
    Ok(())
}

/// What sending the units of a task takes.
struct Sending<'a, W: Write> {
    answers: &'a Answers<W>,
    job: &'a Job<'a>,
    /// Those that were sent as rows.
    finished: &'a Mutex<Vec<(usize, DayCounts)>>,
}

impl<W: Write + Send> Sending<'_, W> {
    /// Sends all of a unit.
    fn send(&self, unit: usize, brought: Brought) -> Result<(), RunError> {
        let send = |answer| {
            self.answers.send(&answer).map_err(|source| RunError::CoordinatorGone { source })
        };
        match brought {
            Brought::Rows(rows, counts) => {
                failpoint::hit("worker.rows")
                    .map_err(|error| RunError::Worker(WorkerError::from(error)))?;
                rows.each_batch(&mut |batch| {
                    rows::encode(&batch, &mut |piece| send(Answer::Rows { unit, piece }))
                })?;
                let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
                finished.push((unit, counts));
                Ok(())
            }
            Brought::States(state) => {
                // What is read back at once is beside all else that the heap counts.
                let most = self.job.shares.heap / 16;
                let mut send = |piece| send(Answer::State { unit, piece });
                let kind = StateKind::of(self.job);
                state.each(kind, most, &mut |part| states::encode(&part, &mut send))
            }
        }
    }
}

/// The way to the coordinator, shared with the sign of life.
struct Answers<W: Write> {
    writer: Mutex<AnswerWriter<W>>,
}

impl<W: Write> Answers<W> {
    fn send(&self, answer: &Answer) -> io::Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).send(answer)
    }
}

/// What was reported of the traffic so far.
#[derive(Default)]
struct Seen {
    requests: u64,
    bytes: u64,
    faults: [u64; Fault::ALL.len()],
}

impl Seen {
    fn report(
        &mut self,
        outcome: &Outcome,
        finished: Vec<(usize, DayCounts)>,
        store: &Store,
    ) -> Report {
        let counts = &outcome.counts;
        let mut report = Report {
            rows: counts.rows,
            rows_outside: counts.rows_outside,
            rows_without_time: counts.rows_without_time,
            odd_values: counts.odd_values.iter().map(|(&k, &v)| (k.to_owned(), v)).collect(),
            chunks: outcome.chunks,
            shrunk: outcome.changes.shrunk,
            grown: outcome.changes.grown,
            least_rows: outcome.changes.least_rows,
            spilled: outcome.spilled,
            aggregate_micros: outcome.aggregate_time.as_micros() as u64,
            finish_micros: outcome.finish_time.as_micros() as u64,
            finished,
            peak: usage::peak_resident().unwrap_or(0),
            ..Report::default()
        };
        if let Some(traffic) = store.traffic() {
            let mut faults = self.faults;
            for (fault, count) in traffic.faults() {
                faults[fault as usize] = count;
            }
            let now = Seen { requests: traffic.requests(), bytes: traffic.bytes(), faults };
            report.requests = now.requests - self.requests;
            report.fetched = now.bytes - self.bytes;
            report.faults = now.faults.iter().zip(self.faults).map(|(n, was)| n - was).collect();
            *self = now;
        }
        report
    }
}

/// What opening the store needs of the settings.
fn input(hello: &Hello) -> Input {
    let none = TypePaths {
        pod_usage: String::new(),
        storage_usage: String::new(),
        node_labels: String::new(),
        namespace_labels: String::new(),
    };
    Input {
        source: hello.source.clone(),
        layout: Layout { hourly: none, daily: None },
        org_id: String::new(),
        s3: hello.s3.clone().map(S3::from),
        strict_duplicates: false,
    }
}
