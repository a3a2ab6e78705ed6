//! `status`: which days are done.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::signals::Signals;
use super::{exit, logging, output, run};
use crate::cli::status::StatusFlags;
use crate::database;
use crate::ledger::{Access, Ledger, State, fingerprint};
use crate::lookups::periods;
use crate::plan::{discover, units};
use crate::report::status::{DayStatus, StatusReport};
use crate::settings::{self, SettingsError, SinkTo, load};
use crate::sink::postgres::TABLE;

pub fn run(flags: &StatusFlags) -> Result<u8> {
    let config = load::config(&flags.run.config)?;
    let settled = settings::settle(&flags.run, &load::env, config.as_ref(), load::today())?;
    let settings = &settled.settings;
    logging::start(&settings.logging);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if settings.sink != SinkTo::Postgres {
        bail!(SettingsError::NoStatus);
    }
    let signals = Signals::listen()?;
    let store = run::open_store(settings, &signals)?;
    let mut client = database::connect(&settings.postgres)?;
    let lookups = run::lookups(settings, Some(&mut client))?;
    let periods = periods::settle(settings, Some(&mut client))?;
    let pool = run::pool(run::threads(settings))?;
    let plan = run::once_more_if_moved(|| {
        let meta = |provider, month| periods.get(&(provider, month)).cloned().unwrap_or_default();
        Ok(pool.install(|| discover::plan(settings, &store, &meta))?)
    })?;
    let ledger = Ledger::find(&mut client, &settings.postgres.schema, TABLE, Access::Read)?;
    let sources = &settings.provider_uuids;
    let mut entries = match ledger {
        Some(ledger) => ledger.entries(&mut client, sources, settings.from, settings.to)?,
        None => BTreeMap::new(),
    };
    let made_of = fingerprint::of_plan(&plan, settings, &lookups);
    let now: BTreeMap<_, _> = plan
        .units
        .iter()
        .zip(&made_of)
        .map(|(unit, made_of)| ((unit.meta.source_uuid, unit.meta.date), made_of))
        .collect();
    let mut days = Vec::new();
    for &source in sources {
        for date in units::days(settings.from, settings.to) {
            let entry = entries.remove(&(source, date));
            let state = State::of(now.get(&(source, date)).copied(), entry.as_ref());
            days.push(DayStatus { source, date, state, entry });
        }
    }
    let report = StatusReport::new(days);
    if flags.json {
        output::print(format_args!("{:#}\n", report.json()))?;
    } else {
        output::print(report)?;
    }
    Ok(exit::DONE)
}
