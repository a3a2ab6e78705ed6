//! Exit codes.

use super::output::OutputError;
use crate::demo::DemoError;
use crate::generate::GenerateError;
use crate::lookups::LookupsError;
use crate::lookups::periods::PeriodError;
use crate::memory::shares::TooSmall;
use crate::pipeline::RunError;
use crate::plan::PlanError;
use crate::settings::SettingsError;
use crate::sink::SinkError;

pub const DONE: u8 = 0;
pub const DIFFERENT: u8 = 1;
pub const USAGE: u8 = 2;
pub const INPUT: u8 = 3;
/// The database, or the file that was to be written.
pub const OUTPUT: u8 = 4;
pub const MEMORY: u8 = 5;
pub const INTERRUPTED: u8 = 6;

/// The exit code of a failed command, by the error that says what happened.
pub fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<TooSmall>() {
            return MEMORY;
        }
        if cause.is::<SettingsError>() {
            return USAGE;
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
                RunError::Sink(_) | RunError::Spill(_) => OUTPUT,
                RunError::Interrupted => INTERRUPTED,
            };
        }
        if let Some(error) = cause.downcast_ref::<GenerateError>() {
            return if error.is_usage() { USAGE } else { OUTPUT };
        }
        if let Some(DemoError::Folder { .. } | DemoError::Write { .. }) = cause.downcast_ref() {
            return OUTPUT;
        }
        if cause.is::<crate::database::DatabaseError>() {
            return OUTPUT;
        }
    }
    INPUT
}
