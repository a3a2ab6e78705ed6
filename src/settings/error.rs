//! Why settings could not be settled.

use std::io;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::dates::Month;

/// Each message names the flag, variable or key, its value, and what to do. Values of secrets
/// never stand in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    #[error("cannot read the config file {}; check --config (or OCP_ROLLUP_CONFIG)", path.display())]
    ReadConfig { path: PathBuf, source: io::Error },

    #[error("{} is not valid YAML", path.display())]
    Yaml { path: PathBuf, source: serde_norway::Error },

    #[error("{}: unknown key `{key}`{}", path.display(), suggest(suggestion.as_deref()))]
    UnknownKey { path: PathBuf, key: String, suggestion: Option<String> },

    #[error("{}: `{key}` must be {expected}, not {found}", path.display())]
    WrongType { path: PathBuf, key: String, expected: &'static str, found: String },

    #[error(
        "{}: `{key}` uses the environment variable {name}, which is not set; set it, or write \
         ${{{name}:-default}}",
        path.display()
    )]
    UnsetVariable { path: PathBuf, key: String, name: String },

    #[error(
        "{}: `{key}` holds a placeholder that cannot be read: {why}; write ${{NAME}} or \
         ${{NAME:-default}}, and $${{ for a literal ${{",
        path.display()
    )]
    BadPlaceholder { path: PathBuf, key: String, why: &'static str },

    #[error("{origin} is `{value}`, but must be {expected}")]
    Invalid { origin: String, value: String, expected: String },

    #[error("no {what}: give {ways}")]
    Missing { what: &'static str, ways: String },

    #[error("{first} and {second} are both set; remove one of them")]
    BothSet { first: String, second: String },

    #[error("{present} is set but no {what}: give {ways} too, or remove it")]
    Incomplete { present: String, what: &'static str, ways: String },

    #[error(
        "the range is reversed: {from_origin} is {from}, after {to_origin}, which is {to}; swap them"
    )]
    ReversedDates { from: NaiveDate, from_origin: String, to: NaiveDate, to_origin: String },

    #[error(
        "{origin} is {date}, outside {month} of {month_origin}; make them agree, or give both \
         `--from` and `--to`, which beat them"
    )]
    OutsideMonth { origin: String, date: NaiveDate, month: Month, month_origin: String },

    #[error(
        "{origin} names one report period, but {from} to {to} spans {months} months and each month \
         is a report period of its own; remove it to have them looked up, or run month by month"
    )]
    OnePeriodManyMonths { origin: String, from: NaiveDate, to: NaiveDate, months: usize },

    #[error(
        "{origin} names one {what}, but {providers} sources are asked and each has its own; remove \
         it to have them looked up, or run source by source"
    )]
    OneForManySources { origin: String, what: &'static str, providers: usize },

    #[error(
        "{origin} asks to leave out days whose input has not changed, which a ledger in PostgreSQL \
         tells, but {lacks}, or leave this out"
    )]
    NoLedger { origin: String, lacks: &'static str },

    #[error(
        "the ledger, which says which days are done, is kept in PostgreSQL: ask with the sink \
         `postgres`"
    )]
    NoStatus,

    #[error("{origin} is `{template}`: {fault}")]
    Template { origin: String, template: String, fault: String },

    #[error(
        "{origin} is `daily`, but {layout} says only where the hourly files lie; give {ways}, or \
         use `hourly`"
    )]
    NoDailyLayout { origin: String, layout: String, ways: String },
}

fn suggest(key: Option<&str>) -> String {
    match key {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; config/config.yaml shows every key".to_owned(),
    }
}
