//! Worker processes of a run: how many, with what, and what they are told.

use std::time::Duration;

use super::sinks;
use crate::lookups::Lookups;
use crate::memory::shares::{Budget, TooSmall, mebibytes};
use crate::pipeline::Job;
use crate::plan::Plan;
use crate::process;
use crate::process::orders::Hello;
use crate::process::shares::Division;
use crate::settings::Settings;

/// How worker processes share the memory and the threads, where there are any.
pub(super) fn divide(
    settings: &Settings,
    budget: &Budget,
    plan: &Plan,
    threads: usize,
) -> Result<Option<Division>, TooSmall> {
    let Some(processes) = settings.performance.processes else { return Ok(None) };
    let sink = sinks::bytes(settings, sinks::connections(settings, budget, threads));
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
pub(super) fn hello(
    settings: &Settings,
    job: &Job<'_>,
    division: &Division,
    lookups: Lookups,
) -> Hello {
    /// A sign of life is due well before it is missed.
    const SIGNS: u32 = 5;
    let performance = &settings.performance;
    let alive_every = (performance.worker_timeout / SIGNS).min(Duration::from_secs(1));
    Hello {
        parent: std::process::id(),
        source: settings.input.source.clone(),
        s3: settings.input.s3.as_ref().map(Into::into),
        lookups,
        rules: settings.aggregation,
        categorical: job.reading.categorical,
        all_columns: job.reading.all_columns,
        memory: division.worker_memory,
        part: division.worker_part,
        decode_bytes: job.plan.decode_bytes(),
        threads: division.worker_threads,
        spill_dir: performance.spill_dir.clone(),
        force_spill: performance.force_spill,
        seed: job.seed,
        alive_every: alive_every.as_millis() as u64,
        log_level: settings.logging.level.clone(),
    }
}
