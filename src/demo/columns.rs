//! Columns of a Parquet file, by name, as plain Arrow arrays.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, Date32Array, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Float64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::DemoError;

/// Calls `each` with every batch of rows of `path`, of the columns `names` only.
pub fn read(
    path: &Path,
    names: &[&'static str],
    mut each: impl FnMut(&Columns<'_>) -> Result<(), DemoError>,
) -> Result<(), DemoError> {
    let file =
        File::open(path).map_err(|source| DemoError::Open { path: path.to_owned(), source })?;
    let unreadable = |source| DemoError::Parquet { path: path.to_owned(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let reader = builder.with_projection(mask).build().map_err(unreadable)?;
    for batch in reader {
        let batch = batch.map_err(|source| DemoError::Rows { path: path.to_owned(), source })?;
        each(&Columns { path, batch: &batch })?;
    }
    Ok(())
}

/// Some rows of a file.
pub struct Columns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn find<T>(
        &self,
        column: &'static str,
        typed: impl FnOnce(&'a dyn Array) -> Option<&'a T>,
    ) -> Result<&'a T, DemoError> {
        let array = self.batch.column_by_name(column).and_then(|array| typed(array.as_ref()));
        array.ok_or_else(|| DemoError::Column { path: self.path.to_owned(), column })
    }

    pub fn texts(&self, column: &'static str) -> Result<&'a StringArray, DemoError> {
        self.find(column, |array| array.as_string_opt())
    }

    pub fn numbers(&self, column: &'static str) -> Result<&'a Float64Array, DemoError> {
        self.find(column, |array| array.as_primitive_opt::<Float64Type>())
    }

    pub fn all_numbers(
        &self,
        columns: &[&'static str],
    ) -> Result<Vec<&'a Float64Array>, DemoError> {
        columns.iter().map(|column| self.numbers(column)).collect()
    }

    pub fn dates(&self, column: &'static str) -> Result<&'a Date32Array, DemoError> {
        self.find(column, |array| array.as_primitive_opt::<Date32Type>())
    }
}

/// The number in a row; null counts as nothing in a sum.
pub fn number(array: &Float64Array, row: usize) -> f64 {
    if array.is_valid(row) { array.value(row) } else { 0.0 }
}

/// The text in a row; `None` is null.
pub fn text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}
