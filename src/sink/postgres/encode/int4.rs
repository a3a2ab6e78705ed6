//! `integer`.

use bytes::{BufMut, BytesMut};

/// Appends `value` as an `integer` field.
pub fn encode(out: &mut BytesMut, value: i32) {
    out.put_i32(4);
    out.put_i32(value);
}
