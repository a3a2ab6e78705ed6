//! Texts to small integers.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::summary::row::{TextId, Texts};

/// Distinct texts of one partial state; ids count from 0 and never change.
///
/// Texts are told apart by a 128-bit hash under a seed drawn at the start of the run, as label texts are: to
/// compare them would mean to fetch each from wherever it lies.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Texts,
    table: HashTable<Known>,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    hash: Hash128,
    id: TextId,
}

const _: () = assert!(size_of::<Known>() == 20);

/// Texts hashed before the first of them is looked up: look-ups that miss the cache then do not
/// wait for one another.
const BLOCK: usize = 16;

impl Interner {
    /// `seed` keeps an attacker who chooses the texts from choosing their hashes.
    pub fn new(seed: u64) -> Self {
        Interner { texts: Texts::default(), table: HashTable::new(), seed }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn intern(&mut self, text: &str) -> TextId {
        let hash = self.hash(text.as_bytes());
        self.find_hashed(hash).unwrap_or_else(|| self.insert(text, hash))
    }

    /// Appends the id of each of `texts`. Only those that are new are given to `utf8`: what is known already
    /// is text.
    ///
    /// # Errors
    /// That of the first of `texts` that `utf8` refuses.
    pub fn intern_all<'t, E>(
        &mut self,
        mut texts: impl Iterator<Item = &'t [u8]>,
        utf8: impl Fn(&'t [u8]) -> Result<&'t str, E>,
        out: &mut Vec<TextId>,
    ) -> Result<(), E> {
        loop {
            let mut block: [(&[u8], Hash128); BLOCK] = [(&[], Hash128::default()); BLOCK];
            let mut length = 0;
            for (slot, text) in block.iter_mut().zip(&mut texts) {
                *slot = (text, self.hash(text));
                length += 1;
            }
            for &(text, hash) in &block[..length] {
                out.push(match self.find_hashed(hash) {
                    Some(id) => id,
                    None => self.insert(utf8(text)?, hash),
                });
            }
            if length < BLOCK {
                return Ok(());
            }
        }
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> Hash128 {
        Hash128::new(xxh3_128_with_seed(text, self.seed))
    }

    #[cold]
    fn insert(&mut self, text: &str, hash: Hash128) -> TextId {
        let id = self.texts.push(text);
        self.table.insert_unique(hash.place(), Known { hash, id }, |known| known.hash.place());
        id
    }

    #[inline]
    fn find_hashed(&self, hash: Hash128) -> Option<TextId> {
        self.table.find(hash.place(), |known| known.hash == hash).map(|known| known.id)
    }

    /// Keeps a text under an id of its own: it will not be found by [`Interner::intern`].
    pub fn push(&mut self, text: &str) -> TextId {
        self.texts.push(text)
    }

    /// The id of a text that was interned before.
    pub fn find(&self, text: &str) -> Option<TextId> {
        self.find_hashed(self.hash(text.as_bytes()))
    }

    pub fn get(&self, id: TextId) -> Option<&str> {
        self.texts.get(id)
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn into_texts(self) -> Texts {
        self.texts
    }

    /// Bytes that `more` texts may take at once.
    pub fn growth_bytes(&self, more: usize) -> usize {
        let table = match self.table.len() + more > self.table.capacity() {
            true => 2 * self.table.allocation_size(),
            false => 0,
        };
        self.texts.growth_bytes(more) + table
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.table.allocation_size()
    }
}

pub fn hash_text(text: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(text, seed)
}

/// A hash that tells texts apart, in four words so that it needs no place that is aligned: tables of
/// 20-byte entries stay in the cache where those of 32 would not.
///
/// Two texts that collide are less likely than memory that flips a bit, and no one can make them who does not
/// know what they are hashed under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash128([u32; 4]);

impl Hash128 {
    #[inline]
    pub fn new(hash: u128) -> Self {
        Hash128([0, 32, 64, 96].map(|bit| (hash >> bit) as u32))
    }

    /// What a table takes for a hash.
    #[inline]
    pub fn place(self) -> u64 {
        u64::from(self.0[1]) << 32 | u64::from(self.0[0])
    }

    #[cfg(test)]
    pub fn words(self) -> [u32; 4] {
        self.0
    }
}

/// A cheap hash of integer keys made by this program.
#[inline]
pub fn hash_ids(ids: &[u32]) -> u64 {
    let mut hasher = FxHasher::default();
    for &id in ids {
        hasher.write_u32(id);
    }
    hasher.finish()
}

/// The same of pairs.
#[inline]
pub fn hash_pairs(pairs: &[(u32, u32)]) -> u64 {
    let mut hasher = FxHasher::default();
    for &(a, b) in pairs {
        hasher.write_u64(u64::from(a) << 32 | u64::from(b));
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::str::from_utf8;

    use super::*;

    fn intern_all(interner: &mut Interner, texts: &[&str]) -> Vec<u32> {
        let mut ids = Vec::new();
        interner.intern_all(texts.iter().map(|text| text.as_bytes()), from_utf8, &mut ids).unwrap();
        ids.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn many_at_once_get_the_ids_that_one_by_one_would() {
        let mut interner = Interner::new(7);
        assert_eq!(intern_all(&mut interner, &["a", "", "a", "b"]), [0, 1, 0, 2]);
        // Kept under an id of its own.
        assert_eq!(interner.push("c").0, 3);
        let names: Vec<String> = (0..3 * BLOCK + 1).map(|name| format!("pod-{name}")).collect();
        let texts: Vec<&str> = names.iter().flat_map(|name| [name.as_str(), "c", "b"]).collect();
        let ids = intern_all(&mut interner, &texts);
        for (text, id) in texts.iter().zip(ids) {
            assert_eq!(interner.get(TextId(id)), Some(*text));
            assert_eq!(interner.intern(text).0, id);
            assert_eq!(interner.find(text), Some(TextId(id)));
        }
        assert_eq!(interner.len(), 3 + 1 + names.len() + 1);
        assert_eq!(interner.find("pod-x"), None);
    }

    /// Who does not know the seed cannot make two texts of one hash: all words hang on it.
    #[test]
    fn a_seed_makes_hashes_of_its_own() {
        let words = |seed| {
            let hash = |text: u32| Interner::new(seed).hash(format!("pod-{text}").as_bytes());
            (0..100).map(|text| hash(text).words()).collect::<Vec<_>>()
        };
        for word in 0..4 {
            let of = |seed| -> BTreeSet<u32> { words(seed).iter().map(|h| h[word]).collect() };
            assert_eq!((of(1).len(), of(1)), (100, of(1)));
            assert!(of(1).is_disjoint(&of(2)));
        }
    }

    #[test]
    fn the_first_that_is_no_text_ends_it() {
        let mut ids = Vec::new();
        let texts = [&b"a"[..], b"\xff", b"b"].into_iter();
        let mut interner = Interner::new(7);
        interner.intern_all(texts, from_utf8, &mut ids).unwrap_err();
        assert_eq!((ids.len(), interner.len()), (1, 1));
    }
}
