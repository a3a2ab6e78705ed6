//! Footers: columns, row groups, and the days that their statistics promise.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};

use crate::decode::contained::contained;
use crate::decode::error::{InputError, said_once};
use crate::decode::row_group::InputFile;
use crate::decode::schema::{self, Direct, Found, Part};
use crate::decode::times::split_day;
use crate::store::{Opened, Store, StoreError};

use super::PlanError;

/// Parses the footer of an opened file and finds the columns of `part`.
///
/// `days` are those since 1970-01-01 that the file may be counted for. Only a footer longer than
/// the tail at hand is read from the store.
///
/// # Errors
/// A file that is no Parquet, lacks a column or has it in a type that cannot be read.
pub fn read(
    store: &Store,
    opened: &Opened,
    part: Part,
    pod_names: bool,
    days: (i64, i64),
) -> Result<(InputFile, ParquetMetaData), PlanError> {
    let object = opened.object.path.clone();
    let size = opened.object.size;
    if size == 0 {
        return Err(InputError::ZeroBytes { object }.into());
    }
    let failed = |error| InputError::Footer { object: object.clone(), source: said_once(error) };
    let mut reader = metadata_reader();
    match contained(|| reader.try_parse_sized(&opened.tail, size)) {
        Ok(()) => {}
        Err(ParquetError::NeedMoreData(needed)) => {
            let start = size.saturating_sub(needed as u64);
            let more = store.read(&opened.object, start..size)?;
            contained(|| reader.try_parse_sized(&more, size)).map_err(failed)?;
        }
        Err(source) => return Err(failed(source).into()),
    }
    let metadata = reader.finish().map_err(failed)?;
    check_offsets(&object, &metadata, size)?;
    let columns = schema::find(&object, &metadata, &schema::wanted(part, pod_names))?.into();
    let footer_length = footer_length(&opened.tail);
    let file =
        InputFile { object, stored: opened.object.clone(), footer_length, part, columns, days };
    Ok((file, metadata))
}

/// Parses the footer of a planned file again, from its bytes.
///
/// # Errors
/// A file that has changed since it was planned.
pub fn parse(file: &InputFile, footer: &Bytes) -> Result<ParquetMetaData, PlanError> {
    let changed = |_| StoreError::Changed { path: file.object.clone() };
    let size = file.stored.size;
    let mut reader = metadata_reader();
    contained(|| reader.try_parse_sized(footer, size)).map_err(changed)?;
    let metadata = reader.finish().map_err(changed)?;
    check_offsets(&file.object, &metadata, size)?;
    Ok(metadata)
}

fn metadata_reader() -> ParquetMetaDataReader {
    // How many pages there are is left out without this.
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    ParquetMetaDataReader::new().with_metadata_options(Some(options))
}

/// How long a footer is that was parsed: its own length stands in the last bytes but four.
fn footer_length(tail: &[u8]) -> u64 {
    const END: usize = 8;
    let length = tail.last_chunk::<END>().map_or([0; 4], |[a, b, c, d, ..]| [*a, *b, *c, *d]);
    u64::from(u32::from_le_bytes(length)) + END as u64
}

/// A footer may promise bytes that the file does not have.
fn check_offsets(
    object: &Arc<str>,
    metadata: &ParquetMetaData,
    size: u64,
) -> Result<(), InputError> {
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let damaged = |problem: &str| InputError::Footer {
            object: object.clone(),
            source: ParquetError::General(format!("row group {index}: {problem}")),
        };
        if group.num_rows() < 0 {
            return Err(damaged("a negative count of rows"));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let end = start.checked_add(column.compressed_size());
            let inside = end.is_some_and(|end| u64::try_from(end).is_ok_and(|end| end <= size));
            if start < 0 || column.compressed_size() < 0 || !inside {
                return Err(damaged("a column lies outside of the file"));
            }
        }
    }
    Ok(())
}

/// What a plan keeps of a row group: footers themselves are read again when their turn comes, of
/// the very same version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGroup {
    pub rows: usize,
    /// Columns that are read, and their compressed bytes.
    pub columns: u64,
    pub bytes: u64,
    /// The same bytes before they were compressed.
    pub unpacked_bytes: u64,
    /// Bytes that a task needs to decode it: a page and a dictionary of each column.
    pub decode_bytes: u64,
    /// Days since 1970-01-01 that its statistics promise; `None` without statistics.
    pub promised_days: Option<(i64, i64)>,
}

/// What a page or a dictionary takes where the footer does not say: most writers end both at 1 MiB of
/// values.
const PAGE: u64 = 1280 * 1024;

impl RowGroup {
    pub fn of(group: &RowGroupMetaData, columns: &[Found], all_columns: bool) -> Self {
        let leaves: Vec<usize> = if all_columns {
            (0..group.num_columns()).collect()
        } else {
            columns.iter().filter_map(|found| found.leaf).collect()
        };
        let chunks = || leaves.iter().map(|&leaf| group.column(leaf));
        RowGroup {
            rows: group.num_rows() as usize,
            columns: leaves.len() as u64,
            bytes: chunks().map(|chunk| chunk.byte_range().1).sum(),
            unpacked_bytes: chunks().map(unpacked_bytes).sum(),
            decode_bytes: chunks().map(decode_bytes).sum(),
            promised_days: promised_days(group, columns),
        }
    }
}

fn unpacked_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    /// More than any memory; a footer may say what it likes, and sums of it must stay sums.
    const MOST: u64 = 1 << 36;
    (chunk.uncompressed_size().max(0) as u64).min(MOST)
}

/// Bytes of a page and the dictionary of a column. A column chunk can be a single page.
fn decode_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    /// How much smaller a dictionary is that was compressed.
    const COMPRESSED: u64 = 4;
    let size = unpacked_bytes(chunk);
    let is_coded =
        |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    let dictionary = match chunk.dictionary_page_offset() {
        Some(start) => {
            let length = chunk.data_page_offset().saturating_sub(start).max(0) as u64;
            let unpacked = length.saturating_mul(COMPRESSED);
            // Its writer knows no such end if even what is packed goes beyond it.
            if length > PAGE { unpacked } else { unpacked.min(PAGE) }
        }
        None if chunk.encodings().any(is_coded) => PAGE,
        None => 0,
    };
    let pages = data_pages(chunk);
    let page = size.checked_div(pages).unwrap_or(0);
    if page > PAGE {
        // Beside it is what it was unpacked from, and a little for the next one to be larger.
        let packed = (chunk.compressed_size().max(0) as u64).checked_div(pages).unwrap_or(0);
        page + page / 8 + packed + dictionary.min(size)
    } else {
        (size.min(PAGE) + dictionary).min(size)
    }
}

/// How many pages of values there are; 0 where the footer does not say.
fn data_pages(chunk: &ColumnChunkMetaData) -> u64 {
    let is_data = |page| matches!(page, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
    let stats = chunk.page_encoding_stats().into_iter().flatten();
    stats.filter(|stats| is_data(stats.page_type)).map(|stats| stats.count.max(0) as u64).sum()
}

/// First and last day (since 1970-01-01) of a row group, by the statistics of its interval.
fn promised_days(group: &RowGroupMetaData, columns: &[Found]) -> Option<(i64, i64)> {
    let interval = columns.first()?;
    let Some(Direct::Time(unit)) = interval.direct else {
        return None;
    };
    let Some(Statistics::Int64(statistics)) = group.column(interval.leaf?).statistics() else {
        return None;
    };
    let first = unit.micros(*statistics.min_opt()?)?;
    let last = unit.micros(*statistics.max_opt()?)?;
    (first <= last).then(|| (split_day(first).0, split_day(last).0))
}

#[cfg(test)]
mod tests {
    use parquet::basic::Type;
    use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type as SchemaType};

    use super::*;

    /// A column of 20 MiB whose dictionary takes so many bytes of its file.
    fn with_dictionary(length: i64) -> ColumnChunkMetaData {
        let column = SchemaType::primitive_type_builder("a", Type::BYTE_ARRAY).build().unwrap();
        let path = ColumnPath::from("a");
        let descriptor = ColumnDescriptor::new(Arc::new(column), 1, 0, path);
        ColumnChunkMetaData::builder(Arc::new(descriptor))
            .set_total_uncompressed_size(20 << 20)
            .set_total_compressed_size(10 << 20)
            .set_dictionary_page_offset(Some(4))
            .set_data_page_offset(4 + length)
            .build()
            .unwrap()
    }

    #[test]
    fn a_dictionary_is_as_large_as_most_writers_let_it_be() {
        let page = PAGE;
        for (length, dictionary) in [(0, 0), (1000, 4000), (1 << 20, page), (2 << 20, 8 << 20)] {
            assert_eq!(decode_bytes(&with_dictionary(length)), page + dictionary, "{length}");
        }
        assert_eq!(decode_bytes(&with_dictionary(9 << 20)), 20 << 20);
    }
}
