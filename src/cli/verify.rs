//! Flags of `ocp-rollup verify`.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use uuid::Uuid;

use super::logging::LoggingFlags;
use super::postgres::PostgresFlags;
use super::{ConfigFlag, Flags};
use crate::verify::{Filter, Options, Table};

/// What to compare.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "What to compare, and how")]
pub struct VerifyArgs {
    /// `postgres`, `csv:FILE`, `parquet:FILE_OR_FOLDER`, or a path ending in .csv or .parquet
    #[arg(value_parser = parse_table, help_heading = None)]
    pub left: Table,

    /// The other side, in the same form
    #[arg(value_parser = parse_table, help_heading = None)]
    pub right: Table,

    /// Compare only rows from this day on (YYYY-MM-DD, UTC)
    #[arg(long, value_name = "DATE")]
    pub from: Option<NaiveDate>,

    /// Compare only rows up to this day, inclusive
    #[arg(long, value_name = "DATE")]
    pub to: Option<NaiveDate>,

    /// Compare only rows of this source; may be given several times
    #[arg(long = "provider-uuid", value_name = "UUID")]
    pub provider_uuids: Vec<Uuid>,

    /// Largest relative difference of two numbers that still counts as equal; one of 1e-12 or less, not
    /// relative, always does
    #[arg(long, value_name = "NUMBER", default_value = "1e-9", value_parser = parse_tolerance)]
    pub tolerance: f64,

    /// Differing rows to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub max_rows: usize,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// Compare two sets of summary rows: the PostgreSQL table, CSV and Parquet files.
///
/// Rows are compared as a multiset on the columns both sides have. Exit code: 0 equal, 1 different,
/// 2 wrong flags, 3 a file cannot be read, 4 the database cannot be read.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyCommand {
    #[command(flatten)]
    pub config: ConfigFlag,
    #[command(flatten)]
    pub args: VerifyArgs,
    #[command(flatten)]
    pub postgres: PostgresFlags,
    #[command(flatten)]
    pub logging: LoggingFlags,
}

impl Flags for VerifyCommand {
    fn value(&self, name: &str) -> Option<String> {
        self.postgres.value(name).or_else(|| self.logging.value(name))
    }
}

impl VerifyArgs {
    /// Which rows to compare.
    ///
    /// # Errors
    /// A message for the user when the dates are the wrong way round.
    pub fn filter(&self) -> Result<Filter, String> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(format!("--from {from} is after --to {to}: swap them"));
        }
        Ok(Filter { from: self.from, to: self.to, provider_uuids: self.provider_uuids.clone() })
    }

    /// How to compare them.
    pub fn options(&self) -> Options {
        Options { relative: self.tolerance, max_rows: self.max_rows, ..Options::default() }
    }

    /// Whether a connection to PostgreSQL is needed.
    pub fn needs_database(&self) -> bool {
        self.left == Table::Postgres || self.right == Table::Postgres
    }
}

fn parse_table(text: &str) -> Result<Table, String> {
    let path = |path: &str| match path {
        "" => Err(format!("`{text}` names no file")),
        path => Ok(PathBuf::from(path)),
    };
    if text == "postgres" {
        return Ok(Table::Postgres);
    }
    if let Some(file) = text.strip_prefix("csv:") {
        return path(file).map(Table::Csv);
    }
    if let Some(file) = text.strip_prefix("parquet:") {
        return path(file).map(Table::Parquet);
    }
    match Path::new(text).extension().and_then(|e| e.to_str()) {
        Some("csv") => Ok(Table::Csv(text.into())),
        Some("parquet") => Ok(Table::Parquet(text.into())),
        _ => Err(
            "give `postgres`, `csv:FILE`, `parquet:FILE_OR_FOLDER`, or a path ending in .csv or \
                  .parquet"
                .to_owned(),
        ),
    }
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(tolerance) if (0.0..1.0).contains(&tolerance) => Ok(tolerance),
        _ => Err("give a number from 0 up to, but not including, 1, e.g. 1e-9".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: VerifyArgs,
    }

    fn parse(line: &str) -> Result<VerifyArgs, clap::Error> {
        Command::try_parse_from(std::iter::once("verify").chain(line.split(' '))).map(|c| c.args)
    }

    #[test]
    fn sides() {
        let args = parse("postgres out.csv").unwrap();
        assert_eq!((args.left, args.right), (Table::Postgres, Table::Csv("out.csv".into())));
        let args = parse("csv:x parquet:folder").unwrap();
        assert_eq!(
            (args.left, args.right),
            (Table::Csv("x".into()), Table::Parquet("folder".into()))
        );
        assert!(!parse("a.csv b.parquet").unwrap().needs_database());
        for bad in ["a b.csv", "csv: b.csv", "postgress b.csv", "a.csv"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filter_and_tolerance() {
        let args = parse("a.csv b.csv --from 2025-10-01 --to 2025-10-31 --tolerance 1e-6").unwrap();
        assert_eq!(args.options().relative, 1e-6);
        assert_eq!(args.filter().unwrap().from, "2025-10-01".parse().ok());
        let args = parse("a.csv b.csv --from 2025-11-01 --to 2025-10-31").unwrap();
        assert!(args.filter().unwrap_err().contains("after"));
        for bad in ["--tolerance -1", "--tolerance nan", "--tolerance 1", "--from 2025-13-01"] {
            assert!(parse(&format!("a.csv b.csv {bad}")).is_err(), "{bad}");
        }
    }
}
