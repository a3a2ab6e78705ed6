//! `run`: plan, roll up, write, say what was done.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use postgres::Client;
use uuid::Uuid;

use super::{exit, logging};
use crate::cli::run::RunFlags;
use crate::decode::row_group::Reading;
use crate::lookups::{self, periods};
use crate::pipeline::{self, Job, Outcome};
use crate::plan::{Plan, PlanError, chunks, discover};
use crate::report::summary::{self, Summary};
use crate::settings::{self, ChunkSize, LookupsFrom, Settings, SinkTo, load};
use crate::sink::{Sink, SinkError, csv::CsvSink, parquet::ParquetSink, postgres::PostgresSink};
use crate::store::{Store, StoreError};
use crate::summary::finish::Tenant;

/// Row groups with more compressed bytes than this are read page by page.
const MOST_GROUP_BYTES: u64 = 32 * 1024 * 1024;

pub fn run(flags: &RunFlags) -> Result<u8> {
    let config = load::config(&flags.config)?;
    let settled = settings::settle(flags, &load::env, config.as_ref(), load::today())?;
    logging::start(&settled.settings.logging);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let cancelled = super::signals::cancelled()?;
    let started = Instant::now();
    let settings = &settled.settings;
    let store = open_store(settings, &cancelled)?;
    let rolled = once_more_if_moved(|| roll_up(settings, &store, &cancelled))?;
    let outcome = rolled.outcome.as_ref();
    let traffic = store.traffic();
    print!("{}", Summary::new(settings, &rolled.plan, outcome, traffic, started.elapsed()));
    Ok(exit::DONE)
}

/// The store of the settled source.
pub fn open_store(settings: &Settings, cancelled: &Arc<AtomicBool>) -> Result<Store> {
    Ok(Store::open(&settings.input, cancelled).map_err(PlanError::from)?)
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
pub fn roll_up(
    settings: &Settings,
    store: &Store,
    cancelled: &Arc<AtomicBool>,
) -> Result<RolledUp> {
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
    let mut client =
        if needs_database { Some(crate::database::connect(&settings.postgres)?) } else { None };
    let tenant = tenant(settings, client.as_mut())?;
    let periods = periods::settle(settings, client.as_mut())?;

    let (threads, pool) = worker_threads(settings)?;
    let plan = pool.install(|| {
        discover::plan(settings, store, &|provider, month| {
            periods.get(&(provider, month)).cloned().unwrap_or_default()
        })
    })?;
    summary::warn_of_plan(&plan);
    if plan.units.is_empty() {
        return Ok(RolledUp { plan, outcome: None });
    }
    let chunks = chunks::cut(&plan.groups, chunk_rows(settings, &plan, threads));
    let sink = open_sink(settings, client)?;
    let job = Job {
        plan: &plan,
        chunks: &chunks,
        store,
        tenant: &tenant,
        reading: Reading {
            categorical: settings.performance.use_categorical,
            all_columns: !settings.performance.column_filtering,
        },
        streaming: settings.performance.use_streaming,
        most_group_bytes: MOST_GROUP_BYTES,
        pool: &pool,
        cancelled,
        seed: Uuid::new_v4().as_u64_pair().0,
    };
    let outcome = pipeline::run(&job, sink)?;
    summary::warn_of_outcome(&outcome);
    Ok(RolledUp { plan, outcome: Some(outcome) })
}

/// How many worker threads a run has, and they themselves.
pub fn worker_threads(settings: &Settings) -> Result<(usize, rayon::ThreadPool)> {
    let threads = settings.performance.threads.unwrap_or_else(available_threads);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("aggregate-{i}"))
        .build()
        .context("cannot start the worker threads; try fewer with --threads")?;
    Ok((threads, pool))
}

/// How many rows a task aggregates at once.
pub fn chunk_rows(settings: &Settings, plan: &Plan, threads: usize) -> usize {
    match settings.performance.chunk_size {
        ChunkSize::Auto => chunks::usual_rows(&plan.groups, threads),
        ChunkSize::Rows(rows) => rows,
    }
}

fn tenant(settings: &Settings, client: Option<&mut Client>) -> Result<Tenant> {
    let lookups = match (&settings.lookups, client) {
        (LookupsFrom::Directory(folder), _) => lookups::csv::load(folder)?,
        (LookupsFrom::Postgres, Some(client)) => {
            lookups::postgres::load(client, &settings.postgres.schema)?
        }
        (LookupsFrom::Postgres, None) => lookups::Lookups::default(),
    };
    Ok(Tenant::new(&lookups, settings.aggregation)?)
}

fn open_sink(settings: &Settings, client: Option<Client>) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match (&settings.sink, client) {
        (SinkTo::Csv(path), _) => Box::new(CsvSink::create(path)?),
        (SinkTo::Parquet(path), _) => Box::new(ParquetSink::create(path)?),
        (SinkTo::Postgres, Some(client)) => {
            Box::new(PostgresSink::open(client, &settings.postgres.schema)?)
        }
        (SinkTo::Postgres, None) => unreachable!("a PostgreSQL sink has a connection"),
    })
}

/// What affinity and the cgroup's quota allow.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn provider_list(settings: &Settings) -> String {
    let all: Vec<String> = settings.provider_uuids.iter().map(Uuid::to_string).collect();
    all.join(",")
}
