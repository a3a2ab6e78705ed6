//! The distinct values of a column of a row group, and the code of each row that has one.

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::summary::row::TextId;

/// Distinct texts, found by the ids that they have in their batch.
///
/// Which code a text gets depends on the rows alone, not on how they were cut into batches.
#[derive(Debug, Default)]
pub struct Texts {
    /// The row's codes: those that have a value.
    pub codes: Vec<u32>,
    /// The texts, each after its length, as PLAIN has them.
    bytes: Vec<u8>,
    /// Where each text ends in `bytes`.
    ends: Vec<usize>,
    /// Code by id in the batch at hand, or [`UNKNOWN`].
    known: Vec<u32>,
    /// Codes of texts that are not of a batch.
    fixed: Vec<u32>,
    /// Codes by text, from the second batch on: within the first, ids tell texts apart.
    by_text: Option<HashTable<u32>>,
}

const UNKNOWN: u32 = u32::MAX;

impl Texts {
    /// What follows is of a batch of `texts` texts.
    pub fn begin_batch(&mut self, texts: usize) {
        if !self.ends.is_empty() && self.by_text.is_none() {
            let mut by_text = HashTable::with_capacity(self.ends.len());
            for code in 0..self.ends.len() as u32 {
                let hash = |&code: &u32| xxh3_64(self.text(code));
                by_text.insert_unique(hash(&code), code, hash);
            }
            self.by_text = Some(by_text);
        }
        self.known.clear();
        self.known.resize(texts, UNKNOWN);
    }

    /// Appends a row with the text of id `id` in its batch, which `text` finds.
    #[inline]
    pub fn push<'a>(&mut self, id: TextId, text: impl FnOnce() -> &'a str) {
        let mut code = self.known[id.0 as usize];
        if code == UNKNOWN {
            code = self.code_of(text().as_bytes());
            self.known[id.0 as usize] = code;
        }
        self.codes.push(code);
    }

    /// Appends `rows` rows with a text that is not of a batch.
    pub fn push_fixed(&mut self, text: &str, rows: usize) {
        let code = match self.fixed_code(text.as_bytes()) {
            Some(code) => code,
            None => {
                let text = text.as_bytes();
                let same = |&code: &u32| self.text(code) == text;
                let code = (0..self.ends.len() as u32).find(same);
                let code = code.unwrap_or_else(|| self.insert(text));
                self.fixed.push(code);
                code
            }
        };
        self.codes.resize(self.codes.len() + rows, code);
    }

    fn fixed_code(&self, text: &[u8]) -> Option<u32> {
        self.fixed.iter().copied().find(|&code| self.text(code) == text)
    }

    fn code_of(&mut self, text: &[u8]) -> u32 {
        let known = match &self.by_text {
            Some(by_text) => by_text.find(xxh3_64(text), |&code| self.text(code) == text).copied(),
            None => self.fixed_code(text),
        };
        known.unwrap_or_else(|| self.insert(text))
    }

    fn insert(&mut self, text: &[u8]) -> u32 {
        let code = self.ends.len() as u32;
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        let (bytes, ends) = (&self.bytes, &self.ends);
        if let Some(by_text) = &mut self.by_text {
            by_text.insert_unique(xxh3_64(text), code, |&code| xxh3_64(entry(bytes, ends, code)));
        }
        code
    }

    fn text(&self, code: u32) -> &[u8] {
        entry(&self.bytes, &self.ends, code)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The distinct texts, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|code| self.text(code))
    }

    /// A dictionary page.
    pub fn page(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.codes.clear();
        self.bytes.clear();
        self.ends.clear();
        self.known.iter_mut().for_each(|code| *code = UNKNOWN);
        self.fixed.clear();
        self.by_text = None;
    }
}

fn entry<'a>(bytes: &'a [u8], ends: &[usize], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &bytes[start + 4..ends[code]]
}

/// Distinct numbers, by their bits.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The row's codes: those that have a value.
    pub codes: Vec<u32>,
    entries: Vec<u64>,
    known: FxHashMap<u64, u32>,
    last: Option<(u64, u32)>,
}

impl Numbers {
    /// Appends `rows` rows with the number of these bits.
    #[inline]
    pub fn push(&mut self, bits: u64, rows: usize) {
        let code = match self.last {
            Some((last, code)) if last == bits => code,
            _ => {
                let new = self.entries.len() as u32;
                let code = *self.known.entry(bits).or_insert(new);
                if code == new {
                    self.entries.push(bits);
                }
                self.last = Some((bits, code));
                code
            }
        };
        self.codes.resize(self.codes.len() + rows, code);
    }

    /// The bits of the distinct numbers, in the order of their codes.
    pub fn entries(&self) -> &[u64] {
        &self.entries
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.codes.clear();
        self.entries.clear();
        self.known.clear();
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes and page of rows with these texts, `None` being the fixed `{}`, cut into batches.
    fn built(rows: &[Option<&str>], batch: usize) -> (Vec<u32>, Vec<u8>) {
        let mut texts = Texts::default();
        for rows in rows.chunks(batch) {
            let mut ids: Vec<&str> = rows.iter().flatten().copied().collect();
            ids.sort_unstable();
            ids.dedup();
            texts.begin_batch(ids.len());
            for row in rows {
                match row {
                    Some(text) => {
                        let id = TextId(ids.binary_search(text).unwrap() as u32);
                        texts.push(id, || text);
                    }
                    None => texts.push_fixed("{}", 1),
                }
            }
        }
        (texts.codes.clone(), texts.page().to_vec())
    }

    #[test]
    fn batches_leave_no_trace() {
        let rows = [Some("a"), Some("{}"), None, Some("b"), Some("a"), None, Some("c"), Some("{}")];
        let (codes, page) = built(&rows, rows.len());
        assert_eq!(codes, [0, 1, 1, 2, 0, 1, 3, 1]);
        assert_eq!(page.len(), 4 * 4 + 5);
        for batch in 1..rows.len() {
            assert_eq!(built(&rows, batch), (codes.clone(), page.clone()), "{batch}");
        }
        // The fixed text first.
        let rows = [None, Some("x"), Some("{}"), None];
        assert_eq!(built(&rows, 4).0, [0, 1, 0, 0]);
        assert_eq!(built(&rows, 1), built(&rows, 4));
    }
}
