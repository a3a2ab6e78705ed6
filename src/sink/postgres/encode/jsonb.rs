//! `jsonb`: a version byte, then the JSON text.

use bytes::{BufMut, BytesMut};

use super::{Unstorable, put_len};

const VERSION: u8 = 1;

/// Appends `value`, which is valid JSON, as a `jsonb` field.
///
/// # Errors
/// A value with NUL, plain or as the escape `\u0000`: jsonb has no room for it. Nothing is
/// appended then.
pub fn encode(out: &mut BytesMut, value: &str) -> Result<(), Unstorable> {
    if holds_nul(value.as_bytes()) {
        return Err(Unstorable::Nul);
    }
    put_len(out, value.len() + 1)?;
    out.put_u8(VERSION);
    out.put_slice(value.as_bytes());
    Ok(())
}

fn holds_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\' || byte == 0) {
        if rest[at] == 0 || rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // What a backslash escapes may be a backslash, which then escapes nothing.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_escape_is_a_nul() {
        assert!(holds_nul(br#"{"a":"\u0000"}"#));
        assert!(holds_nul(br#"{"a":"\\\u0000"}"#));
        assert!(holds_nul(b"\"\0\""));
        assert!(!holds_nul(br#"{"a":"\\u0000"}"#));
        assert!(!holds_nul(br#"{"a":"\"u0000\u0001"}"#));
        assert!(!holds_nul(br"\"));
    }
}
