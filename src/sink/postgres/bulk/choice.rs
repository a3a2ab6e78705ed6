//! Whether a month is worth loading in bulk.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::settings::{BulkMode, Month};

/// A day of a source that a run replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayOfRun {
    pub date: NaiveDate,
    pub report_period_id: i32,
    pub source_uuid: Uuid,
}

/// All that a run replaces of a month, over all its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthOfRun {
    pub month: Month,
    pub days: Vec<DayOfRun>,
    /// Hourly rows of pods that the month is made of.
    pub hourly_rows: u64,
}

/// Where a month has as many rows, building its indexes at once is worth making a table and
/// keeping all others from it for a moment.
const ENOUGH_ROWS: u64 = 20_000;

impl MonthOfRun {
    /// Rows of the summary, at a guess: a pod that runs all day is one row.
    fn expected_rows(&self) -> u64 {
        self.hourly_rows / 24
    }

    /// Why the month should go day by day, if it should.
    pub(super) fn against(&self, mode: BulkMode) -> Option<String> {
        let rows = self.expected_rows();
        if mode == BulkMode::Auto && rows < ENOUGH_ROWS {
            return Some(format!(
                "about {rows} rows are expected, and bulk is worth it from {ENOUGH_ROWS} on"
            ));
        }
        let days: BTreeSet<_> = self.days.iter().map(|d| (d.date, d.report_period_id)).collect();
        (days.len() < self.days.len()).then(|| "sources share a report period".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(hourly_rows: u64, periods: &[i32]) -> MonthOfRun {
        let date = NaiveDate::from_ymd_opt(2025, 10, 3).unwrap();
        let day = |(i, &report_period_id): (usize, &i32)| DayOfRun {
            date,
            report_period_id,
            source_uuid: Uuid::from_u128(i as u128),
        };
        let days = periods.iter().enumerate().map(day).collect();
        MonthOfRun { month: Month::of(date), days, hourly_rows }
    }

    #[test]
    fn auto_goes_by_the_rows_and_on_does_not() {
        assert_eq!(month(ENOUGH_ROWS * 24, &[1]).against(BulkMode::Auto), None);
        let few = month(ENOUGH_ROWS * 24 - 1, &[1]);
        let reason = few.against(BulkMode::Auto).unwrap();
        assert_eq!(reason, "about 19999 rows are expected, and bulk is worth it from 20000 on");
        assert_eq!(few.against(BulkMode::On), None);
    }

    #[test]
    fn a_report_period_of_two_sources_goes_day_by_day() {
        assert_eq!(month(0, &[1, 2]).against(BulkMode::On), None);
        assert!(month(0, &[1, 1]).against(BulkMode::On).is_some());
    }
}
