//! Columns of any type through Arrow arrays: the way for drifted files, and for the baseline.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, PrimitiveArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit as ArrowUnit};
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::column::Resolve;
use super::error::{InputError, Place};
use super::times::{self, DAY_MICROS, NO_TIME};
use crate::read::bytes::ColumnBytes;

/// A forward reader of one column chunk through arrays of up to a batch of rows.
pub struct ArrayColumn {
    reader: ParquetRecordBatchReader,
    bytes: ColumnBytes,
    place: Place,
    array: ArrayRef,
    at: usize,
}

/// One column chunk, in the form that the Arrow reader asks for.
struct OneChunk {
    bytes: ColumnBytes,
    metadata: Arc<ParquetMetaData>,
    row_group: usize,
}

impl RowGroups for OneChunk {
    fn num_rows(&self) -> usize {
        self.metadata.row_group(self.row_group).num_rows() as usize
    }

    fn column_chunks(&self, i: usize) -> Result<Box<dyn PageIterator>, ParquetError> {
        let group = self.metadata.row_group(self.row_group);
        let reader = SerializedPageReader::new(
            Arc::new(self.bytes.clone()),
            group.column(i),
            self.num_rows(),
            None,
        )?;
        Ok(Box::new(OneReader(Some(Box::new(reader)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.row_group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

struct OneReader(Option<Box<dyn PageReader>>);

impl Iterator for OneReader {
    type Item = Result<Box<dyn PageReader>, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneReader {}

/// The store's failure, if it is one: the reader passes on only its text.
fn failed(bytes: &ColumnBytes, place: &Place, source: ParquetError) -> InputError {
    match bytes.failure() {
        Some(failure) => InputError::Read {
            object: place.object.clone(),
            source: std::io::Error::other(failure),
        },
        None => place.damaged(source),
    }
}

impl ArrayColumn {
    /// Rows `rows` of leaf column `leaf`, `batch` rows at a time.
    pub fn new(
        bytes: ColumnBytes,
        metadata: &Arc<ParquetMetaData>,
        leaf: usize,
        rows: std::ops::Range<usize>,
        batch: usize,
        place: Place,
    ) -> Result<Self, InputError> {
        let schema = metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(schema, [leaf]);
        let selection = RowSelection::from(vec![
            RowSelector::skip(rows.start),
            RowSelector::select(rows.len()),
        ]);
        let failing = bytes.clone();
        let chunk = OneChunk { bytes, metadata: metadata.clone(), row_group: place.row_group };
        let reader = parquet_to_arrow_field_levels(schema, mask, None).and_then(|levels| {
            ParquetRecordBatchReader::try_new_with_row_groups(
                &levels,
                &chunk,
                batch,
                Some(selection),
            )
        });
        match reader {
            Ok(reader) => Ok(ArrayColumn {
                reader,
                bytes: failing,
                place,
                array: Arc::new(Int64Array::from(Vec::<i64>::new())),
                at: 0,
            }),
            Err(source) => Err(failed(&failing, &place, source)),
        }
    }

    pub fn available(&mut self) -> Result<usize, InputError> {
        while self.at == self.array.len() {
            match self.reader.next() {
                Some(Ok(batch)) => {
                    self.array = batch.column(0).clone();
                    self.at = 0;
                }
                Some(Err(source)) => {
                    let source = ParquetError::ArrowError(source.to_string());
                    return Err(failed(&self.bytes, &self.place, source));
                }
                None => {
                    return Err(self.place.value("the column ends before the row group does"));
                }
            }
        }
        Ok(self.array.len() - self.at)
    }

    pub fn skip(&mut self, mut count: usize) -> Result<(), InputError> {
        while count > 0 {
            let step = self.available()?.min(count);
            self.at += step;
            count -= step;
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> ArrayRef {
        let slice = self.array.slice(self.at, count);
        self.at += count;
        slice
    }

    fn cast(&self, array: &dyn Array, to: &DataType) -> Result<ArrayRef, InputError> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, to, &options)
            .map_err(|e| self.place.value(format!("cannot be read as {to}: {e}")))
    }

    pub fn numbers(&mut self, count: usize, out: &mut Vec<f64>) -> Result<(), InputError> {
        let array = self.take(count);
        let array = self.cast(&array, &DataType::Float64)?;
        let numbers: &Float64Array = array.as_primitive::<Float64Type>();
        out.extend(numbers.iter().map(|v| v.unwrap_or(f64::NAN)));
        Ok(())
    }

    pub fn times(&mut self, count: usize, out: &mut Vec<i64>) -> Result<(), InputError> {
        let array = self.take(count);
        let start = out.len();
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {
                let texts = self.cast(&array, &DataType::LargeUtf8)?;
                let texts: &LargeStringArray = texts.as_string::<i64>();
                for text in texts {
                    out.push(match text {
                        None | Some("") => NO_TIME,
                        Some(text) => times::parse_text(text).ok_or_else(|| {
                            self.place.value(format!("{text:?} is not a date and time"))
                        })?,
                    });
                }
            }
            // A zone says how to show an instant, not which it is: the integers are UTC.
            &DataType::Timestamp(unit, _) => {
                let values = self.integers(&array)?;
                out.extend(values.iter().map(|value| {
                    value.map_or(NO_TIME, |v| {
                        match unit {
                            ArrowUnit::Second => v.checked_mul(1_000_000),
                            ArrowUnit::Millisecond => v.checked_mul(1000),
                            ArrowUnit::Microsecond => Some(v),
                            ArrowUnit::Nanosecond => Some(v.div_euclid(1000)),
                        }
                        .unwrap_or(i64::MAX)
                    })
                }));
            }
            DataType::Date32 => {
                let values = self.integers(&array)?;
                out.extend(values.iter().map(|v| v.map_or(NO_TIME, |v| v * DAY_MICROS)));
            }
            _ => out.resize(start + count, NO_TIME),
        }
        Ok(())
    }

    fn integers(&self, array: &dyn Array) -> Result<PrimitiveArray<Int64Type>, InputError> {
        let array = match array.data_type() {
            DataType::Date32 => self.cast(array, &DataType::Int32)?,
            _ => array.slice(0, array.len()),
        };
        Ok(self.cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    pub fn texts<R: Resolve>(
        &mut self,
        count: usize,
        null: R::Id,
        resolve: &mut R,
        out: &mut Vec<R::Id>,
    ) -> Result<(), InputError> {
        let array = self.take(count);
        let texts = self.cast(&array, &DataType::LargeUtf8)?;
        let texts: &LargeStringArray = texts.as_string::<i64>();
        let mut ids = Vec::with_capacity(count - texts.null_count());
        let present = texts.iter().flatten().map(str::as_bytes);
        resolve.ids(present, &self.place, &mut ids)?;
        let mut ids = ids.into_iter();
        out.extend(texts.iter().map(|text| text.and_then(|_| ids.next()).unwrap_or(null)));
        Ok(())
    }
}
