//! The days asked for.

use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate};

use super::error::SettingsError;
use super::keys;
use super::sources::{Raw, Sources};

/// A month of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// `None` if there is no such month.
    pub fn new(year: i32, month: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, 1).map(|first| Month { first })
    }

    /// The month that holds `date`.
    pub fn of(date: NaiveDate) -> Self {
        // Every month has a first day.
        Month { first: date.with_day(1).unwrap_or(date) }
    }

    pub fn year(self) -> i32 {
        self.first.year()
    }

    /// From 1 to 12.
    pub fn month(self) -> u32 {
        self.first.month()
    }

    pub fn first_day(self) -> NaiveDate {
        self.first
    }

    pub fn last_day(self) -> NaiveDate {
        self.next()
            .and_then(|next| next.first.pred_opt())
            // Only the last month the calendar can hold has no next one.
            .unwrap_or(NaiveDate::MAX)
    }

    fn next(self) -> Option<Self> {
        self.first.checked_add_months(Months::new(1)).map(|first| Month { first })
    }

    fn holds(self, date: NaiveDate) -> bool {
        Month::of(date) == self
    }

    /// The months that `from` to `to` touch, in order; none if the range is reversed.
    pub fn between(from: NaiveDate, to: NaiveDate) -> Vec<Month> {
        let last = Month::of(to);
        std::iter::successors(Some(Month::of(from)), |month| month.next())
            .take_while(|month| *month <= last)
            .collect()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

/// `2025-10-01`, `today`, `yesterday`, or `-3d`: three days before `today`.
fn date(raw: &Raw, today: NaiveDate) -> Result<NaiveDate, SettingsError> {
    let text = raw.text.trim();
    let parsed = match text {
        "today" => Some(today),
        "yesterday" => today.pred_opt(),
        _ => match text.strip_prefix('-').and_then(|t| t.strip_suffix('d')) {
            Some(days) => days
                .parse()
                .ok()
                .filter(|_| !days.starts_with('+'))
                .and_then(|days| today.checked_sub_days(Days::new(days))),
            // Written back it must be the same: chrono alone would take `2025-1-1`.
            None => text.parse().ok().filter(|date: &NaiveDate| date.to_string() == text),
        },
    };
    parsed.filter(|date| (1..=9999).contains(&date.year())).ok_or_else(|| {
        raw.invalid("a day such as `2025-10-31`, or `today`, `yesterday` or `-3d` (three days ago)")
    })
}

struct Bound {
    date: NaiveDate,
    raw: Raw,
}

struct WholeMonth {
    month: Month,
    origin: String,
}

/// The first and last day. A day that is not given is that of the month of `ocp.year` and
/// `ocp.month`; days that contradict this month are an error unless a flag asks for them.
pub(crate) fn range(
    sources: &mut Sources<'_>,
    today: NaiveDate,
) -> Result<(NaiveDate, NaiveDate), SettingsError> {
    let from = bound(sources, &keys::FROM, today)?;
    let to = bound(sources, &keys::TO, today)?;
    let both_explicit =
        [&from, &to].iter().all(|b| b.as_ref().is_some_and(|b| b.raw.is_explicit()));
    let month = if both_explicit { None } else { whole_month(sources)? };

    if let Some(whole) = &month {
        let half_given = from.is_none() != to.is_none();
        for bound in [&from, &to].into_iter().flatten() {
            if (half_given || !bound.raw.is_explicit()) && !whole.month.holds(bound.date) {
                return Err(SettingsError::OutsideMonth {
                    origin: bound.raw.origin.to_string(),
                    date: bound.date,
                    month: whole.month,
                    month_origin: whole.origin.clone(),
                });
            }
        }
    }

    let first = from.as_ref().map(|b| b.date).or(month.as_ref().map(|w| w.month.first_day()));
    let last = to.as_ref().map(|b| b.date).or(month.as_ref().map(|w| w.month.last_day()));
    let (Some(first), Some(last)) = (first, last) else {
        let what = match (first, last) {
            (Some(_), None) => "last day",
            (None, Some(_)) => "first day",
            _ => "range of days",
        };
        return Err(SettingsError::Missing {
            what,
            ways: "both `--from` and `--to`, or `ocp.year` and `ocp.month` in the config file"
                .to_owned(),
        });
    };
    if first > last {
        let name = |bound: Option<Bound>| {
            bound.map_or_else(|| "the month".to_owned(), |b| b.raw.origin.to_string())
        };
        return Err(SettingsError::ReversedDates {
            from: first,
            from_origin: name(from),
            to: last,
            to_origin: name(to),
        });
    }
    Ok((first, last))
}

fn bound(
    sources: &mut Sources<'_>,
    key: &keys::Key,
    today: NaiveDate,
) -> Result<Option<Bound>, SettingsError> {
    let Some(raw) = sources.read(key)? else { return Ok(None) };
    Ok(Some(Bound { date: date(&raw, today)?, raw }))
}

fn whole_month(sources: &mut Sources<'_>) -> Result<Option<WholeMonth>, SettingsError> {
    let (year, month) = match (sources.read(&keys::YEAR)?, sources.read(&keys::MONTH)?) {
        (None, None) => return Ok(None),
        (Some(year), Some(month)) => (year, month),
        (Some(year), None) => {
            return Err(SettingsError::Incomplete {
                present: year.origin.to_string(),
                what: "month",
                ways: keys::MONTH.ways(),
            });
        }
        (None, Some(month)) => {
            return Err(SettingsError::Incomplete {
                present: month.origin.to_string(),
                what: "year",
                ways: keys::YEAR.ways(),
            });
        }
    };
    let number = year.text.trim().parse().ok().filter(|y| (1..=9999).contains(y));
    let number = number.ok_or_else(|| year.invalid("a year such as `2025`"))?;
    let month_number = month.text.trim().parse().ok();
    let whole = month_number
        .and_then(|m| Month::new(number, m))
        .ok_or_else(|| month.invalid("a month from 1 to 12"))?;
    Ok(Some(WholeMonth { month: whole, origin: format!("{} and {}", year.origin, month.origin) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::Origin;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn parse(text: &str) -> Option<String> {
        let raw = Raw { text: text.to_owned(), origin: Origin::Flag("from") };
        date(&raw, day("2024-03-01")).ok().map(|d| d.to_string())
    }

    #[test]
    fn forms_of_a_date() {
        assert_eq!(parse("2025-10-31").as_deref(), Some("2025-10-31"));
        assert_eq!(parse("today").as_deref(), Some("2024-03-01"));
        assert_eq!(parse("yesterday").as_deref(), Some("2024-02-29"));
        assert_eq!(parse("-0d").as_deref(), Some("2024-03-01"));
        assert_eq!(parse("-3d").as_deref(), Some("2024-02-27"));
        for text in [
            "2025-02-29",
            "2025-1-1",
            "20251001",
            "01.10.2025",
            "3d",
            "-d",
            "--3d",
            "-+3d",
            "-99999999999d",
            "-3w",
            "tomorrow",
            "2025-10-01T00:00:00",
            "+12025-10-01",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_of_a_range() {
        let months = |from, to| {
            Month::between(day(from), day(to)).iter().map(Month::to_string).collect::<Vec<_>>()
        };
        assert_eq!(months("2025-10-31", "2025-10-31"), ["2025-10"]);
        assert_eq!(months("2024-12-31", "2025-02-01"), ["2024-12", "2025-01", "2025-02"]);
        assert!(months("2025-02-01", "2024-12-31").is_empty());
    }

    #[test]
    fn last_days() {
        let last = |year, month| Month::new(year, month).unwrap().last_day().to_string();
        assert_eq!(last(2024, 2), "2024-02-29");
        assert_eq!(last(2025, 2), "2025-02-28");
        assert_eq!(last(2025, 12), "2025-12-31");
        assert_eq!(Month::new(2025, 13), None);
    }
}
