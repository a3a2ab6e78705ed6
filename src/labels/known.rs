//! Label texts that were read already, so that each distinct one is read once.

use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_secret};

use super::sets::SetId;
use crate::aggregate::groups::vec_growth;
use crate::aggregate::interner::{Hash128, hash_text};
use crate::summary::row::{TextId, Texts};

/// How texts are told apart: by hash or by comparing them.
#[derive(Debug)]
pub enum KnownLabels {
    /// By a 128-bit hash under a secret drawn at the start of the run.
    Hashed(HashedLabels),
    /// By the whole text, kept.
    Compared(ComparedLabels),
}

/// What the texts of each hash stand for.
#[derive(Debug)]
pub struct HashedLabels {
    table: HashTable<Known>,
    secret: Box<[u8; SECRET]>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    hash: Hash128,
    set: SetId,
}

const _: () = assert!(size_of::<Known>() == 20);

/// Texts, and what each stands for.
#[derive(Debug)]
pub struct ComparedLabels {
    texts: Texts,
    sets: Vec<SetId>,
    table: HashTable<TextId>,
    seed: u64,
}

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
        let (texts, table) = (Texts::default(), HashTable::new());
        KnownLabels::Compared(ComparedLabels { texts, sets: Vec::new(), table, seed })
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
            KnownLabels::Compared(known) => {
                for text in texts {
                    out.push(known.set_of(utf8(text)?, &mut read)?);
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
            KnownLabels::Compared(ComparedLabels { texts, sets, table, .. }) => {
                let table = match table.len() + more > table.capacity() {
                    true => 2 * table.allocation_size(),
                    false => 0,
                };
                texts.growth_bytes(more) + vec_growth(sets, more) + table
            }
        }
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        match self {
            KnownLabels::Hashed(known) => known.table.allocation_size() + SECRET,
            KnownLabels::Compared(ComparedLabels { texts, sets, table, .. }) => {
                let sets = sets.capacity() * size_of::<SetId>();
                texts.heap_bytes() + sets + table.allocation_size()
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
            let mut block: [(&[u8], Hash128); BLOCK] = [(&[], Hash128::default()); BLOCK];
            let mut length = 0;
            for (slot, text) in block.iter_mut().zip(&mut texts) {
                *slot = (text, Hash128::new(xxh3_128_with_secret(text, &*self.secret)));
                length += 1;
            }
            for &(text, hash) in &block[..length] {
                let set = match self.table.find(hash.place(), |known| known.hash == hash) {
                    Some(known) => known.set,
                    None => {
                        let set = read(text)?;
                        let place = |known: &Known| known.hash.place();
                        self.table.insert_unique(hash.place(), Known { hash, set }, place);
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

impl ComparedLabels {
    fn set_of<'t, E>(
        &mut self,
        text: &'t str,
        read: impl FnOnce(&'t str) -> Result<SetId, E>,
    ) -> Result<SetId, E> {
        let (texts, seed) = (&mut self.texts, self.seed);
        let hash = hash_text(text.as_bytes(), seed);
        if let Some(id) = self.table.find(hash, |&id| texts.bytes(id) == text.as_bytes()) {
            return Ok(self.sets[id.0 as usize]);
        }
        let set = read(text)?;
        let id = texts.push(text);
        self.sets.push(set);
        self.table.insert_unique(hash, id, |&id| hash_text(texts.bytes(id), seed));
        Ok(set)
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
        let mut hashes: Vec<_> = known.table.iter().map(|known| known.hash.words()).collect();
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
