//! The capacity of nodes as self-contained records.

use super::bytes::{Cursor, Malformed, put_text};
use super::values::intern;
use crate::aggregate::capacity::{Most, NodeInterval};
use crate::aggregate::partial::Partial;

/// Appends what `state` knows of the node and interval at `index`.
pub fn encode(state: &Partial, index: usize, out: &mut Vec<u8>) {
    let (key, most) = state.capacity.at(index);
    put_text(out, state.texts.get(key.node));
    out.extend(key.interval.to_le_bytes());
    out.extend(most.core_seconds.to_le_bytes());
    out.extend(most.byte_seconds.to_le_bytes());
}

/// Adds a record to `state`.
pub fn decode_into(mut cursor: Cursor<'_>, state: &mut Partial) -> Result<(), Malformed> {
    let node = cursor.text()?;
    let interval = i64::from_le_bytes(cursor.array()?);
    let most = Most { core_seconds: cursor.f64()?, byte_seconds: cursor.f64()? };
    let key = NodeInterval { node: intern(state, node), interval };
    state.capacity.merge_one(key, &most);
    Ok(())
}
