//! Exit codes.

use super::output::OutputError;
use super::shell::ManError;
use crate::bench::BenchError;
use crate::demo::DemoError;
use crate::generate::GenerateError;
use crate::ledger::LedgerError;
use crate::lookups::LookupsError;
use crate::lookups::periods::PeriodError;
use crate::memory::shares::TooSmall;
use crate::pipeline::RunError;
use crate::plan::PlanError;
use crate::plan::weights::WeightsError;
use crate::process::WorkerError;
use crate::report::metrics::MetricsError;
use crate::report::run::ReportError;
use crate::settings::SettingsError;
use crate::sink::SinkError;
use crate::store::StoreError;

pub const DONE: u8 = 0;
pub const DIFFERENT: u8 = 1;
pub const USAGE: u8 = 2;
pub const INPUT: u8 = 3;
/// The database, or the file that was to be written.
pub const OUTPUT: u8 = 4;
pub const MEMORY: u8 = 5;
pub const INTERRUPTED: u8 = 6;

/// The store's error that made a command fail, if one did.
pub fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    // Errors that only pass another one on hide it from the chain of causes.
    error
        .chain()
        .find_map(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(RunError::Read(PlanError::Store(error))), _)
            | (_, Some(PlanError::Store(error))) => Some(error),
            _ => None,
        })
        .or_else(|| StoreError::find(error.as_ref()))
}

/// The exit code of a failed command, by the error that says what happened.
pub fn code(error: &anyhow::Error) -> u8 {
    match store_error(error) {
        Some(StoreError::Interrupted) => return INTERRUPTED,
        Some(StoreError::Unsendable { .. } | StoreError::Request { .. }) => return USAGE,
        _ => {}
    }
    for cause in error.chain() {
        if cause.is::<TooSmall>() {
            return MEMORY;
        }
        if cause.is::<SettingsError>() || cause.is::<WeightsError>() {
            return USAGE;
        }
        if let Some(error) = cause.downcast_ref::<MetricsError>() {
            return if matches!(error, MetricsError::File(_)) { OUTPUT } else { USAGE };
        }
        if cause.is::<ReportError>() {
            return OUTPUT;
        }
        if let Some(error) = cause.downcast_ref::<ManError>() {
            return if matches!(error, ManError::NoCommand { .. }) { USAGE } else { OUTPUT };
        }
        if cause.is::<PlanError>() {
            return INPUT;
        }
        if cause.is::<SinkError>() || cause.is::<PeriodError>() || cause.is::<OutputError>() {
            return OUTPUT;
        }
        if let Some(error) = cause.downcast_ref::<LookupsError>() {
            return match error {
                LookupsError::Database(_) => OUTPUT,
                _ => INPUT,
            };
        }
        if let Some(error) = cause.downcast_ref::<RunError>() {
            return match error {
                RunError::Read(_) | RunError::Input(_) => INPUT,
                RunError::Sink(_) | RunError::Spill(_) | RunError::Incomplete { .. } => OUTPUT,
                RunError::TooLarge { .. } => MEMORY,
                RunError::Worker(error) => worker_code(error),
                // No one waits for the code.
                RunError::CoordinatorGone { .. } => OUTPUT,
                RunError::Interrupted => INTERRUPTED,
            };
        }
        if let Some(error) = cause.downcast_ref::<GenerateError>() {
            return match error {
                GenerateError::Store(StoreError::Interrupted) => INTERRUPTED,
                error if error.is_usage() => USAGE,
                _ => OUTPUT,
            };
        }
        if let Some(DemoError::Folder { .. } | DemoError::Write { .. }) = cause.downcast_ref() {
            return OUTPUT;
        }
        if let Some(error) = cause.downcast_ref::<BenchError>() {
            return match error {
                BenchError::NotTaken { .. } => USAGE,
                BenchError::Failed { code, .. } => *code,
                BenchError::Different { .. } => DIFFERENT,
                BenchError::Killed { .. } => MEMORY,
                BenchError::Interrupted => INTERRUPTED,
                BenchError::Folder { .. }
                | BenchError::Start { .. }
                | BenchError::Watch { .. }
                | BenchError::Answer { .. }
                | BenchError::ReadBack { .. } => OUTPUT,
            };
        }
        if cause.is::<crate::database::DatabaseError>() || cause.is::<LedgerError>() {
            return OUTPUT;
        }
    }
    INPUT
}

fn worker_code(error: &WorkerError) -> u8 {
    match error {
        WorkerError::Failed { code, .. } => *code,
        WorkerError::Died { first, second, .. } => {
            if first.is_out_of_memory() || second.is_out_of_memory() { MEMORY } else { INPUT }
        }
        WorkerError::Start { .. }
        | WorkerError::Version
        | WorkerError::Garbled
        | WorkerError::Failpoint(_) => INPUT,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decode::error::InputError;

    #[test]
    fn a_stores_error_is_found_wherever_it_stands() {
        let moved = || StoreError::Changed { path: "p".into() };
        let page = |error: std::io::Error| InputError::Read { object: "p".into(), source: error };
        let run: RunError = PlanError::from(moved()).into();
        let pages: RunError = page(std::io::Error::other(moved())).into();
        let arrays: RunError = page(std::io::Error::other(Arc::new(moved()))).into();
        let said = anyhow::Error::from(PlanError::from(moved())).context("while planning");
        for error in
            [run.into(), PlanError::from(moved()).into(), pages.into(), arrays.into(), said]
        {
            assert!(store_error(&error).is_some_and(StoreError::is_moved), "{error:#}");
            assert_eq!(code(&error), INPUT);
        }
        let interrupted: RunError = PlanError::from(StoreError::Interrupted).into();
        assert_eq!(code(&interrupted.into()), INTERRUPTED);
        let other: RunError = page(std::io::Error::other("disk")).into();
        assert!(store_error(&other.into()).is_none());
    }
}
