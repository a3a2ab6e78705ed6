//! `run`: plan, roll up, write, say what was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use postgres::Client;
use uuid::Uuid;

use super::signals::{Hurry, Signals};
use super::{exit, ledger, logging, output};
use crate::cli::run::RunFlags;
use crate::database::{self, DatabaseError};
use crate::decode::row_group::Reading;
use crate::ledger::Recorder;
use crate::lookups::{self, Lookups, periods};
use crate::memory::limit::Cgroup;
use crate::memory::shares::{Budget, Shares, TooSmall, mebibytes};
use crate::memory::watch::{self, Watch};
use crate::memory::{allocator, limit, usage};
use crate::pipeline::{self, Job, Outcome};
use crate::plan::shards::Dealer;
use crate::plan::{Plan, PlanError, chunks, discover};
use crate::process;
use crate::process::orders::Hello;
use crate::process::shares::Division;
use crate::report;
use crate::report::ending::{Ending, State};
use crate::report::identity::Identity;
use crate::report::monitor::Monitor;
use crate::report::summary::{self, Summary};
use crate::settings::{
    self, ChunkSize, LookupsFrom, Month, Settings, SettingsError, Sharding, SinkTo, load,
};
use crate::sink::csv::CsvSink;
use crate::sink::observed::ObservedSink;
use crate::sink::parquet::ParquetSink;
use crate::sink::postgres::{
    Connections, DayOfRun, MonthOfRun, PostgresError, PostgresSink, Writing,
};
use crate::sink::{Sink, SinkError};
use crate::spill::spiller::Spiller;
use crate::store::{Store, StoreError};
use crate::summary::finish::Tenant;
use crate::summary::row::DayMeta;
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
    output::print(Summary::new(&settings, &plan, outcome.as_ref(), store.traffic(), time))?;
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
    let (mut client, mut lookups, periods) = telemetry.timed(Figure::LookupTime, || {
        let connect = || database::connect(&settings.postgres);
        let mut client = needs_database.then(connect).transpose()?;
        let lookups = lookups(settings, &mut client)?;
        let periods = periods::settle(settings, client.as_mut())?;
        anyhow::Ok((client, lookups, periods))
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
    let recorder = ledger::begin(settings, client.as_mut(), &lookups, &mut plan)?;
    let enabled_keys = std::mem::take(&mut lookups.enabled_keys);
    drop(lookups);
    telemetry.set_planned(|at| Planned::new(&plan, at));
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
    let writers = connections(settings, &budget, threads);
    let sink = open_sink(settings, client, &plan, writers, recorder, signals)?;
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
        seed: Uuid::new_v4().as_u64_pair().0,
    };
    let outcome = match &division {
        None => pipeline::run(&job, Box::new(sink))?,
        Some(division) => {
            let hello = hello(settings, &job, division, enabled_keys);
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

/// Loads the lookups, over `client` or a new connection if they are in the database.
pub fn lookups(settings: &Settings, client: &mut Option<Client>) -> Result<Lookups> {
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
    let sink = sink_bytes(settings, connections(settings, budget, threads));
    let decode = plan.decode_bytes();
    let division = process::shares::divide(budget, processes, threads, decode, sink)?;
    let Division { workers, worker_memory, worker_threads, .. } = division;
    let lack = if workers < processes {
        format!(" instead of {processes}, for lack of memory")
    } else {
        String::new()
    };
    tracing::info!(
        "worker processes: {workers}{lack}, each with {worker_threads} threads and {}",
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
fn hurry(connections: &Arc<Connections>) -> Hurry {
    let connections = connections.clone();
    Box::new(move || connections.cancel())
}

/// What the plan replaces of each month; months of sources without a report period are refused
/// later, by the day.
fn months(plan: &Plan) -> Vec<MonthOfRun> {
    let mut months: BTreeMap<Month, MonthOfRun> = BTreeMap::new();
    for DayMeta { date, source_uuid, report_period_id, .. } in plan.units.iter().map(|u| &*u.meta) {
        let month = Month::of(*date);
        let empty = || MonthOfRun { month, days: Vec::new(), hourly_rows: 0 };
        let of_run = months.entry(month).or_insert_with(empty);
        of_run.days.extend(report_period_id.map(|report_period_id| DayOfRun {
            date: *date,
            report_period_id,
            source_uuid: *source_uuid,
        }));
    }
    for group in plan.groups.iter().filter(|group| group.file.part.has_pods()) {
        let month = Month::of(plan.units[group.units.0].meta.date);
        if let Some(month) = months.get_mut(&month) {
            month.hourly_rows += group.group.rows as u64;
        }
    }
    months.into_values().collect()
}

/// From here on a run must be ended in good order.
fn open_sink(
    settings: &Settings,
    client: Option<Client>,
    plan: &Plan,
    writers: usize,
    recorder: Option<Recorder>,
    signals: &Signals,
) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match &settings.sink {
        SinkTo::Csv(path) => {
            signals.begin_writing(Some(Box::new(|| {})));
            Box::new(CsvSink::create(path)?)
        }
        SinkTo::Parquet(path) => {
            signals.begin_writing(Some(Box::new(|| {})));
            Box::new(ParquetSink::create(path)?)
        }
        SinkTo::Postgres => {
            let client = connected(client, settings).map_err(PostgresError::from)?;
            let connections = Arc::new(Connections::new(&settings.postgres, client));
            signals.begin_writing(Some(hurry(&connections)));
            let writing = Writing {
                connections,
                writers,
                copy_buffer: settings.loading.copy_buffer,
                bulk: settings.loading.bulk,
                months: months(plan),
                recorder,
                interrupted: signals.cancelled().clone(),
            };
            Box::new(PostgresSink::open_with(writing, &settings.postgres.schema)?)
        }
    })
}

/// The connection there is, if it is still one, else a new one.
fn connected(client: Option<Client>, settings: &Settings) -> Result<Client, DatabaseError> {
    let alive = client.filter(|client| !client.is_closed());
    alive.map_or_else(|| database::connect(&settings.postgres), Ok)
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
    let sink = sink_bytes(settings, connections(settings, budget, threads));
    budget.shares(threads as u64, plan.decode_bytes(), sink)
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
fn sink_bytes(settings: &Settings, connections: usize) -> u64 {
    /// Of a connection beside its rows.
    const CONNECTION: u64 = 256 * 1024;
    match settings.sink {
        // Rows are encoded in one buffer, copied to a second and sent from a third.
        SinkTo::Postgres => {
            connections as u64 * (3 * settings.loading.copy_buffer as u64 + CONNECTION)
        }
        SinkTo::Csv(_) => 1024 * 1024,
        SinkTo::Parquet(_) => crate::sink::parquet::MOST_BYTES,
    }
}

/// Days that are written at once.
fn connections(settings: &Settings, budget: &Budget, threads: usize) -> usize {
    /// More of them keep a server busy that others need too.
    const MOST: usize = 4;
    /// Below this the days that wait would take what the aggregation needs.
    const ENOUGH_MEMORY: u64 = 256 * 1024 * 1024;
    match settings.loading.connections {
        _ if settings.sink != SinkTo::Postgres => 1,
        Some(connections) => connections,
        None if budget.bytes < ENOUGH_MEMORY => 1,
        None => threads.min(MOST),
    }
}

/// What affinity and the cgroup's quota allow.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
