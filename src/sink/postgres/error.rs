//! Why the table could not take a day.

use std::time::Duration;

use chrono::NaiveDate;
use uuid::Uuid;

use super::encode::Unstorable;
use crate::database::{DatabaseError, Passing};
use crate::failpoint::FailpointError;

/// Why PostgreSQL could not take a day. Whatever the reason, nothing of that day is kept and its
/// old rows stay, but for [`PostgresError::CommitUnknown`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(
        "the schema `{schema}` has no table `{table}`: check the schema, or run Koku's migrations \
         for that tenant"
    )]
    NoTable { schema: String, table: &'static str },
    #[error("{table} is not a table (pg_class.relkind is `{kind}`): rows can only go to a table")]
    NotATable { table: String, kind: String },
    #[error("the database user lacks {privilege} on {table}: grant it, or use another user")]
    NoPrivilege { table: String, privilege: &'static str },
    #[error("the database is read-only: connect to the primary server, as a user that may write")]
    ReadOnly,
    #[error("{table} has no column `{column}`, without which no day can be replaced")]
    ColumnRequired { table: String, column: &'static str },
    #[error(
        "{table} has no column `{column}`, but {row} has `{value}` there: add the column (Koku's \
         migrations do)"
    )]
    ColumnMissing { table: String, column: &'static str, row: String, value: String },
    #[error("column `{column}` of {table} has type {found}, not {expected}")]
    ColumnType { table: String, column: String, expected: &'static str, found: String },
    #[error(
        "column `{column}` of {table} must not be null and has no default, and this program does \
         not know it: give it a default or let it be null"
    )]
    ColumnUnknown { table: String, column: String },
    #[error(
        "{date} of source {source_uuid} has no report period: give --report-period-id, or add the \
         month to reporting_ocpusagereportperiod"
    )]
    NoReportPeriod { date: NaiveDate, source_uuid: Uuid },
    #[error("cannot store `{value}` in column `{column}` of {row}")]
    Unstorable { column: &'static str, row: String, value: String, source: Unstorable },
    #[error(
        "no partition of {table} holds {date} and {name} cannot be made: its name is taken or it \
         is listed in partitioned_tables, but it is not attached; attach it (active = true) or \
         remove it"
    )]
    PartitionTaken { table: String, name: String, date: NaiveDate },
    #[error(
        "no partition of {table} holds {date}, and {name} was asked for but is not there: check \
         the trigger on partitioned_tables and its row for {name}"
    )]
    PartitionNotMade { table: String, name: String, date: NaiveDate },
    #[error(
        "partition {name} cannot be made: for {} s {table} was never free of other transactions; \
         end those that hold it for long (pg_locks says which), or wait longer with --db-lock-wait",
        waited.as_secs_f64()
    )]
    InUse { table: String, name: String, waited: Duration },
    #[error(
        "PostgreSQL kept {kept} of {sent} rows of {date}: a trigger or rule on {table} drops rows, \
         remove it"
    )]
    RowsDropped { table: String, date: NaiveDate, sent: u64, kept: u64 },
    #[error(
        "lost the connection to PostgreSQL while committing {date}: the day has its old rows or \
         its new ones, whole either way; run it again to be sure"
    )]
    CommitUnknown { date: NaiveDate, source: DatabaseError },
    #[error(
        "{table} holds {found} rows of the month of {month}, not the {sent} that were sent, or has \
         them under other days; nothing of the month was replaced: run again, with --bulk off if \
         it happens again"
    )]
    LoadDiffers { table: String, month: NaiveDate, sent: i64, found: i64 },
    #[error(
        "lost the connection to PostgreSQL while committing the month of {month}: it has its old \
         rows or its new ones, whole either way; run it again to be sure"
    )]
    MonthCommitUnknown { month: NaiveDate, source: DatabaseError },
    #[error("{call} came out of order: a day is begun, written and ended before the next")]
    OutOfOrder { call: &'static str },
    #[error(
        "gave up on {date} after {tries} more tries in {} s: see that the server is well, or let it \
         take longer with --db-retry-for",
        tried_for.as_secs()
    )]
    GaveUp { date: NaiveDate, tries: u32, tried_for: Duration, source: Box<PostgresError> },
    #[error("interrupted while writing {date}: the day was rolled back")]
    Interrupted { date: NaiveDate },
    #[error("stopped on purpose while writing {date}")]
    Failpoint { date: NaiveDate, source: FailpointError },
}

impl PostgresError {
    /// As for [`DatabaseError::passing`]. A day whose commit is in doubt may be done again: either
    /// set of rows is replaced.
    pub(super) fn passing(&self) -> Option<Passing> {
        match self {
            PostgresError::Database(error) => error.passing(),
            PostgresError::CommitUnknown { source, .. } => source.passing(),
            _ => None,
        }
    }

    /// Whether a server that took days before will take them again once it has come up.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            PostgresError::Database(error) => error.is_absence(),
            // It becomes a primary, or its name goes over to one.
            PostgresError::ReadOnly => true,
            _ => false,
        }
    }
}
