//! One spelling for each value, so that equal values are equal texts.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde_json::Value;
use uuid::Uuid;

use crate::summary::columns::{COLUMNS, ColumnType};

/// What a value should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Number,
    Integer,
    Date,
    Json,
    Uuid,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Number => "a number",
            Expected::Integer => "an integer",
            Expected::Date => "a date (YYYY-MM-DD)",
            Expected::Json => "JSON",
            Expected::Uuid => "a UUID",
        })
    }
}

/// The type by which a column is compared; a column the summary does not know is text.
pub(super) fn column_type(name: &str) -> ColumnType {
    COLUMNS.iter().find(|c| c.name == name).map_or(ColumnType::Text, |c| c.column_type)
}

pub(super) fn number(text: &str) -> Result<f64, Expected> {
    text.trim().parse().map_err(|_| Expected::Number)
}

/// The one spelling of `text` in a column of type `column_type` other than numeric.
pub(super) fn canonical(column_type: ColumnType, text: &str) -> Result<Cow<'_, str>, Expected> {
    match column_type {
        ColumnType::Text | ColumnType::Numeric => Ok(Cow::Borrowed(text)),
        ColumnType::Integer => integer(text),
        ColumnType::Date => date(text),
        ColumnType::Json => json(text).map(Cow::Owned),
        ColumnType::Uuid => uuid(text),
    }
}

/// `7`, and `7.0` as programs write it that keep nullable integers as doubles.
fn integer(text: &str) -> Result<Cow<'_, str>, Expected> {
    if let Ok(value) = text.parse::<i64>() {
        return Ok(Cow::Owned(value.to_string()));
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
            Ok(Cow::Owned((value as i64).to_string()))
        }
        _ => Err(Expected::Integer),
    }
}

/// A date, or a time of day kept as it is: midnight is the date alone.
fn date(text: &str) -> Result<Cow<'_, str>, Expected> {
    if NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .is_ok_and(|d| text.len() == 10 || d.to_string() == text)
    {
        return Ok(Cow::Borrowed(text));
    }
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .map(|t| t.naive_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"))
        .map_err(|_| Expected::Date)?;
    Ok(Cow::Owned(timestamp(time)))
}

/// Midnight as the date alone, so that a column of timestamps compares with one of dates.
pub(super) fn timestamp(time: NaiveDateTime) -> String {
    if time.time() == NaiveTime::MIN { time.date().to_string() } else { time.to_string() }
}

fn uuid(text: &str) -> Result<Cow<'_, str>, Expected> {
    let parsed = Uuid::parse_str(text).map_err(|_| Expected::Uuid)?;
    Ok(Cow::Owned(parsed.hyphenated().to_string()))
}

/// Sorted keys, no spaces, one spelling per number.
fn json(text: &str) -> Result<String, Expected> {
    let value: Value = serde_json::from_str(text).map_err(|_| Expected::Json)?;
    let mut out = String::with_capacity(text.len());
    write_json(&value, &mut out);
    Ok(out)
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => match number.as_f64() {
            // -0.0, 0 and 0.000 are one number; beyond 2^63 a double has no integer spelling.
            Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 9.2e18 => {
                out.push_str(&(double as i64).to_string());
            }
            _ => out.push_str(&number.to_string()),
        },
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, item)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_json(item, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_by_value() {
        let canonical = |text| canonical(ColumnType::Json, text).unwrap().into_owned();
        assert_eq!(
            canonical(r#"{"cpu": 0.000000000, "b": [1.50, -0.0]}"#),
            canonical(r#"{"b":[1.5,0],"cpu":0}"#)
        );
        assert_eq!(canonical(r#"{"a":"\u00e9"}"#), canonical("{\"a\":\"é\"}"));
        assert_ne!(canonical(r#"{"a":"1"}"#), canonical(r#"{"a":1}"#));
        assert_ne!(canonical("9007199254740993"), canonical("9007199254740992"));
        assert_ne!(canonical("{}"), canonical("null"));
    }

    #[test]
    fn dates_come_in_several_spellings() {
        let canonical = |text| canonical(ColumnType::Date, text).map(Cow::into_owned);
        for text in [
            "2025-10-01",
            "2025-10-01 00:00:00",
            "2025-10-01T00:00:00.000",
            "2025-10-01T00:00:00Z",
            "2025-10-01 00:00:00+00",
        ] {
            assert_eq!(canonical(text).as_deref(), Ok("2025-10-01"), "{text}");
        }
        assert_eq!(canonical("2025-10-01 07:00:00").as_deref(), Ok("2025-10-01 07:00:00"));
        assert_eq!(canonical("10/01/2025"), Err(Expected::Date));
        assert_eq!(canonical("2025-13-01"), Err(Expected::Date));
    }

    #[test]
    fn integers_and_uuids() {
        let integer = |text| canonical(ColumnType::Integer, text).map(Cow::into_owned);
        assert_eq!(integer("007").as_deref(), Ok("7"));
        assert_eq!(integer("7.0").as_deref(), Ok("7"));
        assert_eq!(integer("7.5"), Err(Expected::Integer));
        let uuid = |text| canonical(ColumnType::Uuid, text).map(Cow::into_owned);
        assert_eq!(
            uuid("BC531E7B-F319-5BBF-B686-40D15291920D").as_deref(),
            Ok("bc531e7b-f319-5bbf-b686-40d15291920d")
        );
        assert_eq!(uuid("x"), Err(Expected::Uuid));
    }
}
