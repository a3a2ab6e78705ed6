//! `run`: plan, roll up, write, say what was done.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use postgres::Client;
use uuid::Uuid;

use super::signals::{Hurry, Signals};
use super::{exit, logging, output};
use crate::cli::run::RunFlags;
use crate::database::{self, Canceller, DatabaseError};
use crate::decode::row_group::Reading;
use crate::lookups::{self, Lookups, periods};
use crate::memory::limit::Cgroup;
use crate::memory::shares::{Budget, Shares, TooSmall, mebibytes};
use crate::memory::watch::{self, Watch};
use crate::memory::{limit, usage};
use crate::pipeline::{self, Job, Outcome};
use crate::plan::shards::Dealer;
use crate::plan::{Plan, PlanError, chunks, discover};
use crate::process;
use crate::process::orders::Hello;
use crate::process::shares::Division;
use crate::report::summary::{self, Summary};
use crate::settings::{
    self, ChunkSize, LookupsFrom, Settings, SettingsError, Sharding, SinkTo, load,
};
use crate::sink::csv::CsvSink;
use crate::sink::parquet::ParquetSink;
use crate::sink::postgres::{PostgresError, PostgresSink};
use crate::sink::{Sink, SinkError};
use crate::spill::spiller::Spiller;
use crate::store::{Store, StoreError};
use crate::summary::finish::Tenant;

pub fn run(flags: &RunFlags) -> Result<u8> {
    let config = load::config(&flags.config)?;
    let settled = settings::settle(flags, &load::env, config.as_ref(), load::today())?;
    logging::start(&settled.settings.logging);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut settings = settled.settings;
    settings.performance.force_spill = flags.force_spill;
    let signals = Signals::listen()?;
    let started = Instant::now();
    let store = open_store(&settings, &signals)?;
    let rolled = once_more_if_moved(|| roll_up(&settings, &store, &signals))?;
    let RolledUp { plan, outcome } = &rolled;
    let traffic = store.traffic();
    let time = started.elapsed();
    output::print(Summary::new(&settings, plan, outcome.as_ref(), traffic, time))?;
    Ok(exit::DONE)
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
    let span = tracing::info_span!(
        "run",
        schema = %settings.postgres.schema,
        provider_uuid = %provider_list(settings),
        from = %settings.from,
        to = %settings.to,
    );
    let _entered = span.enter();
    let needs_database =
        settings.sink == SinkTo::Postgres || settings.lookups == LookupsFrom::Postgres;
    let mut client = needs_database.then(|| database::connect(&settings.postgres)).transpose()?;
    let lookups = load_lookups(settings, &mut client)?;
    let tenant = Tenant::new(&lookups, settings.aggregation)?;
    let enabled_keys = lookups.enabled_keys;
    let periods = periods::settle(settings, client.as_mut())?;

    let cgroup = watch::own_cgroup();
    let budget = budget(settings, cgroup.as_ref());
    tracing::info!("{budget}");
    let threads = threads(settings);
    let pool = pool(threads)?;
    let mut plan = pool.install(|| {
        discover::plan(settings, store, &|provider, month| {
            periods.get(&(provider, month)).cloned().unwrap_or_default()
        })
    })?;
    keep_shard(settings, &mut plan)?;
    periods::require(&plan.units)?;
    summary::warn_of_plan(&plan);
    if plan.units.is_empty() {
        return Ok(RolledUp { plan, outcome: None });
    }
    let division = divide(settings, &budget, &plan, threads)?;
    let (budget, shares) = match &division {
        Some(division) => (division.budget.clone(), division.shares),
        None => {
            let shares = shares(settings, &budget, &plan, threads)?;
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
    let sink = open_sink(settings, client, signals)?;
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
        pool: &pool,
        cancelled: signals.cancelled(),
        seed: Uuid::new_v4().as_u64_pair().0,
    };
    let outcome = match &division {
        None => pipeline::run(&job, sink)?,
        Some(division) => {
            let hello = hello(settings, &job, division, enabled_keys);
            let timeout = settings.performance.worker_timeout;
            process::run(&job, sink, &process::Setup { division, hello, timeout, cgroup })?
        }
    };
    summary::warn_of_outcome(&outcome);
    Ok(RolledUp { plan, outcome: Some(outcome) })
}

/// Leaves the days to other hosts that are theirs.
fn keep_shard(settings: &Settings, plan: &mut Plan) -> Result<(), SettingsError> {
    let Some(Sharding { count, index }) = settings.sharding else { return Ok(()) };
    let index = index.ok_or_else(|| SettingsError::no_shard_index(count))?;
    let whole = plan.units.len();
    Dealer::new(settings, count).keep(plan, index);
    let days = plan.units.len();
    tracing::info!(index, count, days, "shard {index} of {count}: {days} of {whole} days");
    Ok(())
}

fn load_lookups(settings: &Settings, client: &mut Option<Client>) -> Result<Lookups> {
    Ok(match &settings.lookups {
        LookupsFrom::Directory(folder) => lookups::csv::load(folder)?,
        LookupsFrom::Postgres => {
            let mut connected = connected(client.take(), settings)?;
            let lookups = lookups::postgres::load(&mut connected, &settings.postgres.schema)?;
            *client = Some(connected);
            lookups
        }
    })
}

/// How worker processes share the memory and the threads, where there are any.
fn divide(
    settings: &Settings,
    budget: &Budget,
    plan: &Plan,
    threads: usize,
) -> Result<Option<Division>, TooSmall> {
    let Some(processes) = settings.performance.processes else { return Ok(None) };
    let (decode, sink) = (plan.decode_bytes(), sink_bytes(&settings.sink));
    let division = process::shares::divide(budget, processes, threads, decode, sink)?;
    let Division { workers, worker_memory, worker_threads, .. } = division;
    let lack = if workers < processes {
        format!(" instead of {processes}, for lack of memory")
    } else {
        String::new()
    };
    tracing::info!(
        "{workers} worker processes{lack}, each of {} threads and {}",
        worker_threads,
        mebibytes(worker_memory)
    );
    Ok(Some(division))
}

/// What worker processes need to know, whatever their task.
fn hello(
    settings: &Settings,
    job: &Job<'_>,
    division: &Division,
    enabled_keys: Vec<String>,
) -> Hello {
    /// A sign of life is due well before it is missed.
    const SIGNS: u32 = 5;
    let performance = &settings.performance;
    let alive_every = (performance.worker_timeout / SIGNS).min(Duration::from_secs(1));
    Hello {
        parent: std::process::id(),
        source: settings.input.source.clone(),
        s3: settings.input.s3.as_ref().map(Into::into),
        enabled_keys,
        null_rules: settings.aggregation.null_rules,
        categorical: job.reading.categorical,
        all_columns: job.reading.all_columns,
        memory: division.worker_memory,
        decode_bytes: job.plan.decode_bytes(),
        threads: division.worker_threads,
        spill_dir: performance.spill_dir.clone(),
        force_spill: performance.force_spill,
        seed: job.seed,
        alive_every: alive_every.as_millis() as u64,
        log_level: settings.logging.level.clone(),
    }
}

/// Frees a run that was interrupted from waiting for PostgreSQL.
fn hurry(client: &Client, settings: &Settings) -> Hurry {
    let canceller = Canceller::of(client, &settings.postgres);
    Box::new(move || {
        if let Err(error) = canceller.cancel() {
            tracing::debug!("cannot ask PostgreSQL to stop: {error}");
        }
    })
}

/// From here on a run must be ended in good order.
fn open_sink(
    settings: &Settings,
    client: Option<Client>,
    signals: &Signals,
) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match &settings.sink {
        SinkTo::Csv(path) => {
            signals.begin_writing(None);
            Box::new(CsvSink::create(path)?)
        }
        SinkTo::Parquet(path) => {
            signals.begin_writing(None);
            Box::new(ParquetSink::create(path)?)
        }
        SinkTo::Postgres => {
            let client = connected(client, settings).map_err(PostgresError::from)?;
            signals.begin_writing(Some(hurry(&client, settings)));
            let sink = PostgresSink::open(client, &settings.postgres.schema)?;
            Box::new(sink.interrupted_by(signals.cancelled().clone()))
        }
    })
}

/// The connection there is, else a new one.
fn connected(client: Option<Client>, settings: &Settings) -> Result<Client, DatabaseError> {
    client.map_or_else(|| database::connect(&settings.postgres), Ok)
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
) -> Result<Shares, TooSmall> {
    budget.shares(threads as u64, plan.decode_bytes(), sink_bytes(&settings.sink))
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

/// What a sink holds while it writes.
fn sink_bytes(sink: &SinkTo) -> u64 {
    match sink {
        SinkTo::Postgres | SinkTo::Csv(_) => 1024 * 1024,
        SinkTo::Parquet(_) => crate::sink::parquet::MOST_BYTES,
    }
}

/// What affinity and the cgroup's quota allow.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn provider_list(settings: &Settings) -> String {
    let all: Vec<String> = settings.provider_uuids.iter().map(Uuid::to_string).collect();
    all.join(",")
}
