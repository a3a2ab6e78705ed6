//! Label texts: read without panic, and JSON objects as a plain reading of them has it.

use std::collections::BTreeMap;

use ocp_rollup::aggregate::interner::Interner;
use ocp_rollup::labels::keys::EnabledKeys;
use ocp_rollup::labels::parse::parse;
use ocp_rollup::labels::sets::LabelSets;
use ocp_rollup::lookups::Lookups;
use ocp_rollup::settings::NullRules;
use serde_json::Value;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let enabled_keys = ["a", "app", "b", "", "größe", "label_x"].map(str::to_owned).to_vec();
    let lookups = Lookups { enabled_keys, ..Lookups::default() };
    let keys = EnabledKeys::new(&lookups, NullRules::SelfHosted);
    let mut pairs = Vec::new();
    if parse(text, &keys, &mut pairs).is_err() {
        assert!(!is_object(text), "refused: {text:?}");
        return;
    }
    assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "keys in order, once each: {text:?}");
    if is_object(text) {
        check_values(text, &keys, &pairs);
    }
    // What goes to the table: valid JSON with the same values.
    let (mut sets, mut texts) = (LabelSets::default(), Interner::new(7));
    let set = sets.intern(&pairs, &mut texts);
    let mut json = String::new();
    sets.render(set, &keys, &texts, &mut json);
    let written: BTreeMap<String, Option<String>> =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{text:?} as {json:?}: {error}"));
    let read: BTreeMap<String, Option<String>> = pairs
        .iter()
        .map(|(key, value)| (keys.key(*key).to_owned(), value.as_deref().map(str::to_owned)))
        .collect();
    assert_eq!(written, read, "{text:?}");
}

fn is_object(text: &str) -> bool {
    // As a map: nothing but an object is one, and a repeated key is fine.
    serde_json::from_str::<BTreeMap<String, Value>>(text.trim()).is_ok()
}

/// Texts must be what serde_json reads; other values are compared for being there.
fn check_values(text: &str, keys: &EnabledKeys, pairs: &[ocp_rollup::labels::parse::Pair<'_>]) {
    let plain: BTreeMap<String, Value> =
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let expected: BTreeMap<&str, &Value> = plain
        .iter()
        .filter(|(key, _)| keys.id(key).is_some())
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    assert_eq!(expected.len(), pairs.len(), "{text:?}");
    for (key, value) in pairs {
        let expected = expected[keys.key(*key)];
        match (expected, value) {
            (Value::Null, None) => {}
            (Value::String(expected), Some(value)) => assert_eq!(expected, value, "{text:?}"),
            (Value::Bool(expected), Some(value)) => {
                assert_eq!(&expected.to_string(), value, "{text:?}");
            }
            (Value::Number(_) | Value::Array(_) | Value::Object(_), Some(_)) => {}
            (expected, value) => panic!("{text:?}: {expected:?} became {value:?}"),
        }
    }
}
