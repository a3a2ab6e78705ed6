//! Label texts, and what is left of them once filtered and merged.

use std::collections::{BTreeMap, BTreeSet};

use super::json::Json;

/// A label object: a value is `None` where the JSON says null.
pub type Labels = BTreeMap<String, Option<String>>;

/// The labels of `text` that are among `keys`.
pub fn filtered(text: Option<&str>, keys: &BTreeSet<String>) -> Labels {
    let mut labels = parsed(text.unwrap_or_default());
    labels.retain(|key, _| keys.contains(key));
    labels
}

fn parsed(text: &str) -> Labels {
    let mut labels = Labels::new();
    if text.trim().is_empty() {
        return labels;
    }
    if text.trim_start().starts_with('{') {
        let Json::Object(pairs) = Json::parse(text) else { panic!("not an object: {text}") };
        for (key, value) in pairs {
            let value = match value {
                Json::Null => None,
                Json::Text(text) => Some(text),
                other => Some(other.spelled()),
            };
            labels.insert(key, value);
        }
        return labels;
    }
    for element in text.split('|') {
        let parts: Vec<&str> = element.split(':').collect();
        if let [key, value] = parts[..] {
            labels.insert(key.replace("label_", ""), Some(value.to_owned()));
        }
    }
    labels
}

/// Later layers win per key.
pub fn merged(layers: &[&Labels]) -> Labels {
    let mut all = Labels::new();
    for layer in layers {
        all.extend(layer.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    all
}

/// Whether `text` is LIKE `pattern`, with `%`, `_` and a backslash before what is meant literally.
pub fn like(text: &str, pattern: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => text.is_empty(),
        Some('%') => {
            let ends = text.char_indices().map(|(i, _)| i).chain([text.len()]);
            ends.into_iter().any(|i| like(&text[i..], pattern.as_str()))
        }
        Some('_') => {
            let mut text = text.chars();
            text.next().is_some() && like(text.as_str(), pattern.as_str())
        }
        Some(c) => {
            let literal = if c == '\\' { pattern.next().expect("nothing to escape") } else { c };
            text.strip_prefix(literal).is_some_and(|rest| like(rest, pattern.as_str()))
        }
    }
}

#[test]
fn patterns_match_as_like_does() {
    assert!(like("openshift-x", "openshift-%") && like("openshift-", "openshift-%"));
    assert!(!like("Openshift-x", "openshift-%") && !like("openshift", "openshift-%"));
    assert!(like("a😀b", "a_b") && !like("ab", "a_b"));
    assert!(like("a_b", r"a\_b") && !like("axb", r"a\_b") && like(r"a\b", r"a\\b"));
    assert!(like("", "%") && !like("", "_") && like("abcb", "%b"));
}

#[test]
fn both_spellings_of_labels_are_read() {
    let keys: BTreeSet<String> = ["a", "b"].map(String::from).into();
    let text = |text| filtered(Some(text), &keys);
    assert_eq!(text("label_a:x|label_b:|c:z|b:1:2|a"), text(r#"{"b": "", "c": "z", "a": "x"}"#));
    let nested = text(r#"{"a": {"bb": [1, 2.50], "c": "\"", "bb": [true]}, "b": null}"#);
    assert_eq!(nested["a"].as_deref(), Some(r#"{"c": "\"", "bb": [true]}"#));
    assert_eq!(nested["b"], None);
    assert_eq!(text(""), Labels::new());
}
