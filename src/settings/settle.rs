//! Flags, environment and config file to [`Settings`]. Pure.

use std::time::Duration;

use chrono::NaiveDate;

use super::config::ConfigFile;
use super::dates::{self, Month};
use super::error::SettingsError;
use super::keys::{self, Key};
use super::sources::{Env, Sources};
use super::values::{self, choice, switch};
use super::{
    Aggregation, ChunkSize, FanOut, Input, LogFormat, Logging, LookupsFrom, NullRules, Performance,
    PodSource, Postgres, S3, Settings, Sharding, SinkTo, database, layout, loading, observe,
    storage,
};
use crate::cli::Flags;

/// Settled settings, and what the user should know of how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled<T> {
    pub settings: T,
    pub warnings: Vec<String>,
}

/// Settles the settings of a run: flags over `env` over `config` over defaults. `today` is the
/// current day in UTC.
///
/// # Errors
/// What is missing, contradictory or cannot be read, by the flag, variable or key that gave it.
pub fn settle(
    flags: &dyn Flags,
    env: Env<'_>,
    config: Option<&ConfigFile>,
    today: NaiveDate,
) -> Result<Settled<Settings>, SettingsError> {
    let mut sources = Sources::new(flags, env, config)?;
    let settings = run(&mut sources, today)?;
    Ok(settled(settings, sources))
}

/// Settles only what a subcommand without a range of its own needs: database and logging.
///
/// # Errors
/// As for [`settle`]; a database without a schema is one.
pub fn settle_database(
    flags: &dyn Flags,
    env: Env<'_>,
    config: Option<&ConfigFile>,
) -> Result<Settled<(Postgres, Logging)>, SettingsError> {
    let mut sources = Sources::new(flags, env, config)?;
    let both = (database::settle(&mut sources, true)?, logging(&mut sources)?);
    Ok(settled(both, sources))
}

/// Settles logging alone.
///
/// # Errors
/// As for [`settle`].
pub fn settle_logging(
    flags: &dyn Flags,
    env: Env<'_>,
    config: Option<&ConfigFile>,
) -> Result<Settled<Logging>, SettingsError> {
    let mut sources = Sources::new(flags, env, config)?;
    let logging = logging(&mut sources)?;
    Ok(settled(logging, sources))
}

/// Settles how to reach an object store that is written to.
///
/// # Errors
/// As for [`settle`].
pub fn settle_s3(
    flags: &dyn Flags,
    env: Env<'_>,
    config: Option<&ConfigFile>,
) -> Result<Settled<S3>, SettingsError> {
    let mut sources = Sources::new(flags, env, config)?;
    let s3 = storage::s3(&mut sources)?;
    Ok(settled(s3, sources))
}

/// The text of a single setting, wherever it was given.
///
/// # Errors
/// As for [`settle`], as far as they concern reading it.
pub fn given(
    key: &Key,
    flags: &dyn Flags,
    env: Env<'_>,
    config: Option<&ConfigFile>,
) -> Result<Option<String>, SettingsError> {
    Sources::new(flags, env, config)?.text(key)
}

fn settled<T>(settings: T, sources: Sources<'_>) -> Settled<T> {
    let mut warnings = Vec::new();
    for warning in sources.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Settled { settings, warnings }
}

fn run(sources: &mut Sources<'_>, today: NaiveDate) -> Result<Settings, SettingsError> {
    let logging = logging(sources)?;
    let lookups = sources.parse(&keys::LOOKUPS, values::lookups)?.unwrap_or(LookupsFrom::Postgres);
    let sink = sources.parse(&keys::SINK, values::sink)?.unwrap_or(SinkTo::Postgres);
    let aggregation = aggregation(sources)?;
    let input = input(sources)?;
    let uses_database = lookups == LookupsFrom::Postgres || sink == SinkTo::Postgres;
    let postgres = database::settle(sources, uses_database)?;
    let ledger = sources.parse(&keys::LEDGER, switch)?.unwrap_or(true);
    let incremental = incremental(sources, &sink, ledger)?;

    let raw = sources.need(&keys::PROVIDER_UUID, "provider UUID (whose usage to roll up)")?;
    let provider_uuids = values::uuids(&raw)?;
    let (from, to) = dates::range(sources, today)?;
    let report_period_id = report_period(sources, from, to, provider_uuids.len())?;
    let cluster_id = of_one_source(sources, &keys::CLUSTER_ID, "cluster id", provider_uuids.len())?;
    let cluster_alias =
        of_one_source(sources, &keys::CLUSTER_ALIAS, "cluster alias", provider_uuids.len())?;

    Ok(Settings {
        input,
        from,
        to,
        provider_uuids,
        cluster_id,
        cluster_alias,
        report_period_id,
        lookups,
        sink,
        postgres,
        loading: loading::settle(sources)?,
        performance: performance(sources)?,
        aggregation,
        allow_empty: sources.parse(&keys::ALLOW_EMPTY, switch)?.unwrap_or(false),
        sharding: sharding(sources)?,
        incremental,
        ledger,
        observe: observe::settle(sources)?,
        logging,
    })
}

fn incremental(
    sources: &mut Sources<'_>,
    sink: &SinkTo,
    ledger: bool,
) -> Result<bool, SettingsError> {
    let Some(raw) = sources.read(&keys::INCREMENTAL)? else { return Ok(false) };
    let asked = switch(&raw)?;
    let lacks = match (sink, ledger) {
        (SinkTo::Postgres, true) => return Ok(asked),
        (SinkTo::Postgres, false) => "the ledger is off: turn it on",
        _ => "the rows go to a file: use the sink `postgres`",
    };
    match asked {
        true => Err(SettingsError::NoLedger { origin: raw.origin.to_string(), lacks }),
        false => Ok(false),
    }
}

fn input(sources: &mut Sources<'_>) -> Result<Input, SettingsError> {
    let (source, s3) = storage::settle(sources)?;
    let pod_source = sources
        .read(&keys::POD_SOURCE)?
        .map(|raw| choice(&raw, POD_SOURCES).map(|p| (p, raw.origin.to_string())))
        .transpose()?;
    let layout = layout::settle(sources, pod_source)?;
    let org_id = match sources.parse(&keys::ORG_ID, values::org_id)? {
        Some(org_id) => org_id,
        None if !layout.needs_org_id() => String::new(),
        // Koku derives the account from the schema.
        None => sources.parse(&keys::DB_SCHEMA, values::org_id)?.ok_or_else(|| {
            SettingsError::Missing { what: "org id for the paths", ways: keys::ORG_ID.ways() }
        })?,
    };
    let strict_duplicates = sources.parse(&keys::STRICT_DUPLICATES, switch)?.unwrap_or(false);
    Ok(Input { source, layout, org_id, s3, strict_duplicates })
}

const POD_SOURCES: &[(&str, PodSource)] =
    &[("hourly", PodSource::Hourly), ("daily", PodSource::Daily)];

fn aggregation(sources: &mut Sources<'_>) -> Result<Aggregation, SettingsError> {
    let pod_source = sources.parse(&keys::POD_SOURCE, |raw| choice(raw, POD_SOURCES))?;
    let fan_out = sources.parse(&keys::FAN_OUT, |raw| {
        choice(raw, &[("koku", FanOut::Koku), ("collapse", FanOut::Collapse)])
    })?;
    let null_rules = sources.parse(&keys::NULL_RULES, |raw| {
        choice(raw, &[("self_hosted", NullRules::SelfHosted), ("trino", NullRules::Trino)])
    })?;
    Ok(Aggregation {
        pod_source: pod_source.unwrap_or(PodSource::Hourly),
        fan_out: fan_out.unwrap_or(FanOut::Koku),
        null_rules: null_rules.unwrap_or(NullRules::SelfHosted),
    })
}

/// A process whose machine swaps may be silent for long.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);

fn performance(sources: &mut Sources<'_>) -> Result<Performance, SettingsError> {
    Ok(Performance {
        use_streaming: sources.parse(&keys::USE_STREAMING, switch)?.unwrap_or(true),
        use_categorical: sources.parse(&keys::USE_CATEGORICAL, switch)?.unwrap_or(true),
        column_filtering: sources.parse(&keys::COLUMN_FILTERING, switch)?.unwrap_or(true),
        chunk_size: sources
            .parse(&keys::CHUNK_SIZE, values::chunk_size)?
            .unwrap_or(ChunkSize::Auto),
        threads: sources.parse(&keys::MAX_WORKERS, values::threads)?.flatten(),
        processes: sources.parse(&keys::PROCESSES, values::processes)?.flatten(),
        worker_timeout: sources
            .parse(&keys::WORKER_TIMEOUT, values::duration)?
            .unwrap_or(WORKER_TIMEOUT),
        memory_limit: memory_limit(sources)?,
        spill_dir: sources
            .read(&keys::SPILL_DIR)?
            .map_or_else(std::env::temp_dir, |raw| raw.text.into()),
        force_spill: None,
    })
}

fn memory_limit(sources: &mut Sources<'_>) -> Result<Option<u64>, SettingsError> {
    match sources.read(&keys::MEMORY_LIMIT)? {
        Some(raw) if raw.is_from_file() && sources.is_in_file(&keys::MAX_MEMORY_GB) => {
            Err(SettingsError::BothSet {
                first: raw.origin.to_string(),
                second: format!("`{}`", keys::MAX_MEMORY_GB.path),
            })
        }
        Some(raw) => values::memory(&raw),
        None => sources.parse(&keys::MAX_MEMORY_GB, values::gibibytes),
    }
}

fn sharding(sources: &mut Sources<'_>) -> Result<Option<Sharding>, SettingsError> {
    let index = sources.read(&keys::SHARD_INDEX)?;
    let weights = sources.read(&keys::SHARD_WEIGHTS)?;
    let Some(count) = sources.parse(&keys::SHARD_COUNT, values::shard_count)? else {
        return match weights.or(index) {
            None => Ok(None),
            Some(raw) if raw.is_explicit() || raw.is_from_file() => {
                let present = raw.origin.to_string();
                let ways = keys::SHARD_COUNT.ways();
                Err(SettingsError::Incomplete { present, what: "shard count", ways })
            }
            // Kubernetes sets it in every indexed Job, whatever that is indexed by.
            Some(raw) => {
                sources.warnings.push(format!(
                    "{} is set, but there is no shard count, so this run does all days; give {} if \
                     they were to be shared",
                    raw.origin,
                    keys::SHARD_COUNT.ways()
                ));
                Ok(None)
            }
        };
    };
    let index = index.map(|raw| values::shard_index(&raw, count)).transpose()?;
    let weights = weights.map(|raw| raw.text.into());
    Ok(Some(Sharding { count, index, weights }))
}

fn report_period(
    sources: &mut Sources<'_>,
    from: NaiveDate,
    to: NaiveDate,
    providers: usize,
) -> Result<Option<i32>, SettingsError> {
    let Some(raw) = sources.read(&keys::REPORT_PERIOD_ID)? else { return Ok(None) };
    let id = values::report_period_id(&raw)?;
    let months = Month::between(from, to).len();
    if months > 1 {
        let origin = raw.origin.to_string();
        return Err(SettingsError::OnePeriodManyMonths { origin, from, to, months });
    }
    if providers > 1 {
        let origin = raw.origin.to_string();
        return Err(SettingsError::OneForManySources { origin, what: "report period", providers });
    }
    Ok(Some(id))
}

/// A text that is right for one source only: on the rows of several it would be wrong unnoticed.
fn of_one_source(
    sources: &mut Sources<'_>,
    key: &Key,
    what: &'static str,
    providers: usize,
) -> Result<Option<String>, SettingsError> {
    match sources.read(key)? {
        Some(raw) if providers > 1 => Err(SettingsError::OneForManySources {
            origin: raw.origin.to_string(),
            what,
            providers,
        }),
        raw => Ok(raw.map(|raw| raw.text)),
    }
}

fn logging(sources: &mut Sources<'_>) -> Result<Logging, SettingsError> {
    Ok(Logging {
        level: sources
            .parse(&keys::LOG_LEVEL, values::log_level)?
            .unwrap_or_else(|| "info".to_owned()),
        format: sources.parse(&keys::LOG_FORMAT, values::log_format)?.unwrap_or(LogFormat::Auto),
    })
}
