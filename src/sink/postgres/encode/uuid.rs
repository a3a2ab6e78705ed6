//! `uuid`: its sixteen bytes.

use bytes::{BufMut, BytesMut};
use uuid::Uuid;

/// Appends `value` as a `uuid` field.
pub fn encode(out: &mut BytesMut, value: Uuid) {
    out.put_i32(16);
    out.put_slice(value.as_bytes());
}
