//! Footers: columns, row groups, and the days that their statistics promise.

use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::decode::error::{InputError, said_once};
use crate::decode::row_group::InputFile;
use crate::decode::schema::{self, Direct, Found, Part};
use crate::decode::times::split_day;
use crate::store::local::LocalStore;
use crate::store::{Object, StoreError};

use super::PlanError;

/// Reads a file's footer and finds the columns of `part`.
///
/// `days` are those since 1970-01-01 that the file may be counted for.
pub fn read(
    store: &LocalStore,
    object: &Object,
    part: Part,
    pod_names: bool,
    days: (i64, i64),
) -> Result<InputFile, PlanError> {
    let name = object.path.clone();
    if object.size == 0 {
        return Err(InputError::ZeroBytes { object: name }.into());
    }
    let file = store.open(&object.path)?;
    let metadata = match ParquetMetaDataReader::new().parse_and_finish(&file) {
        Ok(metadata) => metadata,
        Err(ParquetError::External(e)) if e.is::<std::io::Error>() => {
            let source = std::io::Error::other(e);
            return Err(StoreError::Read { path: name, source }.into());
        }
        Err(error) => {
            let source = said_once(error);
            return Err(InputError::Footer { object: name, source }.into());
        }
    };
    check_offsets(&name, &metadata, object.size)?;
    let columns = schema::find(&name, &metadata, &schema::wanted(part, pod_names))?;
    Ok(InputFile { object: name, metadata: Arc::new(metadata), part, columns, days })
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

/// Compressed bytes of the columns of a row group that are read.
pub fn projected_bytes(group: &RowGroupMetaData, columns: &[Found], all_columns: bool) -> u64 {
    if all_columns {
        return group.columns().iter().map(|c| c.byte_range().1).sum();
    }
    columns.iter().filter_map(|f| f.leaf).map(|leaf| group.column(leaf).byte_range().1).sum()
}

/// First and last day (since 1970-01-01) of a row group, by the statistics of its interval.
pub fn promised_days(group: &RowGroupMetaData, columns: &[Found]) -> Option<(i64, i64)> {
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
