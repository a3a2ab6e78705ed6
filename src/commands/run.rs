//! `run`: plan, roll up, write, say what was done.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use postgres::Client;
use uuid::Uuid;

use super::preparation::Preparation;
use super::signals::Signals;
use super::{exit, ledger, logging, output, processes, sinks};
use crate::cli::run::RunFlags;
use crate::database;
use crate::decode::row_group::Reading;
use crate::lookups::periods::{self, Periods};
use crate::lookups::{self, Lookups};
use crate::memory::limit::Cgroup;
use crate::memory::shares::{Budget, Demand, Distance, Shares, TooSmall};
use crate::memory::watch::{self, Watch};
use crate::memory::{allocator, limit, usage};
use crate::pipeline::{self, Job, Outcome};
use crate::plan::shards::Dealer;
use crate::plan::{Plan, PlanError, chunks, discover};
use crate::process;
use crate::report;
use crate::report::ending::{Ending, State};
use crate::report::identity::Identity;
use crate::report::monitor::Monitor;
use crate::report::summary::{self, Summary};
use crate::settings::{
    self, ChunkSize, LookupsFrom, Settings, SettingsError, Sharding, SinkTo, load,
};
use crate::sink::observed::ObservedSink;
use crate::spill::spiller::Spiller;
use crate::store::{Store, StoreError};
use crate::summary::finish::Tenant;
use crate::telemetry::{Figure, Planned, Telemetry};

pub fn run(flags: &RunFlags) -> Result<u8> {
    let unsettled = allocator::settle();
    let config = load::config(&flags.config)?;
    let settled = settings::settle(flags, &load::env, config.as_ref(), load::today())?;
    let mut settings = settled.settings;
    settings.performance.force_spill = flags.force_spill;
    let telemetry = Arc::new(Telemetry::new(settings.observe.report.is_some()));
    logging::start_run(&settings.logging, Identity::of(&settings), &telemetry);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(error) = unsettled {
        tracing::debug!("the allocator stays as it is: {error}");
    }
    tracing::info!("settled settings: {}", report::settings::line(&settings));
    let signals = Signals::listen()?;
    let monitor = Monitor::start(&settings, &telemetry)?;
    let started = Instant::now();
    let done = open_store(&settings, &signals).and_then(|store| {
        telemetry.watch_store(&store);
        let rolled =
            once_more_if_moved(|| roll_up_watched(&settings, &store, &signals, &telemetry))?;
        Ok((store, rolled))
    });
    let time = started.elapsed();
    let watched = monitor.end(&settings, &ending(&done));
    let (store, RolledUp { plan, outcome }) = match (done, &watched) {
        (Err(failure), Err(error)) => {
            tracing::error!("{error:#}");
            return Err(failure);
        }
        (done, _) => done?,
    };
    let summary = Summary::new(&settings, &plan, outcome.as_ref(), store.traffic(), time);
    let redone = telemetry.snapshot().get(Figure::RedonePreparations);
    output::print(summary.with_redone_preparations(redone))?;
    watched?;
    Ok(exit::DONE)
}

/// How a run ended, for who watches it.
fn ending(done: &Result<(Store, RolledUp)>) -> Ending {
    let (exit_code, state, error) = match done {
        Ok((_, rolled)) if rolled.outcome.is_none() => (exit::DONE, State::NothingToDo, None),
        Ok(_) => (exit::DONE, State::Done, None),
        Err(error) => match exit::code(error) {
            exit::INTERRUPTED => (exit::INTERRUPTED, State::Interrupted, Some(error)),
            code => (code, State::Failed, Some(error)),
        },
    };
    Ending { exit_code, state, error: error.map(|error| format!("{error:#}")) }
}

/// The store of the settled source.
pub fn open_store(settings: &Settings, signals: &Signals) -> Result<Store> {
    Ok(Store::open(&settings.input, signals.cancelled()).map_err(PlanError::from)?)
}

/// Starts over once where an object was replaced or removed between its listing and the last of
/// its bytes: uploads go on while a run reads. Days that were written are replaced again, by the
/// rows of the new files.
pub fn once_more_if_moved<T>(work: impl Fn() -> Result<T>) -> Result<T> {
    match work() {
        Err(error) if exit::store_error(&error).is_some_and(StoreError::is_moved) => {
            tracing::warn!("the input changed while it was read, starting over once: {error:#}");
            work()
        }
        done => done,
    }
}

/// A plan, and what came of it: nothing where there was nothing to do.
pub struct RolledUp {
    pub plan: Plan,
    pub outcome: Option<Outcome>,
}

/// Does the job that the settings describe.
pub fn roll_up(settings: &Settings, store: &Store, signals: &Signals) -> Result<RolledUp> {
    roll_up_watched(settings, store, signals, &Arc::default())
}

/// The same, with its figures in `telemetry`.
pub fn roll_up_watched(
    settings: &Settings,
    store: &Store,
    signals: &Signals,
    telemetry: &Arc<Telemetry>,
) -> Result<RolledUp> {
    telemetry.start_over();
    let needs_database =
        settings.sink == SinkTo::Postgres || settings.lookups == LookupsFrom::Postgres;
    let mut database = Preparation::new(&settings.postgres, telemetry);
    let (lookups, periods) = telemetry.timed(Figure::LookupTime, || {
        if needs_database {
            database.step(|client| looked_up(settings, Some(client)))
        } else {
            looked_up(settings, None)
        }
    })?;
    let tenant = Tenant::new(&lookups, settings.aggregation)?;

    let cgroup = watch::own_cgroup();
    let budget = budget(settings, cgroup.as_ref());
    tracing::info!("{budget}");
    telemetry.set(Figure::MemoryLimit, budget.limit.bytes);
    telemetry.set(Figure::MemoryBudget, budget.bytes);
    let threads = threads(settings);
    let pool = pool(threads)?;
    let meta = |provider, month| periods.get(&(provider, month)).cloned().unwrap_or_default();
    let mut plan = telemetry
        .timed(Figure::PlanTime, || pool.install(|| discover::plan(settings, store, &meta)))?;
    keep_shard(settings, &mut plan)?;
    periods::require(&plan.units)?;
    summary::warn_of_plan(&plan);
    let recorder = if settings.sink == SinkTo::Postgres {
        database.step(|client| Ok(ledger::begin(settings, client, &lookups, &mut plan)?))?
    } else {
        None
    };
    // From here on only worker processes need them.
    let lookups = settings.performance.processes.and(Some(lookups));
    telemetry.set_planned(|at| Planned::new(&plan, at));
    if plan.units.is_empty() {
        return Ok(RolledUp { plan, outcome: None });
    }
    let division = processes::divide(settings, &budget, &plan, threads)?;
    let (budget, shares) = match &division {
        Some(division) => (division.budget.clone(), division.shares),
        None => {
            let shares = shares(settings, &budget, &plan, threads, store.distance())?;
            (budget, shares)
        }
    };
    let pool = if shares.threads < threads {
        if division.is_none() {
            tracing::info!("{} threads instead of {threads}, for lack of memory", shares.threads);
        }
        self::pool(shares.threads)?
    } else {
        pool
    };
    let (chunk_rows, adaptive) = chunk_rows(settings, &plan, shares.threads);
    let performance = &settings.performance;
    let spiller = Spiller::new(performance.spill_dir.clone(), performance.force_spill);
    let writers = sinks::connections(settings, &budget, threads);
    let sink = sinks::open(settings, &mut database, &plan, writers, recorder, signals)?;
    drop(database);
    let sink = ObservedSink::new(sink, telemetry.clone());
    let job = Job {
        plan: &plan,
        store,
        tenant: &tenant,
        reading: Reading {
            categorical: settings.performance.use_categorical,
            all_columns: !settings.performance.column_filtering,
        },
        streaming: settings.performance.use_streaming,
        chunk_rows,
        adaptive,
        budget: &budget,
        shares,
        // What worker processes take in the cgroup is planned.
        watch: &Watch::new(cgroup.clone().filter(|_| division.is_none())),
        spiller: &spiller,
        telemetry,
        pool: &pool,
        cancelled: signals.cancelled(),
        seed: seed(),
    };
    let outcome = match &division {
        None => pipeline::run(&job, Box::new(sink))?,
        Some(division) => {
            let hello = processes::hello(settings, &job, division, lookups.unwrap_or_default());
            let timeout = settings.performance.worker_timeout;
            process::run(
                &job,
                Box::new(sink),
                &process::Setup { division, hello, timeout, cgroup },
            )?
        }
    };
    summary::warn_of_outcome(&outcome);
    Ok(RolledUp { plan, outcome: Some(outcome) })
}

/// Of hashes: another one for each run, so that nobody can make texts whose hashes fall together.
fn seed() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

/// Leaves the days to other hosts that are theirs.
fn keep_shard(settings: &Settings, plan: &mut Plan) -> Result<()> {
    let Some(sharding) = &settings.sharding else { return Ok(()) };
    let &Sharding { count, index, .. } = sharding;
    let index = index.ok_or_else(|| SettingsError::no_shard_index(count))?;
    let whole = plan.units.len();
    Dealer::new(settings, sharding)?.keep(plan, index);
    let days = plan.units.len();
    tracing::info!(index, count, days, "shard {index} of {count}: {days} of {whole} days");
    Ok(())
}

fn looked_up(settings: &Settings, mut client: Option<&mut Client>) -> Result<(Lookups, Periods)> {
    let lookups = lookups(settings, client.as_deref_mut())?;
    Ok((lookups, periods::settle(settings, client)?))
}

/// Loads the lookups, over `client` or a new connection if they are in the database.
pub fn lookups(settings: &Settings, client: Option<&mut Client>) -> Result<Lookups> {
    let schema = &settings.postgres.schema;
    Ok(match (&settings.lookups, client) {
        (LookupsFrom::Directory(folder), _) => lookups::csv::load(folder)?,
        (LookupsFrom::Postgres, Some(client)) => lookups::postgres::load(client, schema)?,
        (LookupsFrom::Postgres, None) => {
            lookups::postgres::load(&mut database::connect(&settings.postgres)?, schema)?
        }
    })
}

/// The memory that a run may use; `cgroup` is this process's own.
pub fn budget(settings: &Settings, cgroup: Option<&Cgroup>) -> Budget {
    let given = settings.performance.memory_limit;
    Budget::of(limit::resolve(given, cgroup, usage::host(), &watch::read_file))
}

/// The worker threads asked for.
pub fn threads(settings: &Settings) -> usize {
    settings.performance.threads.unwrap_or_else(available_threads)
}

/// How a run of a plan shares out its memory.
///
/// # Errors
/// A budget that is too small for it.
pub fn shares(
    settings: &Settings,
    budget: &Budget,
    plan: &Plan,
    threads: usize,
    input: Distance,
) -> Result<Shares, TooSmall> {
    let fixed = sinks::bytes(settings, sinks::connections(settings, budget, threads));
    let decode_bytes = plan.decode_bytes();
    budget.shares(Demand { threads: threads as u64, decode_bytes, fixed, input })
}

/// How many rows a task aggregates at once, and whether that may change on the way.
pub fn chunk_rows(settings: &Settings, plan: &Plan, threads: usize) -> (usize, bool) {
    match settings.performance.chunk_size {
        ChunkSize::Auto => (chunks::usual_rows(&plan.groups, threads), true),
        ChunkSize::Rows(rows) => (rows, false),
    }
}

pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("aggregate-{i}"))
        .build()
        .context("cannot start the worker threads; try fewer with --threads")
}

/// What affinity and the cgroup's quota allow.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_run_has_a_seed_of_its_own() {
        let seeds: BTreeSet<u64> = (0..1000).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 1000);
    }
}
