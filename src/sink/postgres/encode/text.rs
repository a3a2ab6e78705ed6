//! `text` and `varchar(n)`: UTF-8 as it is.

use bytes::{BufMut, BytesMut};

use super::{Unstorable, put_len};

/// Appends `value` as a text field; `limit` is the `n` of `varchar(n)`, in characters.
///
/// # Errors
/// A value with NUL, or longer than `limit`. Nothing is appended then.
pub fn encode(out: &mut BytesMut, value: &str, limit: Option<usize>) -> Result<(), Unstorable> {
    if value.as_bytes().contains(&0) {
        return Err(Unstorable::Nul);
    }
    if let Some(limit) = limit
        && value.len() > limit
        && value.chars().nth(limit).is_some()
    {
        return Err(Unstorable::TooLong { limit });
    }
    put_len(out, value.len())?;
    out.put_slice(value.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_characters_not_bytes() {
        let mut out = BytesMut::new();
        assert_eq!(encode(&mut out, "äöü", Some(3)), Ok(()));
        assert_eq!(out[..], *b"\0\0\0\x06\xc3\xa4\xc3\xb6\xc3\xbc");
        let end = out.len();
        assert_eq!(encode(&mut out, "äöüß", Some(3)), Err(Unstorable::TooLong { limit: 3 }));
        assert_eq!(encode(&mut out, "a\0b", None), Err(Unstorable::Nul));
        assert_eq!(out.len(), end);
    }
}
