//! The JSON objects that nearly all label texts are: texts by texts, nothing escaped.

use std::borrow::Cow;

use super::keys::EnabledKeys;
use super::parse::Pair;

/// Appends the enabled pairs of `text` in its order; `None` if it is anything but a plain object,
/// which says nothing about whether it is a good one. Some pairs may have been appended then.
pub fn parse<'a>(text: &'a str, keys: &EnabledKeys, pairs: &mut Vec<Pair<'a>>) -> Option<()> {
    let mut reader = Reader { text, at: 0 };
    reader.expect(b'{')?;
    if reader.take(b'}') {
        return reader.is_at_end().then_some(());
    }
    loop {
        let key = reader.string()?;
        reader.expect(b':')?;
        let value = reader.string()?;
        if let Some(id) = keys.id(key) {
            pairs.push((id, Some(Cow::Borrowed(value))));
        }
        if !reader.take(b',') {
            reader.expect(b'}')?;
            return reader.is_at_end().then_some(());
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    /// Passes `byte`, and white space before it, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// A text in quotes without a backslash or a control character.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = &self.text[self.at..];
        let end = plain_length(rest.as_bytes())?;
        if rest.as_bytes()[end] != b'"' {
            return None;
        }
        self.at += end + 1;
        Some(&rest[..end])
    }
}

/// Bytes before the first quote, backslash or control character; `None` if there is none.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return Some(index * 8 + special.trailing_zeros() as usize / 8);
        }
    }
    let in_rest = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < b' ')?;
    Some(words.len() * 8 + in_rest)
}

/// The highest bit of each special byte of `word`. Bytes above the lowest special one may be marked
/// too, since subtracting borrows from them.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::labels::keys::EnabledKeys;
    use crate::lookups::Lookups;
    use crate::settings::NullRules;

    fn keys() -> EnabledKeys {
        let enabled_keys = ["app", "", "ü"].map(str::to_owned).into();
        EnabledKeys::new(&Lookups { enabled_keys, ..Lookups::default() }, NullRules::SelfHosted)
    }

    /// What is read must be what JSON says, in order; what is not JSON must not be read.
    fn agrees(text: &str) -> bool {
        let keys = keys();
        let mut pairs = Vec::new();
        let parsed = parse(text, &keys, &mut pairs).is_some();
        let json = serde_json::from_str::<serde_json::Value>(text);
        if parsed {
            let object = json.unwrap();
            for (id, value) in &pairs {
                let last = pairs.iter().rev().find(|pair| pair.0 == *id).unwrap();
                assert!(value.is_some());
                assert_eq!(object[keys.key(*id)], *last.1.as_deref().unwrap());
            }
            for (key, _) in object.as_object().unwrap() {
                let is_there = pairs.iter().any(|pair| Some(pair.0) == keys.id(key));
                assert_eq!(is_there, keys.id(key).is_some());
            }
        }
        parsed
    }

    #[test]
    fn plain_objects_are_read_and_nothing_else() {
        for text in [
            "{}",
            " { } ",
            r#"{"app":"x"}"#,
            r#"{"app": "x", "b" :"y","app":"z"}"#,
            "\t{\n\"\" : \"\" ,\r\"ü\":\"日本\"}\n",
        ] {
            assert!(agrees(text), "{text}");
        }
        for text in [
            "",
            "{",
            "{,}",
            r#"{"app"}"#,
            r#"{"app":}"#,
            r#"{"app":"x",}"#,
            r#"{"app":"x"} x"#,
            r#"{"app":"x""b":"y"}"#,
            r#"{"app":"\u0041"}"#,
            r#"{"a\"":"x"}"#,
            r#"{"app":1}"#,
            r#"{"app":{"a":"b"}}"#,
            r#"{"app":null}"#,
            "{\"app\":\"a\tb\"}",
            "{\"app\":\"a",
            "{\u{a0}}",
        ] {
            assert!(!agrees(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn special_bytes_are_found_where_they_are(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(vec![b'"', b'\\', 0x1f, b' ', b'!', b'#', 0x80, 0xff]),
            ], 0..40))
        {
            let is_special = |&b: &u8| b == b'"' || b == b'\\' || b < b' ';
            prop_assert_eq!(plain_length(&bytes), bytes.iter().position(is_special));
        }

        #[test]
        fn texts_made_of_its_parts(parts in prop::collection::vec(
            prop::sample::select(vec!["{", "}", ":", ",", "\"", "\"app\"", "\"ü\"", " ", "x", "\\", "1"]), 0..12))
        {
            agrees(&parts.concat());
        }
    }
}
