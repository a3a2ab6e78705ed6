//! The Parquet sink.
//!
//! The columns of [`COLUMNS`]: integers as INT32, texts, JSON and uuids as UTF-8 strings, dates as
//! DATE, measures as DOUBLE; all optional. Zstandard, dictionary-encoded, a row group every
//! [`ROW_GROUP_ROWS`] rows, which bounds what is held in memory.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Date32Builder, Float64Builder, Int32Builder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use uuid::fmt::Hyphenated;

use super::file::{FileError, PendingFile};
use super::{Sink, SinkError};
use crate::database::Passing;
use crate::summary::columns::{COLUMNS, ColumnType, DayTexts, Value};
use crate::summary::row::{DayMeta, RowBatch};

/// Rows of a row group.
pub const ROW_GROUP_ROWS: usize = 32_768;

/// Bytes held while a row group grows, about.
pub const MOST_BYTES: u64 = 12 * 1024 * 1024;

/// Key of the file metadata that names the program and its version.
pub const VERSION_KEY: &str = "ocp-rollup.version";

/// Rows turned into arrays at a time.
const BATCH_ROWS: usize = 4096;

/// Writes finished days to one Parquet file, which appears when the run is complete.
pub struct ParquetSink {
    schema: Arc<Schema>,
    builders: Vec<Builder>,
    buffered: usize,
    writer: ArrowWriter<PendingFile>,
}

impl ParquetSink {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// The file cannot be made or written: see [`FileError`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = PendingFile::create(path)?;
        let fields: Vec<Field> =
            COLUMNS.iter().map(|c| Field::new(c.name, data_type(c.column_type), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let version = env!("CARGO_PKG_VERSION");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(format!("ocp-rollup version {version}"))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                VERSION_KEY.to_owned(),
                version.to_owned(),
            )]))
            .build();
        let target = file.target().to_path_buf();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|source| FileError::Encode { path: target, source })?;
        let builders = COLUMNS.iter().map(|c| Builder::new(c.column_type)).collect();
        Ok(ParquetSink { schema, builders, buffered: 0, writer })
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(Builder::finish).collect();
        self.buffered = 0;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(ParquetError::from)
            .and_then(|batch| self.writer.write(&batch))
            .map_err(|e| explain(self.writer.inner(), e))
    }
}

impl Sink for ParquetSink {
    fn begin_day(&mut self, _day: &Arc<DayMeta>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError> {
        let day = DayTexts::new(&rows.day);
        let mut rest = &rows.rows[..];
        while !rest.is_empty() {
            let room = rest.len().min(BATCH_ROWS - self.buffered);
            let (batch, after) = rest.split_at(room);
            rest = after;
            for (column, builder) in COLUMNS.iter().zip(&mut self.builders) {
                if !column.is_computed() {
                    builder.append_nulls(batch.len());
                    continue;
                }
                for row in batch {
                    builder.append(column.value(rows, &day, row));
                }
            }
            self.buffered += batch.len();
            if self.buffered == BATCH_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn end_day(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What a file does not take now it will not take later.
    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError> {
        Err(failed)
    }

    fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
        self.flush()?;
        if let Err(e) = self.writer.finish() {
            return Err(explain(self.writer.inner(), e).into());
        }
        Ok(self.writer.inner_mut().commit()?)
    }
}

fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Integer => DataType::Int32,
        ColumnType::Text | ColumnType::Json | ColumnType::Uuid => DataType::Utf8,
        ColumnType::Date => DataType::Date32,
        ColumnType::Numeric => DataType::Float64,
    }
}

/// The writer wraps the system's errors; a full disk must still be told from a bad value.
fn explain(file: &PendingFile, error: ParquetError) -> FileError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => file.error(*source),
            Err(inner) => FileError::Encode {
                path: file.target().to_path_buf(),
                source: ParquetError::External(inner),
            },
        },
        source => FileError::Encode { path: file.target().to_path_buf(), source },
    }
}

/// The growing array of one column.
enum Builder {
    Integer(Int32Builder),
    Text(StringBuilder),
    Date(Date32Builder),
    Numeric(Float64Builder),
}

impl Builder {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Integer => Builder::Integer(Int32Builder::new()),
            ColumnType::Text | ColumnType::Json | ColumnType::Uuid => {
                Builder::Text(StringBuilder::new())
            }
            ColumnType::Date => Builder::Date(Date32Builder::new()),
            ColumnType::Numeric => Builder::Numeric(Float64Builder::new()),
        }
    }

    /// Appends `value`, which is of the column's type or null.
    fn append(&mut self, value: Value<'_>) {
        match (self, value) {
            (Builder::Integer(b), Value::Integer(i)) => b.append_value(i),
            (Builder::Text(b), Value::Text(text) | Value::Json(text)) => b.append_value(text),
            (Builder::Text(b), Value::Uuid(uuid)) => {
                b.append_value(uuid.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]));
            }
            (Builder::Date(b), Value::Date(date)) => {
                b.append_value(Date32Type::from_naive_date(date));
            }
            (Builder::Numeric(b), Value::Numeric(number)) if !number.is_nan() => {
                b.append_value(number);
            }
            (builder, value) => {
                debug_assert!(matches!(value, Value::Null | Value::Numeric(_)), "{value:?}");
                builder.append_nulls(1);
            }
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Builder::Integer(b) => b.append_nulls(count),
            Builder::Text(b) => b.append_nulls(count),
            Builder::Date(b) => b.append_nulls(count),
            Builder::Numeric(b) => b.append_nulls(count),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Integer(b) => ArrayBuilder::finish(b),
            Builder::Text(b) => ArrayBuilder::finish(b),
            Builder::Date(b) => ArrayBuilder::finish(b),
            Builder::Numeric(b) => ArrayBuilder::finish(b),
        }
    }
}
