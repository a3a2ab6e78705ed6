//! One label text to its enabled pairs, in the JSON syntax or the proof of concept's.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::keys::{EnabledKeys, KeyId};
use super::{nested, plain};

/// An enabled key with its value; `None` is JSON null.
pub type Pair<'a> = (KeyId, Option<Cow<'a, str>>);

/// Why a text is no label object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LabelError {
    #[error("is not a JSON object: {reason}")]
    NotAnObject { reason: String },
}

/// The enabled pairs of `text`, sorted by key, one a key: the last of a repeated key counts.
///
/// `{}`, the empty text and JSON `null` have none. `pairs` is cleared first.
pub fn parse<'a>(
    text: &'a str,
    keys: &EnabledKeys,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<(), LabelError> {
    pairs.clear();
    let trimmed = text.trim();
    match trimmed.as_bytes().first() {
        None => return Ok(()),
        Some(b'{') => {
            if plain::parse(trimmed, keys, pairs).is_none() {
                pairs.clear();
                parse_json(trimmed, keys, pairs)?;
            }
        }
        Some(b'[' | b'"') => {
            let reason = "it is a list or a text".to_owned();
            return Err(LabelError::NotAnObject { reason });
        }
        Some(_) if trimmed == "null" => return Ok(()),
        Some(_) => parse_list(text, keys, pairs),
    }
    keep_last(pairs);
    Ok(())
}

/// `label_a:x|label_b:y`: an element without exactly one colon is dropped, be it all of the text.
fn parse_list<'a>(text: &'a str, keys: &EnabledKeys, pairs: &mut Vec<Pair<'a>>) {
    for element in text.split('|') {
        let mut parts = element.split(':');
        let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let id =
            if key.contains("label_") { keys.id(&key.replace("label_", "")) } else { keys.id(key) };
        if let Some(id) = id {
            pairs.push((id, Some(Cow::Borrowed(value))));
        }
    }
}

fn keep_last(pairs: &mut Vec<Pair<'_>>) {
    if pairs.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    // Stable, so that of equal keys the last stands last.
    pairs.sort_by_key(|p| p.0);
    pairs.reverse();
    pairs.dedup_by_key(|p| p.0);
    pairs.reverse();
}

fn parse_json<'a>(
    text: &'a str,
    keys: &EnabledKeys,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<(), LabelError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result =
        deserializer.deserialize_map(Labels { keys, pairs }).and_then(|()| deserializer.end());
    result.map_err(|e| LabelError::NotAnObject { reason: e.to_string() })
}

struct Labels<'k, 'a, 'p> {
    keys: &'k EnabledKeys,
    pairs: &'p mut Vec<Pair<'a>>,
}

impl<'a> Visitor<'a> for Labels<'_, 'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(id) = map.next_key_seed(EnabledKey(self.keys))? {
            match id {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(id) => {
                    let value = map.next_value_seed(LabelValue)?;
                    self.pairs.push((id, value));
                }
            }
        }
        Ok(())
    }
}

/// A key, looked up without being copied.
struct EnabledKey<'k>(&'k EnabledKeys);

impl<'a> DeserializeSeed<'a> for EnabledKey<'_> {
    type Value = Option<KeyId>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for EnabledKey<'_> {
    type Value = Option<KeyId>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a label key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.id(key))
    }
}

/// A value: text as it is, numbers and switches as their JSON text, [`nested`] ones as that says,
/// null as `None`.
struct LabelValue;

impl<'a> DeserializeSeed<'a> for LabelValue {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for LabelValue {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a label value")
    }

    fn visit_borrowed_str<E>(self, v: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(v.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(if v { "true" } else { "false" })))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(v.to_string())))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(v.to_string())))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(serde_json::Value::from(v).to_string())))
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        let value =
            serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let value: serde_json::Value = value;
        Ok(Some(Cow::Owned(nested::text(&value))))
    }

    fn visit_seq<A: serde::de::SeqAccess<'a>>(self, seq: A) -> Result<Self::Value, A::Error> {
        let value =
            serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))?;
        let value: serde_json::Value = value;
        Ok(Some(Cow::Owned(nested::text(&value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookups::Lookups;
    use crate::settings::NullRules;

    fn keys() -> EnabledKeys {
        let lookups = Lookups {
            enabled_keys: vec!["env".into(), "app".into(), "größe".into()],
            ..Lookups::default()
        };
        EnabledKeys::new(&lookups, NullRules::SelfHosted)
    }

    fn check(text: &str, expected: &[(&str, Option<&str>)]) {
        let keys = keys();
        let mut pairs = Vec::new();
        parse(text, &keys, &mut pairs).unwrap();
        let got: Vec<_> = pairs.iter().map(|(k, v)| (keys.key(*k), v.as_deref())).collect();
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn json() {
        check(
            r#" {"env":"e","x":{"env":1},"app":"a\"\u00e9"} "#,
            &[("app", Some("a\"é")), ("env", Some("e"))],
        );
        check(r#"{"app":"1","env":"x","app":"2"}"#, &[("app", Some("2")), ("env", Some("x"))]);
        check(r#"{"app":1,"env":null}"#, &[("app", Some("1")), ("env", None)]);
        check(
            r#"{"app":{"bb":[1,"x\"\u00e9"],"c":true,"bb":{"a":[1,"x\""],"A":null}},"env":[1.5]}"#,
            &[
                ("app", Some(r#"{"c": true, "bb": {"A": null, "a": [1, "x\""]}}"#)),
                ("env", Some("[1.5]")),
            ],
        );
        check(
            r#"{"gr\u00f6\u00dfe":"L","vm_kubevirt_io_name":"v"}"#,
            &[("größe", Some("L")), ("vm_kubevirt_io_name", Some("v"))],
        );
        for none in ["", "  ", "{}", "null"] {
            check(none, &[]);
        }
    }

    #[test]
    fn list() {
        check("label_app:x|label_env:y|label_z:1", &[("app", Some("x")), ("env", Some("y"))]);
        check("label_app:a:b|env:|nothing", &[("env", Some(""))]);
        check("label_label_app:x", &[("app", Some("x"))]);
        for none in ["hello", "label_app", "app|env", "app:a:b", ":", "|", "nullx"] {
            check(none, &[]);
        }
    }

    #[test]
    fn refused() {
        let keys = keys();
        let mut pairs = Vec::new();
        for bad in ["{", r#"{"a":1} x"#, "[1]", r#""text""#, r#"{"a" 1}"#, "{'a':1}"] {
            assert!(parse(bad, &keys, &mut pairs).is_err(), "{bad}");
        }
    }
}
