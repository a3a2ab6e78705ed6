//! Times as microseconds since 1970-01-01 UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

pub const DAY_MICROS: i64 = 86_400_000_000;

/// A row without a time.
pub const NO_TIME: i64 = i64::MIN;

/// The unit of an integer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}

impl TimeUnit {
    /// `None` if it lies beyond what microseconds in 64 bits can say.
    #[inline]
    pub fn micros(self, value: i64) -> Option<i64> {
        match self {
            TimeUnit::Millis => value.checked_mul(1000),
            TimeUnit::Micros => Some(value),
            TimeUnit::Nanos => Some(value.div_euclid(1000)),
        }
    }
}

/// Days since 1970-01-01, and microseconds into that day.
#[inline]
pub fn split_day(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS))
}

/// Days since 1970-01-01.
pub fn day_number(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days())
}

/// The inverse of [`day_number`], for messages: a day beyond the calendar is its number.
pub fn day_text(day: i64) -> String {
    i32::try_from(day)
        .ok()
        .and_then(NaiveDate::from_epoch_days)
        .map_or_else(|| format!("day {day} since 1970"), |date| date.to_string())
}

/// ISO 8601, a space or a `T` between date and time, with or without a zone; also the operator's
/// own `2025-10-01 00:00:00 +0000 UTC`, and a bare date. `None` if it is none of them.
pub fn parse_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    for format in ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"]
    {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Some(time.timestamp_micros());
        }
    }
    let bare = text.strip_suffix('Z').unwrap_or(text);
    for format in
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
    {
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| day_number(date) * DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let hour = 1_759_280_400_000_000; // 2025-10-01 01:00:00 UTC
        for text in [
            "2025-10-01 01:00:00",
            "2025-10-01T01:00:00",
            "2025-10-01T01:00:00Z",
            "2025-10-01T01:00:00.000Z",
            "2025-10-01T03:00:00+02:00",
            "2025-10-01 03:00:00+02",
            "2025-10-01 01:00:00 +0000 UTC",
            "2025-10-01 01:00",
        ] {
            assert_eq!(parse_text(text), Some(hour), "{text}");
        }
        assert_eq!(parse_text("2025-10-01"), Some(hour - 3_600_000_000));
        assert_eq!(parse_text("yesterday"), None);
    }

    #[test]
    fn before_the_epoch() {
        assert_eq!(split_day(-1), (-1, DAY_MICROS - 1));
        assert_eq!(TimeUnit::Nanos.micros(-1), Some(-1));
        assert_eq!(TimeUnit::Millis.micros(i64::MAX), None);
    }
}
