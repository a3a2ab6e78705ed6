//! The days of the sources, and which of them are left out.

use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::decode::times::day_number;
use crate::settings::Month;
use crate::summary::row::DayMeta;

/// One day of one source: what is replaced as a whole.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Index into the sources of the run.
    pub source: usize,
    pub meta: Arc<DayMeta>,
}

/// A month of a source that is left alone, because it has no pod files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub source: Uuid,
    pub month: Month,
    /// Files of other report types that are there nonetheless.
    pub other_files: usize,
}

/// The units of one source by day.
#[derive(Debug, Clone, Default)]
pub struct UnitDays {
    first_day: i64,
    units: Vec<Option<usize>>,
}

impl UnitDays {
    /// Of the units of `source` in `units`.
    pub fn new(units: &[Unit], source: usize) -> Self {
        let own = || {
            let own = units.iter().enumerate().filter(|(_, unit)| unit.source == source);
            own.map(|(index, unit)| (day_number(unit.meta.date), index))
        };
        let Some(first_day) = own().map(|(day, _)| day).min() else {
            return UnitDays::default();
        };
        let mut by_day = UnitDays { first_day, units: Vec::new() };
        for (day, index) in own() {
            let at = (day - first_day) as usize;
            if at >= by_day.units.len() {
                by_day.units.resize(at + 1, None);
            }
            by_day.units[at] = Some(index);
        }
        by_day
    }

    /// The unit of a day since 1970-01-01.
    #[inline]
    pub fn unit(&self, day: i64) -> Option<usize> {
        let at = usize::try_from(day.checked_sub(self.first_day)?).ok()?;
        *self.units.get(at)?
    }

    /// First and last unit of the days `first..=last`.
    pub fn between(&self, first: i64, last: i64) -> Option<(usize, usize)> {
        let end = self.first_day + self.units.len() as i64 - 1;
        let mut days = first.max(self.first_day)..=last.min(end);
        let low = days.clone().find_map(|day| self.unit(day))?;
        let high = days.rfind(|&day| self.unit(day).is_some()).and_then(|day| self.unit(day))?;
        Some((low, high))
    }
}

/// The days from `from` to `to`, inclusive.
pub fn days(from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    from.iter_days().take_while(move |day| *day <= to)
}
