//! A hash table from small keys to states, with both in dense arrays.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::segments::Segments;

/// A state of several cache lines.
pub trait Lines {
    /// A word that depends on each of its lines.
    fn lines(&self) -> u64;
}

/// Groups in order of first appearance. Keys are made of ids this program gave out, so a fast
/// hash without a seed will do.
#[derive(Debug, Clone)]
pub struct Groups<K, S> {
    keys: Vec<K>,
    states: Segments<S>,
    table: HashTable<u32>,
}

/// Bytes that a vector takes more when it must hold `more` values: it doubles.
pub fn vec_growth<T>(values: &Vec<T>, more: usize) -> usize {
    match values.len() + more > values.capacity() {
        true => values.capacity().max(more) * size_of::<T>(),
        false => 0,
    }
}

impl<K, S> Default for Groups<K, S> {
    fn default() -> Self {
        Groups { keys: Vec::new(), states: Segments::default(), table: HashTable::new() }
    }
}

impl<K: Copy + Eq + Hash, S: Default> Groups<K, S> {
    pub fn with_capacity(groups: usize) -> Self {
        Groups {
            keys: Vec::with_capacity(groups),
            states: Segments::default(),
            table: HashTable::with_capacity(groups),
        }
    }

    /// The index of `key`'s group, made if it is new.
    #[inline]
    pub fn index(&mut self, key: K) -> usize {
        let hash = FxBuildHasher.hash_one(key);
        let keys = &self.keys;
        if let Some(&index) = self.table.find(hash, |&i| keys[i as usize] == key) {
            return index as usize;
        }
        self.insert(hash, key)
    }

    #[cold]
    fn insert(&mut self, hash: u64, key: K) -> usize {
        let index = self.keys.len();
        self.keys.push(key);
        self.states.push(S::default());
        let keys = &self.keys;
        self.table.insert_unique(hash, index as u32, |&i| FxBuildHasher.hash_one(keys[i as usize]));
        index
    }

    /// The state of `key`'s group, made if it is new.
    #[inline]
    pub fn entry(&mut self, key: K) -> &mut S {
        let index = self.index(key);
        self.states.get_mut(index)
    }

    pub fn get(&self, key: K) -> Option<&S> {
        let hash = FxBuildHasher.hash_one(key);
        let found = self.table.find(hash, |&i| self.keys[i as usize] == key)?;
        self.states.get(*found as usize)
    }

    pub fn key(&self, index: usize) -> K {
        self.keys[index]
    }

    #[inline]
    pub fn state(&self, index: usize) -> &S {
        self.states.at(index)
    }

    #[inline]
    pub fn state_mut(&mut self, index: usize) -> &mut S {
        self.states.get_mut(index)
    }

    /// Reads a word of each cache line of the states of `groups` (indices that are none are passed
    /// over), so that all of them are on their way before the first is needed: adding to one after
    /// the other would wait for each.
    #[inline]
    pub fn touch(&self, groups: &[u32])
    where
        S: Lines,
    {
        let lines = |sum, &group: &u32| match self.states.get(group as usize) {
            Some(state) => state.lines() ^ sum,
            None => sum,
        };
        std::hint::black_box(groups.iter().fold(0, lines));
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, &S)> {
        self.keys.iter().copied().zip(self.states.iter())
    }

    /// The groups by their index, whose states leave memory on the way.
    pub fn into_groups(self) -> impl Iterator<Item = (K, S)> {
        self.keys.into_iter().zip(self.states.into_elements())
    }

    /// Bytes that `more` groups may take at once: a table that doubles holds the old one until it
    /// is done.
    pub fn growth_bytes(&self, more: usize) -> usize {
        let table = match self.table.len() + more > self.table.capacity() {
            true => 2 * self.table.allocation_size(),
            false => 0,
        };
        vec_growth(&self.keys, more) + self.states.growth_bytes(more) + table
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<K>()
            + self.states.heap_bytes()
            + self.table.allocation_size()
    }
}
