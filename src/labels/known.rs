//! Label texts that were read already, so that each distinct one is read once.

use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_secret};

use super::sets::SetId;
use crate::aggregate::groups::vec_growth;
use crate::aggregate::interner::Interner;

/// How texts are told apart: by hash or by comparing them.
#[derive(Debug)]
pub enum KnownLabels {
    /// By a 128-bit hash under a secret drawn at the start of the run. Two texts that collide are
    /// less likely than memory that flips a bit, and no one can make them without the secret.
    Hashed(HashedLabels),
    /// By the whole text, kept.
    Compared { texts: Interner, sets: Vec<SetId> },
}

/// What the texts of each hash stand for.
#[derive(Debug)]
pub struct HashedLabels {
    table: HashTable<Known>,
    secret: Box<[u8; SECRET]>,
}

/// The hash in four words, so that all of it takes 20 bytes and not 32: more of them stay in the cache.
#[derive(Debug, Clone, Copy)]
struct Known {
    hash: [u32; 4],
    set: SetId,
}

impl Known {
    /// What the table takes for a hash.
    #[inline]
    fn place(hash: [u32; 4]) -> u64 {
        u64::from(hash[1]) << 32 | u64::from(hash[0])
    }
}

const _: () = assert!(size_of::<Known>() == 20);

/// Bytes of a secret: what XXH3 uses of its own.
const SECRET: usize = 192;

/// Texts hashed before the first of them is looked up: look-ups that miss the cache then do not
/// wait for one another.
const BLOCK: usize = 32;

impl KnownLabels {
    pub fn hashed(seed: u64) -> Self {
        let mut secret = Box::new([0; SECRET]);
        // Once a state rather than, as XXH3 with a seed does it, once a text.
        for (word, bytes) in (0u64..).zip(secret.as_chunks_mut::<8>().0) {
            *bytes = xxh3_64_with_seed(&word.to_le_bytes(), seed).to_le_bytes();
        }
        KnownLabels::Hashed(HashedLabels { table: HashTable::new(), secret })
    }

    pub fn compared(seed: u64) -> Self {
        KnownLabels::Compared { texts: Interner::new(seed), sets: Vec::new() }
    }

    /// Appends the label object of each of `texts`: the known one, else what `read` makes of it.
    pub fn sets_of<'t, E>(
        &mut self,
        texts: impl Iterator<Item = &'t [u8]>,
        utf8: impl Fn(&'t [u8]) -> Result<&'t str, E>,
        mut read: impl FnMut(&'t str) -> Result<SetId, E>,
        out: &mut Vec<SetId>,
    ) -> Result<(), E> {
        match self {
            KnownLabels::Hashed(known) => {
                known.sets_of(texts, |text| read(utf8(text)?), out)?;
            }
            KnownLabels::Compared { texts: known, sets } => {
                for text in texts {
                    let text = utf8(text)?;
                    let id = known.intern(text).0 as usize;
                    if id == sets.len() {
                        sets.push(read(text)?);
                    }
                    out.push(sets[id]);
                }
            }
        }
        Ok(())
    }

    /// Bytes that `more` texts may take at once.
    pub fn growth_bytes(&self, more: usize) -> usize {
        match self {
            KnownLabels::Hashed(known) if known.table.len() + more > known.table.capacity() => {
                2 * known.table.allocation_size()
            }
            KnownLabels::Hashed(_) => 0,
            KnownLabels::Compared { texts, sets } => {
                texts.growth_bytes(more) + vec_growth(sets, more)
            }
        }
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        match self {
            KnownLabels::Hashed(known) => known.table.allocation_size() + SECRET,
            KnownLabels::Compared { texts, sets } => {
                texts.heap_bytes() + sets.capacity() * size_of::<SetId>()
            }
        }
    }
}

impl HashedLabels {
    fn sets_of<'t, E>(
        &mut self,
        mut texts: impl Iterator<Item = &'t [u8]>,
        mut read: impl FnMut(&'t [u8]) -> Result<SetId, E>,
        out: &mut Vec<SetId>,
    ) -> Result<(), E> {
        loop {
            let mut block: [(&[u8], [u32; 4]); BLOCK] = [(&[], [0; 4]); BLOCK];
            let mut length = 0;
            for (slot, text) in block.iter_mut().zip(&mut texts) {
                let hash = xxh3_128_with_secret(text, &*self.secret);
                *slot = (text, [0, 32, 64, 96].map(|bit| (hash >> bit) as u32));
                length += 1;
            }
            for &(text, hash) in &block[..length] {
                let set = match self.table.find(Known::place(hash), |known| known.hash == hash) {
                    Some(known) => known.set,
                    None => {
                        let set = read(text)?;
                        let place = |known: &Known| Known::place(known.hash);
                        self.table.insert_unique(Known::place(hash), Known { hash, set }, place);
                        set
                    }
                };
                out.push(set);
            }
            if length < BLOCK {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes of some texts, all bits of them.
    fn hashes(seed: u64) -> Vec<[u32; 4]> {
        let texts: Vec<String> = (0..100).map(|i| format!(r#"{{"app":"{i}"}}"#)).collect();
        let KnownLabels::Hashed(mut known) = KnownLabels::hashed(seed) else { panic!("hashed") };
        let mut sets = Vec::new();
        let texts = texts.iter().map(|text| text.as_bytes());
        known.sets_of(texts, |_| Ok::<_, ()>(SetId::EMPTY), &mut sets).unwrap();
        let mut hashes: Vec<_> = known.table.iter().map(|known| known.hash).collect();
        hashes.sort_unstable();
        hashes
    }

    /// Who does not know the seed cannot make two texts of one hash: all words hang on it.
    #[test]
    fn a_seed_makes_hashes_of_its_own() {
        let (one, other) = (hashes(1), hashes(2));
        assert_eq!(one.len(), 100);
        assert_eq!(one, hashes(1));
        for word in 0..4 {
            let of = |hashes: &[[u32; 4]]| -> std::collections::BTreeSet<u32> {
                hashes.iter().map(|hash| hash[word]).collect()
            };
            assert_eq!(of(&one).len(), 100);
            assert!(of(&one).is_disjoint(&of(&other)));
        }
    }
}
