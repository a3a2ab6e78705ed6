//! A dictionary page: its values, and what they were mapped to.

use bytes::Bytes;

use super::column::Resolve;
use super::error::{InputError, Place};
use crate::aggregate::partial::StateId;
use crate::aggregate::rows::Id;

/// Byte ranges of a dictionary of texts.
#[derive(Debug)]
pub struct TextDictionary {
    bytes: Bytes,
    ranges: Vec<(u32, u32)>,
    /// For each partial state that codes were resolved for: code → id, [`UNRESOLVED`] where not yet.
    /// A state that came in the place of another takes over its map, emptied.
    remaps: Vec<(StateId, Vec<u32>)>,
}

/// A code that no row has used yet. Ids never come near it.
const UNRESOLVED: u32 = u32::MAX - 1;

/// A code that is being resolved.
const PENDING: u32 = u32::MAX - 2;

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

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Appends the id that each of `codes` has for the partial state `state`. False if one of them has
    /// none yet, or is none of the dictionary: what was appended means nothing then.
    pub fn known_ids<I: Id>(&self, codes: &[u32], state: StateId, out: &mut Vec<I>) -> bool {
        let Some((_, remap)) = self.remaps.iter().find(|&&(known, _)| known == state) else {
            return false;
        };
        let mut all_known = true;
        out.extend(codes.iter().map(|&code| {
            let id = remap.get(code as usize).copied().unwrap_or(UNRESOLVED);
            all_known &= id != UNRESOLVED;
            I::from_raw(id)
        }));
        all_known
    }

    /// Resolves `codes` for the partial state `state`, all of which the dictionary has.
    ///
    /// # Errors
    /// The first text that `resolve` refuses.
    pub fn resolve<R: Resolve>(
        &mut self,
        codes: &[u32],
        state: StateId,
        resolve: &mut R,
        place: &Place,
    ) -> Result<(), InputError> {
        let known = match self.remaps.iter().position(|&(known, _)| known.is_of_line(state)) {
            Some(known) => {
                let (of, remap) = &mut self.remaps[known];
                if *of != state {
                    *of = state;
                    remap.fill(UNRESOLVED);
                }
                known
            }
            None => {
                self.remaps.push((state, vec![UNRESOLVED; self.ranges.len()]));
                self.remaps.len() - 1
            }
        };
        let remap = &mut self.remaps[known].1;
        let mut new = Vec::new();
        for &code in codes {
            let id = &mut remap[code as usize];
            if *id == UNRESOLVED {
                *id = PENDING;
                new.push(code);
            }
        }
        let text = |&code: &u32| {
            let (start, end) = self.ranges[code as usize];
            &self.bytes[start as usize..end as usize]
        };
        let mut ids = Vec::with_capacity(new.len());
        resolve.ids(new.iter().map(text), place, &mut ids)?;
        for (code, id) in new.into_iter().zip(ids) {
            remap[code as usize] = id.raw();
        }
        Ok(())
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
