//! A dictionary page: its values, and what they were mapped to.

use bytes::Bytes;

use crate::aggregate::partial::StateId;

/// Byte ranges of a dictionary of texts.
#[derive(Debug)]
pub struct TextDictionary {
    bytes: Bytes,
    ranges: Vec<(u32, u32)>,
    /// For each partial state that codes were resolved for: code → id, [`UNRESOLVED`] where not yet.
    /// A state that came in the place of another takes over its map, emptied.
    remaps: Vec<(StateId, Vec<u32>)>,
}

/// A code that no row has used yet. Ids never reach it: null has no code.
pub const UNRESOLVED: u32 = u32::MAX - 1;

impl TextDictionary {
    /// `count` length-prefixed texts, as PLAIN writes them; `None` if the page ends early.
    pub fn new(bytes: Bytes, count: usize) -> Option<Self> {
        let mut ranges = Vec::with_capacity(count.min(bytes.len() / 4));
        let mut at = 0;
        for _ in 0..count {
            let (start, end) = plain_text(&bytes, at)?;
            ranges.push((u32::try_from(start).ok()?, u32::try_from(end).ok()?));
            at = end;
        }
        Some(TextDictionary { bytes, ranges, remaps: Vec::new() })
    }

    pub fn text(&self, code: u32) -> Option<&[u8]> {
        let &(start, end) = self.ranges.get(code as usize)?;
        Some(&self.bytes[start as usize..end as usize])
    }

    /// The map for the partial state `state`; give it back with [`TextDictionary::put_remap`].
    pub fn take_remap(&mut self, state: StateId) -> Vec<u32> {
        match self.remaps.iter().position(|&(known, _)| known.is_of_line(state)) {
            Some(i) => {
                let (known, mut remap) = self.remaps.swap_remove(i);
                if known != state {
                    remap.fill(UNRESOLVED);
                }
                remap
            }
            None => vec![UNRESOLVED; self.ranges.len()],
        }
    }

    pub fn put_remap(&mut self, state: StateId, remap: Vec<u32>) {
        self.remaps.push((state, remap));
    }
}

/// Start and end of the length-prefixed text at `at`.
#[inline]
pub fn plain_text(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_add(4)?;
    let prefix: [u8; 4] = bytes.get(at..start)?.try_into().ok()?;
    let end = start.checked_add(u32::from_le_bytes(prefix) as usize)?;
    (end <= bytes.len()).then_some((start, end))
}
