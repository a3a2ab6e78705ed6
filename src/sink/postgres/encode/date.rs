//! `date`: days since 2000-01-01.

use bytes::{BufMut, BytesMut};
use chrono::{Datelike, NaiveDate};

/// 2000-01-01 in days since the start of the common era.
const EPOCH: i32 = 730_120;

/// Appends `value` as a `date` field.
pub fn encode(out: &mut BytesMut, value: NaiveDate) {
    out.put_i32(4);
    out.put_i32(value.num_days_from_ce() - EPOCH);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_2000() {
        for (year, days) in [(2000, 0), (1999, -365), (2001, 366)] {
            let mut out = BytesMut::new();
            encode(&mut out, NaiveDate::from_ymd_opt(year, 1, 1).unwrap());
            assert_eq!(out[4..], i32::to_be_bytes(days));
        }
    }
}
