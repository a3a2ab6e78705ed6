//! Label texts that were read already, so that each distinct one is read once.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::sets::SetId;
use crate::aggregate::groups::vec_growth;
use crate::aggregate::interner::Interner;

/// How texts are told apart: by hash or by comparing them.
#[derive(Debug)]
pub enum KnownLabels {
    /// By a 128-bit hash under a seed drawn at the start of the run. Two texts that collide are
    /// less likely than memory that flips a bit, and no one can make them without the seed.
    Hashed { sets: FxHashMap<u128, SetId>, seed: u64 },
    /// By the whole text, kept.
    Compared { texts: Interner, sets: Vec<SetId> },
}

impl KnownLabels {
    pub fn hashed(seed: u64) -> Self {
        KnownLabels::Hashed { sets: FxHashMap::default(), seed }
    }

    pub fn compared(seed: u64) -> Self {
        KnownLabels::Compared { texts: Interner::new(seed), sets: Vec::new() }
    }

    /// The label object of `text`: the known one, else what `read` makes of it.
    pub fn set_of<E>(
        &mut self,
        text: &[u8],
        utf8: impl FnOnce(&[u8]) -> Result<&str, E>,
        read: impl FnOnce(&str) -> Result<SetId, E>,
    ) -> Result<SetId, E> {
        match self {
            KnownLabels::Hashed { sets, seed } => {
                let hash = xxh3_128_with_seed(text, *seed);
                if let Some(&set) = sets.get(&hash) {
                    return Ok(set);
                }
                let set = read(utf8(text)?)?;
                sets.insert(hash, set);
                Ok(set)
            }
            KnownLabels::Compared { texts, sets } => {
                let text = utf8(text)?;
                let id = texts.intern(text).0 as usize;
                if let Some(&set) = sets.get(id) {
                    return Ok(set);
                }
                let set = read(text)?;
                sets.push(set);
                Ok(set)
            }
        }
    }

    /// Bytes that `more` texts may take at once.
    pub fn growth_bytes(&self, more: usize) -> usize {
        match self {
            KnownLabels::Hashed { sets, .. } if sets.len() + more > sets.capacity() => {
                2 * self.heap_bytes()
            }
            KnownLabels::Hashed { .. } => 0,
            KnownLabels::Compared { texts, sets } => {
                texts.growth_bytes(more) + vec_growth(sets, more)
            }
        }
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        match self {
            KnownLabels::Hashed { sets, .. } => sets.capacity() * (size_of::<(u128, SetId)>() + 1),
            KnownLabels::Compared { texts, sets } => {
                texts.heap_bytes() + sets.capacity() * size_of::<SetId>()
            }
        }
    }
}
