//! The text of a label value that is no text itself.

use serde_json::Value;

/// A list or object as PostgreSQL spells `jsonb`, since that is what upstream's labels hold: a
/// blank after `,` and `:`, shorter keys first.
pub fn text(value: &Value) -> String {
    let mut text = String::new();
    push(value, &mut text);
    text
}

fn push(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                push(item, text);
            }
            text.push(']');
        }
        Value::Object(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().collect();
            pairs.sort_unstable_by_key(|(key, _)| (key.len(), key.as_bytes()));
            text.push('{');
            for (i, (key, value)) in pairs.into_iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push_str(": ");
                push(value, text);
            }
            text.push('}');
        }
        simple => text.push_str(&simple.to_string()),
    }
}
