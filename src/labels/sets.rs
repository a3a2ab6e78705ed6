//! Distinct filtered label objects, as sorted arrays of small integers.

use hashbrown::HashTable;
use std::fmt::Write as _;

use super::keys::{EnabledKeys, KeyId};
use super::parse::Pair;
use crate::aggregate::groups::vec_growth;
use crate::aggregate::interner::{Interner, hash_pairs};
use crate::summary::row::TextId;

/// A label object of one [`LabelSets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

impl SetId {
    /// `{}`, always the first.
    pub const EMPTY: SetId = SetId(0);
    /// No object at all; only under Trino's null rules.
    pub const NULL: SetId = SetId(u32::MAX);
}

/// Label objects: each a run of (key, value) in key order; values are texts of the interner that
/// goes with this table, a null text is JSON null.
#[derive(Debug)]
pub struct LabelSets {
    flat: Vec<(KeyId, u32)>,
    ends: Vec<usize>,
    table: HashTable<u32>,
    scratch: Vec<(KeyId, u32)>,
}

impl Default for LabelSets {
    fn default() -> Self {
        let mut sets = LabelSets {
            flat: Vec::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            scratch: Vec::new(),
        };
        sets.intern_scratch();
        sets
    }
}

impl LabelSets {
    /// The set of `pairs`, which are sorted by key without repeats.
    pub fn intern(&mut self, pairs: &[Pair<'_>], values: &mut Interner) -> SetId {
        self.scratch.clear();
        for (key, value) in pairs {
            let value = value.as_ref().map_or(TextId::NULL, |v| values.intern(v));
            self.scratch.push((*key, value.0));
        }
        self.intern_scratch()
    }

    /// `lower` overlaid with `upper`: where both have a key, `upper` wins.
    pub fn merge(&mut self, lower: SetId, upper: SetId) -> SetId {
        if lower == SetId::EMPTY {
            return upper;
        }
        if upper == SetId::EMPTY {
            return lower;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let (mut a, mut b) = (self.pairs(lower), self.pairs(upper));
        while let (Some(&(ka, va)), Some(&(kb, vb))) = (a.first(), b.first()) {
            if ka < kb {
                scratch.push((ka, va));
                a = &a[1..];
            } else {
                scratch.push((kb, vb));
                b = &b[1..];
                if ka == kb {
                    a = &a[1..];
                }
            }
        }
        scratch.extend(a.iter().chain(b));
        self.scratch = scratch;
        self.intern_scratch()
    }

    /// Label objects overlaid from left to right; an absent one makes all absent.
    pub fn merge_all(&mut self, objects: &[SetId]) -> SetId {
        objects.iter().copied().fold(SetId::EMPTY, |lower, upper| {
            if lower == SetId::NULL || upper == SetId::NULL {
                SetId::NULL
            } else {
                self.merge(lower, upper)
            }
        })
    }

    fn intern_scratch(&mut self) -> SetId {
        let scratch = std::mem::take(&mut self.scratch);
        let id = self.intern_ids(&scratch);
        self.scratch = scratch;
        id
    }

    /// The set of `pairs`, which are sorted by key without repeats; values are texts of the
    /// interner that goes with this table.
    pub fn intern_ids(&mut self, pairs: &[(KeyId, u32)]) -> SetId {
        let (flat, ends) = (&self.flat, &self.ends);
        let hash = hash_pairs(pairs);
        if let Some(&id) = self.table.find(hash, |&id| slice(flat, ends, id) == pairs) {
            return SetId(id);
        }
        let id = self.ends.len() as u32;
        self.flat.extend_from_slice(pairs);
        self.ends.push(self.flat.len());
        let (flat, ends) = (&self.flat, &self.ends);
        self.table.insert_unique(hash, id, |&id| hash_pairs(slice(flat, ends, id)));
        SetId(id)
    }

    /// (key, value) in key order. `set` is not [`SetId::NULL`].
    pub fn pairs(&self, set: SetId) -> &[(KeyId, u32)] {
        slice(&self.flat, &self.ends, set.0)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: `{}` is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes that `more` objects of usual size may take at once.
    pub fn growth_bytes(&self, more: usize) -> usize {
        let usual = self.flat.len() / self.ends.len().max(1) + 1;
        let table = match self.table.len() + more > self.table.capacity() {
            true => 2 * self.table.allocation_size(),
            false => 0,
        };
        vec_growth(&self.flat, more * usual) + vec_growth(&self.ends, more) + table
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        (self.flat.capacity() + self.scratch.capacity()) * size_of::<(KeyId, u32)>()
            + self.ends.capacity() * size_of::<usize>()
            + self.table.allocation_size()
    }

    /// Writes `set` as compact JSON with sorted keys.
    pub fn render(&self, set: SetId, keys: &EnabledKeys, values: &Interner, json: &mut String) {
        json.push('{');
        for (i, &(key, value)) in self.pairs(set).iter().enumerate() {
            if i > 0 {
                json.push(',');
            }
            push_json_text(json, keys.key(key));
            json.push(':');
            match values.get(TextId(value)) {
                Some(text) => push_json_text(json, text),
                None => json.push_str("null"),
            }
        }
        json.push('}');
    }
}

fn slice<'a>(flat: &'a [(KeyId, u32)], ends: &[usize], id: u32) -> &'a [(KeyId, u32)] {
    let i = id as usize;
    let start = if i == 0 { 0 } else { ends[i - 1] };
    &flat[start..ends[i]]
}

fn push_json_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        json.push_str(&rest[..at]);
        let special = rest.as_bytes()[at];
        match special {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            0x08 => json.push_str("\\b"),
            0x0c => json.push_str("\\f"),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{other:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}
