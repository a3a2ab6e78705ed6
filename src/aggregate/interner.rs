//! Texts to small integers.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

use crate::summary::row::{TextId, Texts};

/// Distinct texts of one partial state; ids count from 0 and never change.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Texts,
    table: HashTable<u32>,
    seed: u64,
}

impl Interner {
    /// `seed` keeps an attacker who chooses the texts from choosing their hashes.
    pub fn new(seed: u64) -> Self {
        Interner { texts: Texts::default(), table: HashTable::new(), seed }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn intern(&mut self, text: &str) -> TextId {
        let seed = self.seed;
        let hash = hash_text(text.as_bytes(), seed);
        let texts = &self.texts;
        let found = self.table.find(hash, |&id| texts.get(TextId(id)) == Some(text));
        if let Some(&id) = found {
            return TextId(id);
        }
        let id = self.texts.push(text);
        let texts = &self.texts;
        self.table.insert_unique(hash, id.0, |&id| {
            hash_text(texts.get(TextId(id)).unwrap_or_default().as_bytes(), seed)
        });
        id
    }

    /// The id of a text that was interned before.
    pub fn find(&self, text: &str) -> Option<TextId> {
        let hash = hash_text(text.as_bytes(), self.seed);
        let found = self.table.find(hash, |&id| self.texts.get(TextId(id)) == Some(text));
        found.map(|&id| TextId(id))
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
