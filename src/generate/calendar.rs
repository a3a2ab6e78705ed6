//! Days as the files see them.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, Weekday};

pub const HOUR: i32 = 3600;
pub const DAY: i32 = 24 * HOUR;

/// A UTC day and its report period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    pub date: NaiveDate,
    /// Milliseconds since 1970 of 00:00.
    pub start_ms: i64,
    /// The same of the month's first day, and of the next month's.
    pub period_start_ms: i64,
    pub period_end_ms: i64,
}

impl Day {
    /// `None` if the next month is beyond the calendar.
    pub fn of(date: NaiveDate) -> Option<Self> {
        let month = date.with_day(1)?;
        let next = month.checked_add_months(Months::new(1))?;
        Some(Self {
            date,
            start_ms: millis(date),
            period_start_ms: millis(month),
            period_end_ms: millis(next),
        })
    }

    /// `days` days from `from`; `None` if that leaves the calendar.
    pub fn range(from: NaiveDate, days: u32) -> Option<Vec<Self>> {
        (0..u64::from(days)).map(|n| Self::of(from.checked_add_days(Days::new(n))?)).collect()
    }

    /// The day's number, the same in every range.
    pub fn number(&self) -> i32 {
        self.date.num_days_from_ce()
    }

    pub fn is_weekend(&self) -> bool {
        matches!(self.date.weekday(), Weekday::Sat | Weekday::Sun)
    }

    /// First and last second of an hour of the day, in milliseconds since 1970.
    pub fn interval(&self, hour: u32) -> (i64, i64) {
        let start = self.start_ms + i64::from(hour) * 3_600_000;
        (start, start + 3_599_000)
    }
}

fn millis(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_period_is_the_month_of_the_day() {
        let days = Day::range(NaiveDate::from_ymd_opt(2025, 12, 31).unwrap(), 2).unwrap();
        assert_eq!(days[0].period_start_ms, 1_764_547_200_000);
        assert_eq!(days[0].period_end_ms, 1_767_225_600_000);
        assert_eq!(days[1].start_ms, 1_767_225_600_000);
        assert_eq!(days[1].period_start_ms, days[1].start_ms);
        assert_eq!(days[1].interval(23), (1_767_308_400_000, 1_767_311_999_000));
    }
}
