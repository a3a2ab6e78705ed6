//! Columns of any type through Arrow arrays: the way for drifted files, and for the baseline.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, LargeStringArray, PrimitiveArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Decimal128Type, Fields, Float64Type, Int64Type, TimeUnit as ArrowUnit,
};
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema};
use parquet::basic::Type as Physical;
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::SchemaDescriptor;

use super::column::Resolve;
use super::contained::contained;
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
    decoded: u64,
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
        let hint = int96_as_micros(schema, leaf);
        let reader = hint.and_then(|hint| {
            contained(|| {
                let levels = parquet_to_arrow_field_levels(schema, mask, hint.as_ref())?;
                ParquetRecordBatchReader::try_new_with_row_groups(
                    &levels,
                    &chunk,
                    batch,
                    Some(selection),
                )
            })
        });
        match reader {
            Ok(reader) => Ok(ArrayColumn {
                reader,
                bytes: failing,
                place,
                array: Arc::new(Int64Array::from(Vec::<i64>::new())),
                at: 0,
                decoded: 0,
            }),
            Err(source) => Err(failed(&failing, &place, source)),
        }
    }

    /// Bytes of all arrays so far, and of the one at hand.
    pub fn decoded(&self) -> (u64, u64) {
        (self.decoded, self.array.get_array_memory_size() as u64)
    }

    pub fn available(&mut self) -> Result<usize, InputError> {
        while self.at == self.array.len() {
            let next = || {
                let batch = self.reader.next().transpose();
                batch.map_err(|source| ParquetError::ArrowError(source.to_string()))
            };
            match contained(next) {
                Ok(Some(batch)) => {
                    self.array = batch.column(0).clone();
                    self.at = 0;
                    self.decoded += self.array.get_array_memory_size() as u64;
                }
                Ok(None) => {
                    return Err(self.place.value("the column ends before the row group does"));
                }
                Err(source) => return Err(failed(&self.bytes, &self.place, source)),
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
        if let &DataType::Decimal128(_, scale) = array.data_type() {
            let decimals = array.as_primitive::<Decimal128Type>().iter();
            out.extend(decimals.map(|value| value.map_or(f64::NAN, |v| nearest(v, scale))));
            return Ok(());
        }
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
        let texts = self.cast(&array, &DataType::LargeBinary)?;
        let texts = texts.as_binary::<i64>();
        let mut ids = Vec::with_capacity(count - texts.null_count());
        resolve.ids(texts.iter().flatten(), &self.place, &mut ids)?;
        let mut ids = ids.into_iter();
        out.extend(texts.iter().map(|text| text.and_then(|_| ids.next()).unwrap_or(null)));
        Ok(())
    }
}

/// The double nearest to `unscaled` · 10^-`scale`. To divide rounds a second time where the integer
/// does not fit into a double or the power of ten is none.
fn nearest(unscaled: i128, scale: i8) -> f64 {
    const EXACT: i128 = 1 << f64::MANTISSA_DIGITS;
    const EXACT_POWER: i8 = 22;
    if (-EXACT..=EXACT).contains(&unscaled) && (0..=EXACT_POWER).contains(&scale) {
        return unscaled as f64 / 10f64.powi(scale.into());
    }
    // Such a text always is a number.
    format!("{unscaled}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The types that the columns of a file are to have where leaf `leaf` is INT96; `None` elsewhere, for
/// the usual ones. Those are nanoseconds in 64 bits, which silently become another time in years
/// that do not fit; microseconds fit the whole calendar.
fn int96_as_micros(schema: &SchemaDescriptor, leaf: usize) -> Result<Option<Fields>, ParquetError> {
    if schema.column(leaf).physical_type() != Physical::INT96 {
        return Ok(None);
    }
    let usual = parquet_to_arrow_schema(schema, None)?;
    let column = schema.get_column_root_idx(leaf);
    let fields = usual.fields().iter().enumerate().map(|(index, field)| {
        if index == column {
            let micros = DataType::Timestamp(ArrowUnit::Microsecond, None);
            Arc::new(field.as_ref().clone().with_data_type(micros))
        } else {
            field.clone()
        }
    });
    Ok(Some(fields.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_nearest_double() {
        for (unscaled, scale, text) in [
            (1, 1, "0.1"),
            (-360_025, 2, "-3600.25"),
            (1_234_567_890_123_456_789, 15, "1234.567890123456789"),
            (9_007_199_254_740_993, 0, "9007199254740993"),
            (
                99_999_999_999_999_999_999_999_999_999_999_999_999,
                37,
                "9.9999999999999999999999999999999999999",
            ),
            (3, 30, "3e-30"),
            (5, -3, "5000"),
        ] {
            assert_eq!(nearest(unscaled, scale), text.parse::<f64>().unwrap(), "{text}");
        }
    }
}
