//! The Parquet sink.
//!
//! The columns of [`COLUMNS`]: integers as INT32, texts, JSON and uuids as UTF-8 strings, dates as
//! DATE, measures as DOUBLE; all optional. Zstandard; texts, integers and what rows share in
//! dictionaries. A row group has at most [`ROW_GROUP_ROWS`] rows. A large day ([`LARGE_DAY`]) has row
//! groups of its own, which the thread that finished the day has encoded already; small days share
//! them.
//!
//! Pages are made here rather than by `parquet`'s writer for Arrow arrays: that one looks up every
//! value of every row in a hash table, while rows know the ids of their texts.

mod column;
mod dictionary;
mod hybrid;
mod row_group;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::file::{FileError, PendingFile};
use super::{Encode, Encoded, Ended, Form, Sink, SinkError};
use crate::database::Passing;
use crate::summary::columns::{COLUMNS, ColumnType};
use crate::summary::row::{DayMeta, RowBatch, STREAMED_ROWS};
use crate::telemetry::totals::DayInProgress;

use row_group::RowGroupBuilder;
pub use row_group::{ROW_GROUP_ROWS, RowGroup};

/// Rows of a day that gets row groups of its own. Of a day that comes in several batches the first
/// has as many, so that a day is large or not whichever way it comes.
pub const LARGE_DAY: usize = STREAMED_ROWS;

/// Bytes held while a row group grows, about.
pub const MOST_BYTES: u64 = 12 * 1024 * 1024;

/// Key of the file metadata that names the program and its version.
pub const VERSION_KEY: &str = "ocp-rollup.version";

/// Writes finished days to one Parquet file, which appears when the run is complete.
pub struct ParquetSink {
    schema: SchemaDescPtr,
    builder: RowGroupBuilder,
    /// Whether the day at hand is a large one.
    is_large: bool,
    is_begun: bool,
    writer: SerializedFileWriter<PendingFile>,
}

impl ParquetSink {
    /// Opens a temporary file beside `path`.
    ///
    /// # Errors
    /// The file cannot be made or written: see [`FileError`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let file = PendingFile::create(path)?;
        let target = file.target().to_path_buf();
        let encode = |source| FileError::Encode { path: target.clone(), source };
        let root = Arc::new(schema().map_err(encode)?);
        let schema: SchemaDescPtr = Arc::new(SchemaDescriptor::new(Arc::clone(&root)));
        let version = env!("CARGO_PKG_VERSION");
        let properties = WriterProperties::builder()
            .set_created_by(format!("ocp-rollup version {version}"))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                VERSION_KEY.to_owned(),
                version.to_owned(),
            )]))
            .build();
        let writer = SerializedFileWriter::new(file, root, Arc::new(properties)).map_err(encode)?;
        let builder = RowGroupBuilder::new(Arc::clone(&schema));
        Ok(ParquetSink { schema, builder, is_large: false, is_begun: false, writer })
    }

    fn flush(&mut self) -> Result<(), FileError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let group = self.builder.finish();
        let written = group.and_then(|group| append(&mut self.writer, &group));
        written.map_err(|e| explain(self.writer.inner(), e))
    }
}

fn append(
    writer: &mut SerializedFileWriter<PendingFile>,
    group: &RowGroup,
) -> Result<(), ParquetError> {
    group.append_to(writer.next_row_group()?)
}

impl Sink for ParquetSink {
    fn begin_day(&mut self, _day: &Arc<DayMeta>) -> Result<(), SinkError> {
        self.is_begun = false;
        Ok(())
    }

    fn write(&mut self, rows: &RowBatch) -> Result<(), SinkError> {
        if !self.is_begun {
            self.is_begun = true;
            self.is_large = rows.rows.len() >= LARGE_DAY;
            if self.is_large {
                self.flush()?;
            }
        }
        let writer = &mut self.writer;
        let written = self.builder.append(rows, |group| append(writer, &group));
        Ok(written.map_err(|e| explain(self.writer.inner(), e))?)
    }

    fn encoder(&self) -> Option<Arc<dyn Encode>> {
        Some(Arc::new(Encoder { schema: Arc::clone(&self.schema) }))
    }

    fn write_encoded(&mut self, encoded: &Encoded) -> Result<(), SinkError> {
        let Form::Parquet(groups) = &encoded.form;
        self.flush()?;
        for group in groups {
            append(&mut self.writer, group).map_err(|e| explain(self.writer.inner(), e))?;
        }
        Ok(())
    }

    /// What a file does not take now it will not take later.
    fn recover(&mut self, failed: SinkError) -> Result<Passing, SinkError> {
        Err(failed)
    }

    fn end_day(&mut self) -> Result<Ended, SinkError> {
        if self.is_large {
            self.is_large = false;
            self.flush()?;
        }
        Ok(Ended::InPlace)
    }

    fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
        self.flush()?;
        if let Err(e) = self.writer.finish() {
            return Err(explain(self.writer.inner(), e).into());
        }
        Ok(self.writer.inner_mut().commit()?)
    }
}

/// Encodes the row groups of large days.
struct Encoder {
    schema: SchemaDescPtr,
}

impl Encode for Encoder {
    fn bytes(&self, rows: &RowBatch) -> u64 {
        MOST_BYTES + rows.heap_bytes() as u64 / 2
    }

    fn encode(&self, rows: &RowBatch) -> Result<Option<Encoded>, SinkError> {
        if rows.rows.len() < LARGE_DAY {
            return Ok(None);
        }
        match self.row_groups(rows) {
            Ok(groups) => {
                let (form, totals) = (Form::Parquet(groups), DayInProgress::default());
                Ok(Some(Encoded { form, totals }))
            }
            Err(source) => Err(FileError::EncodeDay { date: rows.day.date, source }.into()),
        }
    }
}

impl Encoder {
    fn row_groups(&self, rows: &RowBatch) -> Result<Vec<RowGroup>, ParquetError> {
        let mut groups = Vec::new();
        let mut builder = RowGroupBuilder::new(Arc::clone(&self.schema));
        builder.append(rows, |group| {
            groups.push(group);
            Ok::<_, ParquetError>(())
        })?;
        if !builder.is_empty() {
            groups.push(builder.finish()?);
        }
        Ok(groups)
    }
}

fn schema() -> Result<Type, ParquetError> {
    let field = |name: &str, physical, logical: Option<LogicalType>, converted| {
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .with_converted_type(converted);
        field.build().map(Arc::new)
    };
    let fields = COLUMNS.iter().map(|column| match column.column_type {
        ColumnType::Integer => field(column.name, Physical::INT32, None, ConvertedType::NONE),
        ColumnType::Text | ColumnType::Json | ColumnType::Uuid => {
            field(column.name, Physical::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8)
        }
        ColumnType::Date => {
            field(column.name, Physical::INT32, Some(LogicalType::Date), ConvertedType::DATE)
        }
        ColumnType::Numeric => field(column.name, Physical::DOUBLE, None, ConvertedType::NONE),
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("summary").with_fields(fields).build()
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
