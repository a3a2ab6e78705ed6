//! One cell of a CSV file to the value that Koku keeps.

use std::collections::HashMap;
use std::fmt::Write;

use chrono::{NaiveDate, NaiveDateTime};

/// A number; nothing, and what is no number by its own name, is 0. `None` if it is no number or
/// below any.
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0.0);
    }
    let value: f64 = text.parse().ok()?;
    if value.is_nan() {
        return Some(0.0);
    }
    (value != f64::NEG_INFINITY).then_some(value)
}

/// A time like `2025-10-01 00:00:00 +0000 UTC`, with a fraction of a second or a `T` if need be.
/// `None` if it is none, or not in UTC, or not in the years from 1970 to 9999.
pub fn time(text: &str) -> Option<NaiveDateTime> {
    let mut text = text.trim();
    for zone in ["UTC", "Z", "+0000", "+00:00"] {
        text = text.strip_suffix(zone).unwrap_or(text).trim_end();
    }
    let form = if text.contains('T') { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let time = NaiveDateTime::parse_from_str(text, form).ok()?;
    let first = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let last = NaiveDate::from_ymd_opt(9999, 12, 31)?;
    (first..=last).contains(&time.date()).then_some(time)
}

/// Bytes of label texts to remember.
const REMEMBERED: usize = 4 << 20;

/// Label texts to JSON, remembering those met lately: most rows repeat them.
#[derive(Debug, Default)]
pub struct Labels {
    known: HashMap<Box<str>, Box<str>>,
    bytes: usize,
}

impl Labels {
    /// The JSON text of labels like `label_app:web|label_env:test`. `None` if they are JSON
    /// already, which that form would cut to pieces.
    pub fn json(&mut self, text: &str) -> Option<&str> {
        if text.starts_with('{') && text != "{}" {
            return None;
        }
        if !self.known.contains_key(text) {
            let json = to_json(text);
            if self.bytes > REMEMBERED {
                self.known.clear();
                self.bytes = 0;
            }
            self.bytes += text.len() + json.len();
            self.known.insert(text.into(), json.into());
        }
        self.known.get(text).map(Box::as_ref)
    }
}

/// Elements without exactly one colon are dropped, every `label_` in a key is removed, and the
/// last value of a repeated key stands in the first one's place.
fn to_json(text: &str) -> String {
    let mut labels: Vec<(String, &str)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for element in text.split('|') {
        let mut parts = element.split(':');
        let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let key = key.replace("label_", "");
        match places.get(&key).and_then(|place| labels.get_mut(*place)) {
            Some(label) => label.1 = value,
            None => {
                places.insert(key.clone(), labels.len());
                labels.push((key, value));
            }
        }
    }
    let mut json = String::with_capacity(text.len() + 2);
    json.push('{');
    for (index, (key, value)) in labels.iter().enumerate() {
        if index > 0 {
            json.push_str(", ");
        }
        quote(&mut json, key);
        json.push_str(": ");
        quote(&mut json, value);
    }
    json.push('}');
    json
}

/// A JSON text in ASCII alone, as Koku's files have it.
fn quote(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a text cannot fail.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in [
            ("", Some(0.0)),
            ("  ", Some(0.0)),
            ("NaN", Some(0.0)),
            ("3600", Some(3600.0)),
            (" 0.5 ", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("-2", Some(-2.0)),
            ("+Inf", Some(f64::INFINITY)),
            ("-inf", None),
            ("1,5", None),
            ("0x10", None),
            ("12 GiB", None),
        ] {
            assert_eq!(number(text), value, "{text:?}");
        }
    }

    #[test]
    fn times() {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok();
        for (text, expected) in [
            ("2025-10-01 00:00:00 +0000 UTC", at("2025-10-01 00:00:00")),
            ("2025-10-01 23:59:59.25 +0000 UTC", at("2025-10-01 23:59:59.25")),
            ("2025-10-01T05:00:00Z", at("2025-10-01 05:00:00")),
            ("2025-10-01 05:00:00+00:00", at("2025-10-01 05:00:00")),
            ("2025-10-01 05:00:00", at("2025-10-01 05:00:00")),
            ("2025-10-01 05:00:00 +0200 CEST", None),
            ("2025-10-01 05:00:00 -0100 UTC", None),
            ("2025-10-01", None),
            ("2025-02-30 00:00:00", None),
            ("0025-10-01 00:00:00 +0000 UTC", None),
            ("10/01/2025 00:00", None),
            ("", None),
        ] {
            assert_eq!(time(text), expected, "{text:?}");
        }
    }

    #[test]
    fn labels() {
        let mut labels = Labels::default();
        for (text, json) in [
            ("", Some("{}")),
            ("{}", Some("{}")),
            ("label_app:web|label_env:prod", Some(r#"{"app": "web", "env": "prod"}"#)),
            ("app:web|nothing|a:b:c|env:", Some(r#"{"app": "web", "env": ""}"#)),
            ("label_label_a:1|x_label_y:2", Some(r#"{"a": "1", "x_y": "2"}"#)),
            ("label_a:1|label_b:2|label_a:3", Some(r#"{"a": "3", "b": "2"}"#)),
            ("label_a:\"q\\\t", Some(r#"{"a": "\"q\\\t"}"#)),
            ("label_größe:😀\u{7f}", Some(r#"{"gr\u00f6\u00dfe": "\ud83d\ude00\u007f"}"#)),
            (r#"{"app": "web"}"#, None),
        ] {
            assert_eq!(labels.json(text), json, "{text:?}");
            assert_eq!(labels.json(text), json, "{text:?}, remembered");
        }
    }

    #[test]
    fn only_so_many_label_texts_are_remembered() {
        let mut labels = Labels::default();
        let long = "x".repeat(10_000);
        for number in 0..2_000 {
            let text = format!("label_a:{number}{long}");
            assert!(labels.json(&text).is_some());
        }
        assert!(labels.bytes < REMEMBERED + 50_000);
        assert!(labels.known.len() < 500);
    }
}
