//! Just enough JSON, read by hand, to keep numbers as they are spelled.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    /// A number, `true` or `false`, as spelled.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    /// In the order of the text, repeated keys included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that is known to be JSON.
    pub fn parse(text: &str) -> Json {
        let mut chars = text.chars().peekable();
        let value = value(&mut chars);
        blanks(&mut chars);
        assert_eq!(chars.next(), None, "more than one value in {text:?}");
        value
    }

    /// As PostgreSQL spells `jsonb`.
    pub fn spelled(&self) -> String {
        match self {
            Json::Null => "null".into(),
            Json::Bare(text) => text.clone(),
            Json::Text(text) => quoted(text),
            Json::List(items) => {
                let items: Vec<String> = items.iter().map(Json::spelled).collect();
                format!("[{}]", items.join(", "))
            }
            Json::Object(pairs) => {
                let mut last: Vec<(&String, &Json)> = Vec::new();
                for (key, value) in pairs {
                    last.retain(|(k, _)| *k != key);
                    last.push((key, value));
                }
                last.sort_by_key(|(k, _)| (k.len(), k.as_bytes()));
                let pairs: Vec<String> =
                    last.iter().map(|(k, v)| format!("{}: {}", quoted(k), v.spelled())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }
}

/// A JSON string with the escapes it needs and no others.
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

type Input<'a, 'b> = &'a mut Peekable<Chars<'b>>;

fn blanks(input: Input<'_, '_>) {
    while input.next_if(|c| c.is_ascii_whitespace()).is_some() {}
}

fn value(input: Input<'_, '_>) -> Json {
    blanks(input);
    match input.peek() {
        Some('"') => Json::Text(string(input)),
        Some('[') => Json::List(items(input, ']', value)),
        Some('{') => Json::Object(items(input, '}', |input| {
            blanks(input);
            let key = string(input);
            blanks(input);
            assert_eq!(input.next(), Some(':'));
            (key, value(input))
        })),
        _ => {
            let mut bare = String::new();
            while let Some(c) = input.next_if(|c| !",]}".contains(*c) && !c.is_ascii_whitespace()) {
                bare.push(c);
            }
            if bare == "null" { Json::Null } else { Json::Bare(bare) }
        }
    }
}

fn items<T>(input: Input<'_, '_>, end: char, mut item: impl FnMut(Input<'_, '_>) -> T) -> Vec<T> {
    input.next();
    let mut items = Vec::new();
    loop {
        blanks(input);
        if input.next_if_eq(&end).is_some() {
            return items;
        }
        if !items.is_empty() {
            assert_eq!(input.next(), Some(','));
        }
        items.push(item(input));
    }
}

fn string(input: Input<'_, '_>) -> String {
    assert_eq!(input.next(), Some('"'));
    let mut units: Vec<u16> = Vec::new();
    loop {
        let c = match input.next().expect("an unfinished string") {
            '"' => return String::from_utf16(&units).expect("a lone surrogate"),
            '\\' => match input.next().expect("an unfinished escape") {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => {
                    let hex: String = input.take(4).collect();
                    units.push(u16::from_str_radix(&hex, 16).expect("four hex digits"));
                    continue;
                }
                other => other,
            },
            other => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
}
