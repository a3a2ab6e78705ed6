//! The only part of the settings that looks at the world: environment, config file and clock.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};

use super::config::ConfigFile;
use super::error::SettingsError;
use crate::cli::ConfigFlag;

/// An environment variable of this process. One that is not Unicode is given with replacement
/// characters, so that it fails where it is used rather than being overlooked.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn env(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The current day in UTC.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock's day")]
pub fn today() -> NaiveDate {
    Utc::now().date_naive()
}

/// The time of day, UTC, for logs and reports.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Reads the config file that `--config` or `OCP_ROLLUP_CONFIG` names; `None` if neither does.
///
/// # Errors
/// If it cannot be read or is not UTF-8.
pub fn config(flag: &ConfigFlag) -> Result<Option<ConfigFile>, SettingsError> {
    let named = || env("OCP_ROLLUP_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = flag.config.clone().or_else(named) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(ConfigFile { path, text })),
        Err(source) => Err(SettingsError::ReadConfig { path, source }),
    }
}
