//! Texts to small integers.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

use crate::summary::row::{TextId, Texts};

/// Distinct texts of one partial state; ids count from 0 and never change.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Texts,
    table: HashTable<Known>,
    seed: u64,
}

/// A text, with enough of its hash to find it by, and to leave others that look alike alone.
#[derive(Debug, Clone, Copy)]
struct Known {
    hash: u32,
    id: TextId,
}

/// What the table takes for a hash: places are made of its first bits, tags of its last.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// Texts looked up at a time: see [`Interner::intern_all`].
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
        self.intern_hashed(text, self.hash(text.as_bytes()))
    }

    /// Appends the id of each of `texts`. Only those that are new are given to `utf8`: bytes that equal a
    /// text are one.
    ///
    /// What is known of them lies all over memory, so it is fetched step by step for a block of
    /// texts at a time: then those that miss the cache do not wait for one another.
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
            let mut block: [(&[u8], u32, TextId); BLOCK] = [(&[], 0, TextId::NULL); BLOCK];
            let mut length = 0;
            for (slot, text) in block.iter_mut().zip(&mut texts) {
                *slot = (text, self.hash(text), TextId::NULL);
                length += 1;
            }
            let block = &mut block[..length];
            for (_, hash, id) in block.iter_mut() {
                let likely = self.table.find(spread(*hash), |known| known.hash == *hash);
                *id = likely.map_or(TextId::NULL, |known| known.id);
            }
            let ends = block.iter().map(|&(.., id)| self.texts.bounds(id).end);
            std::hint::black_box(ends.fold(0, |sum, end| sum ^ end));
            for &(text, hash, likely) in block.iter() {
                let is_it = !likely.is_null() && self.texts.bytes(likely) == text;
                out.push(if is_it { likely } else { self.intern_hashed(utf8(text)?, hash) });
            }
            if length < BLOCK {
                return Ok(());
            }
        }
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u32 {
        hash_text(text, self.seed) as u32
    }

    #[inline]
    fn intern_hashed(&mut self, text: &str, hash: u32) -> TextId {
        match self.find_hashed(text, hash) {
            Some(id) => id,
            None => self.insert(text, hash),
        }
    }

    #[cold]
    fn insert(&mut self, text: &str, hash: u32) -> TextId {
        let id = self.texts.push(text);
        self.table.insert_unique(spread(hash), Known { hash, id }, |known| spread(known.hash));
        id
    }

    #[inline]
    fn find_hashed(&self, text: &str, hash: u32) -> Option<TextId> {
        let is_same =
            |known: &Known| known.hash == hash && self.texts.bytes(known.id) == text.as_bytes();
        self.table.find(spread(hash), is_same).map(|known| known.id)
    }

    /// Keeps a text under an id of its own: it will not be found by [`Interner::intern`].
    pub fn push(&mut self, text: &str) -> TextId {
        self.texts.push(text)
    }

    /// The id of a text that was interned before.
    pub fn find(&self, text: &str) -> Option<TextId> {
        self.find_hashed(text, self.hash(text.as_bytes()))
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
    xxhash_rust::xxh3::xxh3_64_with_seed(text, seed)
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

    #[test]
    fn texts_whose_hashes_agree_are_told_apart() {
        let mut interner = Interner::new(0);
        let hash = interner.hash(b"a");
        // As if "b" had the hash of "a".
        let b = interner.insert("b", hash);
        assert_eq!(interner.find("a"), None);
        assert_eq!(intern_all(&mut interner, &["a", "a"]), [1, 1]);
        assert_eq!(interner.find_hashed("b", hash), Some(b));
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
