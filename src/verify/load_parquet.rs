//! Reads a side from Parquet, whatever types its writer chose.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::canonical::{Expected, timestamp};
use super::rows::Builder;
use super::{Filter, LoadError, Rows};
use crate::decode::contained::contained;
use crate::summary::columns::ColumnType;

/// A file and the columns that its path holds (`key=value` folders).
struct Part {
    path: PathBuf,
    partition: Vec<(String, String)>,
}

struct OpenPart {
    path: PathBuf,
    partition: Vec<(String, String)>,
    reader: ParquetRecordBatchReaderBuilder<File>,
}

pub(super) fn load(path: &Path, filter: &Filter) -> Result<Rows, LoadError> {
    let mut parts = Vec::new();
    let found = fs::metadata(path)
        .map_err(|source| LoadError::Open { path: path.to_path_buf(), source })?;
    if found.is_dir() {
        collect(path, &[], &mut parts)?;
        if parts.is_empty() {
            return Err(LoadError::NoParquet { path: path.to_path_buf() });
        }
    } else {
        parts.push(Part { path: path.to_path_buf(), partition: Vec::new() });
    }

    let mut header: Vec<String> = Vec::new();
    for part in &parts {
        let mut names = Vec::new();
        for field in open(part)?.reader.schema().fields() {
            if names.contains(field.name()) {
                return Err(LoadError::DuplicateColumn {
                    file: part.path.display().to_string(),
                    column: field.name().clone(),
                });
            }
            names.push(field.name().clone());
        }
        names.extend(part.partition.iter().map(|(key, _)| key.clone()));
        for name in names {
            if !header.contains(&name) {
                header.push(name);
            }
        }
    }
    let mut builder = Builder::new(path.display().to_string(), &header, filter)?;
    for part in &parts {
        read(open(part)?, &header, &mut builder)?;
    }
    Ok(builder.finish())
}

/// Files below `folder`, sorted; hidden ones and those that begin with `_` are the writer's own.
fn collect(
    folder: &Path,
    partition: &[(String, String)],
    parts: &mut Vec<Part>,
) -> Result<(), LoadError> {
    let fail = |source| LoadError::Open { path: folder.to_path_buf(), source };
    let mut entries =
        fs::read_dir(folder).and_then(|dir| dir.collect::<Result<Vec<_>, _>>()).map_err(fail)?;
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let path = entry.path();
        if fs::metadata(&path).map_err(fail)?.is_dir() {
            let mut partition = partition.to_vec();
            if let Some((key, value)) = name.split_once('=') {
                partition.push((key.to_owned(), value.to_owned()));
            }
            collect(&path, &partition, parts)?;
        } else {
            parts.push(Part { path, partition: partition.to_vec() });
        }
    }
    Ok(())
}

fn open(part: &Part) -> Result<OpenPart, LoadError> {
    let path = part.path.clone();
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(source) => return Err(LoadError::Open { path, source }),
    };
    match contained(|| ParquetRecordBatchReaderBuilder::try_new(file)) {
        Ok(reader) => Ok(OpenPart { path, partition: part.partition.clone(), reader }),
        Err(source) => Err(LoadError::Parquet { path, source }),
    }
}

fn read(part: OpenPart, header: &[String], builder: &mut Builder) -> Result<(), LoadError> {
    let OpenPart { path, partition, reader } = part;
    let mut done = 0;
    let mut batches = match contained(|| reader.build()) {
        Ok(batches) => batches,
        Err(source) => return Err(LoadError::Parquet { path, source }),
    };
    while let Some(batch) = contained(|| batches.next().transpose())
        .map_err(|source| LoadError::Decode { path: path.clone(), row: done, source })?
    {
        let context = Context { path: &path, row: done, header };
        context.append(&batch, &partition, builder)?;
        done += batch.num_rows() as u64;
    }
    Ok(())
}

/// Where a batch stands, for errors.
struct Context<'a> {
    path: &'a Path,
    /// Rows of the file before the batch.
    row: u64,
    header: &'a [String],
}

/// A column in the one form its values are taken from.
enum Values {
    Texts(ArrayRef),
    Numbers(ArrayRef),
    Times(ArrayRef),
    Null,
}

impl Context<'_> {
    fn append(
        &self,
        batch: &RecordBatch,
        partition: &[(String, String)],
        builder: &mut Builder,
    ) -> Result<(), LoadError> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        let schema = batch.schema();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let place = self.header.iter().position(|h| h == field.name());
            let Some(place) = place else { continue };
            if let Some((name, column_type)) = builder.column(place) {
                columns.push((place, self.values(name, column_type, array)?));
            }
        }
        let mut constants = Vec::new();
        for (key, value) in partition {
            // The file's own column counts more than the name of its folder.
            if schema.column_with_name(key).is_none()
                && let Some(place) = self.header.iter().position(|h| h == key)
                && value != "__HIVE_DEFAULT_PARTITION__"
            {
                constants.push((place, value));
            }
        }
        for row in 0..batch.num_rows() {
            for (place, values) in &columns {
                let appended = match values {
                    Values::Texts(array) if array.is_valid(row) => {
                        builder.text(*place, array.as_string::<i32>().value(row))
                    }
                    Values::Numbers(array) if array.is_valid(row) => {
                        builder.number(*place, array.as_primitive::<Float64Type>().value(row));
                        Ok(())
                    }
                    Values::Times(array) if array.is_valid(row) => {
                        let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                        match DateTime::from_timestamp_micros(micros) {
                            Some(time) => builder.text(*place, &timestamp(time.naive_utc())),
                            None => Err(Expected::Date),
                        }
                    }
                    _ => Ok(()),
                };
                appended.map_err(|expected| self.bad_value(*place, row, values, expected))?;
            }
            for (place, value) in &constants {
                builder.text(*place, value).map_err(|expected| LoadError::Value {
                    place: format!("the folder of {}", self.path.display()),
                    column: self.header[*place].clone(),
                    value: (*value).clone(),
                    expected,
                })?;
            }
            builder.end_row();
        }
        Ok(())
    }

    fn values(
        &self,
        column: &str,
        column_type: ColumnType,
        array: &ArrayRef,
    ) -> Result<Values, LoadError> {
        let found = match array.data_type() {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        let cast = |to: DataType| {
            let options = CastOptions { safe: false, format_options: FormatOptions::default() };
            cast_with_options(array, &to, &options).map_err(|source| LoadError::Decode {
                path: self.path.to_path_buf(),
                row: self.row,
                source: ArrowError::CastError(format!("column {column}: {source}")),
            })
        };
        let text = matches!(
            found,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        );
        let time = matches!(found, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
        match column_type {
            _ if *found == DataType::Null => Ok(Values::Null),
            _ if text => cast(DataType::Utf8).map(Values::Texts),
            ColumnType::Numeric if found.is_numeric() => {
                cast(DataType::Float64).map(Values::Numbers)
            }
            ColumnType::Date if time => {
                // The zone stays as it is: casting it away would shift the value, which is UTC.
                cast(DataType::Timestamp(TimeUnit::Microsecond, zone(found))).map(Values::Times)
            }
            ColumnType::Integer if found.is_numeric() => cast(DataType::Utf8).map(Values::Texts),
            ColumnType::Text if found.is_numeric() || time || *found == DataType::Boolean => {
                cast(DataType::Utf8).map(Values::Texts)
            }
            _ => Err(LoadError::ColumnType {
                path: self.path.to_path_buf(),
                column: column.to_owned(),
                found: array.data_type().to_string(),
            }),
        }
    }

    fn bad_value(
        &self,
        place: usize,
        row: usize,
        values: &Values,
        expected: Expected,
    ) -> LoadError {
        let value = match values {
            Values::Texts(array) => array.as_string::<i32>().value(row).to_owned(),
            Values::Times(array) => {
                array.as_primitive::<TimestampMicrosecondType>().value(row).to_string()
            }
            Values::Numbers(_) | Values::Null => String::new(),
        };
        LoadError::Value {
            place: format!("{}, row {}", self.path.display(), self.row + row as u64 + 1),
            column: self.header[place].clone(),
            value,
            expected,
        }
    }
}

fn zone(found: &DataType) -> Option<std::sync::Arc<str>> {
    match found {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}
