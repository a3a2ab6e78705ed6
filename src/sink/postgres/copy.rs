//! Rows in the binary form of COPY.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use bytes::{BufMut, BytesMut};
use postgres::{Client, CopyInWriter};
use uuid::Uuid;

use super::encode::{self, Unstorable};
use super::target::{Target, TargetColumn};
use super::{PostgresError, check, failpoint};
use crate::database::{Cause, DatabaseError};
use crate::summary::columns::{DayTexts, Value};
use crate::summary::row::{RowBatch, SummaryRow};

/// Signature, no flags, no header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// How much of a value an error shows, in characters.
const SHOWN: usize = 60;

/// One day's way into a table.
pub(super) struct Copy<'a> {
    pub target: &'a Target,
    /// The table that takes the rows, qualified and quoted: the target or one with its columns.
    pub table: &'a str,
    pub texts: &'a DayTexts,
    /// Encoded bytes are handed on when there are this many.
    pub buffer: usize,
    pub interrupted: &'a AtomicBool,
}

impl Copy<'_> {
    /// Sends `batch` as one COPY inside the current transaction.
    ///
    /// # Errors
    /// A value that cannot be stored, a value for a column the table lacks, rows that PostgreSQL
    /// did not keep, and what PostgreSQL refuses.
    pub fn send(
        &self,
        client: &mut Client,
        batch: &RowBatch,
        buffer: &mut BytesMut,
    ) -> Result<(), PostgresError> {
        let Copy { target, texts, .. } = *self;
        let date = batch.day.date;
        let refused =
            |source| DatabaseError::querying(format!("the copy of rows of {date}"), source);
        // There are fewer columns than `COLUMNS` has, and `uuid`.
        let fields = target.columns.len() as i16 + 1;
        let statement = target.copy_statement(self.table);
        let mut writer = client.copy_in(&statement).map_err(refused)?;
        buffer.clear();
        buffer.put_slice(HEADER);
        for row in &batch.rows {
            let row = Record { batch, texts, row };
            row.check_absent(target)?;
            row.encode(target, fields, buffer)?;
            if buffer.len() >= self.buffer {
                check(self.interrupted, date)?;
                send(&mut writer, buffer, &refused)?;
            }
        }
        send(&mut writer, buffer, &refused)?;
        failpoint("sink.postgres.in_copy", date)?;
        buffer.put_i16(TRAILER);
        send(&mut writer, buffer, &refused)?;
        let (sent, kept) = (batch.rows.len() as u64, writer.finish().map_err(refused)?);
        if sent != kept {
            let table = self.table.to_owned();
            return Err(PostgresError::RowsDropped { table, date, sent, kept });
        }
        Ok(())
    }
}

fn send(
    writer: &mut CopyInWriter<'_>,
    buffer: &mut BytesMut,
    refused: &impl Fn(postgres::Error) -> DatabaseError,
) -> Result<(), DatabaseError> {
    let sent = writer.write_all(buffer).and_then(|()| writer.flush());
    buffer.clear();
    sent.map_err(|error| match error.downcast::<postgres::Error>() {
        Ok(error) => refused(error),
        Err(error) => {
            let source: Cause = Box::new(error);
            DatabaseError::ConnectionLost { step: "copying rows".to_owned(), source }
        }
    })
}

/// One row with all it takes to read its values.
struct Record<'a> {
    batch: &'a RowBatch,
    texts: &'a DayTexts,
    row: &'a SummaryRow,
}

impl Record<'_> {
    fn encode(
        &self,
        target: &Target,
        fields: i16,
        out: &mut BytesMut,
    ) -> Result<(), PostgresError> {
        out.put_i16(fields);
        encode::uuid::encode(out, Uuid::new_v4());
        for &TargetColumn { column, limit } in &target.columns {
            let value = column.value(self.batch, self.texts, self.row);
            put(out, &value, limit).map_err(|source| PostgresError::Unstorable {
                column: column.name,
                row: self.name(),
                value: shown(&value),
                source,
            })?;
        }
        Ok(())
    }

    fn check_absent(&self, target: &Target) -> Result<(), PostgresError> {
        for column in &target.absent {
            let value = column.value(self.batch, self.texts, self.row);
            if value != Value::Null {
                return Err(PostgresError::ColumnMissing {
                    table: target.table.clone(),
                    column: column.name,
                    row: self.name(),
                    value: shown(&value),
                });
            }
        }
        Ok(())
    }

    /// The row as errors name it.
    fn name(&self) -> String {
        let text = |id| self.batch.text(id).map_or("none".into(), |t| format!("`{}`", start_of(t)));
        format!(
            "the {} row of {}, namespace {}, node {}",
            self.row.kind.data_source(),
            self.batch.day.date,
            text(self.row.namespace),
            text(self.row.node),
        )
    }
}

fn put(out: &mut BytesMut, value: &Value<'_>, limit: Option<usize>) -> Result<(), Unstorable> {
    match *value {
        Value::Null => encode::null(out),
        Value::Integer(value) => encode::int4::encode(out, value),
        Value::Date(value) => encode::date::encode(out, value),
        Value::Uuid(value) => encode::uuid::encode(out, value),
        Value::Text(value) => encode::text::encode(out, value, limit)?,
        Value::Numeric(value) => encode::numeric::encode(out, value)?,
        Value::Json(value) => encode::jsonb::encode(out, value)?,
    }
    Ok(())
}

fn shown(value: &Value<'_>) -> String {
    match *value {
        Value::Null => "null".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Date(value) => value.to_string(),
        Value::Uuid(value) => value.to_string(),
        Value::Numeric(value) => format!("{value:e}"),
        Value::Text(value) | Value::Json(value) => start_of(value),
    }
}

/// The first characters of `text`, control characters escaped.
fn start_of(text: &str) -> String {
    let mut start: String = text.chars().take(SHOWN).collect::<String>().replace('\0', "\\0");
    if start.len() < text.len() && text.chars().nth(SHOWN).is_some() {
        start.push('…');
    }
    start
}
