//! Compares two sets of summary rows: tables, CSV files and Parquet files in any combination.
//!
//! [`load`] reads a side into memory as [`Rows`]; [`compare`] matches two of them as multisets and
//! returns a [`Report`], which is pure data; [`render`] turns that into text or JSON.
//!
//! Columns are compared by name, as many as both sides have, `uuid` aside. Measures are compared
//! with a tolerance, JSON by value, dates by day, everything else exactly.

mod canonical;
mod compare;
mod csv_reader;
mod error;
mod load_csv;
mod load_parquet;
mod load_postgres;
mod matching;
mod number;
pub mod render;
mod report;
mod rows;
mod totals;
mod view;

use std::fmt;
use std::path::PathBuf;

use chrono::NaiveDate;
use uuid::Uuid;

pub use compare::compare;
pub use error::LoadError;
pub use report::{
    Cell, CellDifference, GroupTotal, MeasureTotal, Named, OneSided, Report, RowDifference,
    RowDifferenceKind, Side, Tolerance, Totals,
};
pub use rows::Rows;

/// A set of rows to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// `reporting_ocpusagelineitem_daily_summary` of the tenant schema.
    Postgres,
    Csv(PathBuf),
    /// A file, or a folder of files with Hive partitions (`key=value` folders) in it.
    Parquet(PathBuf),
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Table::Postgres => f.write_str("postgres"),
            Table::Csv(path) => write!(f, "csv:{}", path.display()),
            Table::Parquet(path) => write!(f, "parquet:{}", path.display()),
        }
    }
}

/// Which rows of a side are compared; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// First `usage_start`.
    pub from: Option<NaiveDate>,
    /// Last `usage_start`, inclusive.
    pub to: Option<NaiveDate>,
    /// Values of `source_uuid`; none means any.
    pub provider_uuids: Vec<Uuid>,
}

/// Where [`Table::Postgres`] is read.
pub struct Database<'a> {
    pub client: &'a mut postgres::Client,
    /// The tenant schema, unquoted.
    pub schema: &'a str,
}

/// How two sides are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Numbers are equal within `relative` of the larger one, or within `absolute`.
    pub relative: f64,
    pub absolute: f64,
    /// Differing rows that the report spells out; all are counted.
    pub max_rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { relative: 1e-9, absolute: 1e-12, max_rows: 20 }
    }
}

/// Reads the rows of `table` that `filter` lets through. `database` is used for
/// [`Table::Postgres`] alone.
///
/// # Errors
/// The side cannot be read or holds something that is not of its column's type; the message says
/// where.
pub fn load(
    table: &Table,
    filter: &Filter,
    database: Option<Database<'_>>,
) -> Result<Rows, LoadError> {
    match table {
        Table::Postgres => match database {
            Some(database) => load_postgres::load(database, filter),
            None => Err(LoadError::NoDatabase),
        },
        Table::Csv(path) => load_csv::load(path, filter),
        Table::Parquet(path) => load_parquet::load(path, filter),
    }
}
