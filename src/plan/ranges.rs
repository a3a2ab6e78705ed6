//! Which bytes of an object a row group needs.

use std::ops::Range;

use parquet::file::metadata::RowGroupMetaData;

use crate::decode::schema::Found;

/// Ranges closer than this are read in one go.
const GAP: u64 = 64 * 1024;

/// The bytes of the columns of a row group that are read, in order, near ones put together.
pub fn of_columns(
    group: &RowGroupMetaData,
    columns: &[Found],
    all_columns: bool,
) -> Box<[Range<u64>]> {
    coalesced(each_column(group, columns, all_columns)).into()
}

/// The bytes of each column of a row group that is read.
pub fn each_column(
    group: &RowGroupMetaData,
    columns: &[Found],
    all_columns: bool,
) -> Vec<Range<u64>> {
    let range = |leaf: usize| {
        let (start, length) = group.column(leaf).byte_range();
        start..start + length
    };
    if all_columns {
        (0..group.num_columns()).map(range).collect()
    } else {
        columns.iter().filter_map(|found| found.leaf).map(range).collect()
    }
}

/// The same bytes in fewer ranges, in order.
fn coalesced(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_one() {
        let far = GAP + 200;
        assert_eq!(coalesced(vec![50..60, 0..10, far..far + 5, 5..20]), vec![0..60, far..far + 5]);
    }
}
