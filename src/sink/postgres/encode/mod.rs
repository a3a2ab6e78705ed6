//! Values in PostgreSQL's binary COPY format, one type a file.
//!
//! Each `encode` appends a field: its length in bytes (i32, big endian), then the value.

use bytes::{BufMut, BytesMut};

pub mod date;
pub mod int4;
pub mod jsonb;
pub mod numeric;
pub mod text;
pub mod uuid;

/// Why a value cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    #[error("the column holds up to 18 digits before the point: check the input")]
    TooManyDigits,
    #[error("PostgreSQL cannot store the character NUL: remove it from the input")]
    Nul,
    #[error("the column holds up to {limit} characters: shorten the value or widen the column")]
    TooLong { limit: usize },
    #[error("the value is longer than a field of COPY can be")]
    FieldTooLarge,
}

/// Appends the field of a null.
pub fn null(out: &mut BytesMut) {
    out.put_i32(-1);
}

/// Appends the length of a field of `len` bytes.
fn put_len(out: &mut BytesMut, len: usize) -> Result<(), Unstorable> {
    out.put_i32(i32::try_from(len).map_err(|_| Unstorable::FieldTooLarge)?);
    Ok(())
}
