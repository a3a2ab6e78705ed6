//! `plan`: what `run` would do.

use std::sync::Arc;

use anyhow::Result;

use super::signals::Signals;
use super::{exit, logging, output, run};
use crate::cli::plan::PlanFlags;
use crate::memory::watch;
use crate::plan::discover::{self, MonthMeta};
use crate::plan::shards::Dealer;
use crate::report::identity::Identity;
use crate::report::plan::{PlanReport, Work};
use crate::settings::{self, load};

pub fn run(flags: &PlanFlags) -> Result<u8> {
    let config = load::config(&flags.run.config)?;
    let settled = settings::settle(&flags.run, &load::env, config.as_ref(), load::today())?;
    let settings = &settled.settings;
    logging::start_run(&settings.logging, Identity::of(settings), &Arc::default());
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let signals = Signals::listen()?;
    let store = run::open_store(settings, &signals)?;
    let threads = run::threads(settings);
    let pool = run::pool(threads)?;
    let mut plan = run::once_more_if_moved(|| {
        // What the rows would carry does not change what is read.
        let meta = |_, _| MonthMeta::default();
        Ok(pool.install(|| discover::plan(settings, &store, &meta))?)
    })?;
    let mut balance = Vec::new();
    if let Some(sharding) = &settings.sharding {
        let dealer = Dealer::new(settings, sharding)?;
        balance = dealer.balance(&plan);
        if let Some(index) = sharding.index {
            dealer.keep(&mut plan, index);
        }
    }
    let budget = run::budget(settings, watch::own_cgroup().as_ref());
    let shares = run::shares(settings, &budget, &plan, threads, store.distance())?;
    let (chunk_rows, adaptive) = run::chunk_rows(settings, &plan, shares.threads);
    let work = Work { budget, threads: shares.threads, chunk_rows, adaptive };
    let report = PlanReport::new(settings, &plan, work, &balance);
    if flags.json {
        output::print(format_args!("{:#}\n", report.json()))?;
    } else {
        output::print(report)?;
    }
    Ok(exit::DONE)
}
