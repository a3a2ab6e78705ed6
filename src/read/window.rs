//! An object read a window at a time: for row groups of an object store too large to hold.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use crate::store::{Object, Store, StoreError};

/// What one request brings at least: many small pages, but little beside a memory budget.
const WINDOW: u64 = 256 * 1024;

/// How much of a page header is kept; few are longer.
const HEAD: usize = 256;

/// How many of them are kept of a column.
const HEADS: usize = 512;

/// What a column chunk of `length` bytes takes at most: its window, its first page, and heads. A
/// page that is larger than a window is counted with what decoding takes.
pub fn bytes_of_column(length: u64) -> u64 {
    length.min(WINDOW + MOST_FIRST) + (HEADS * (HEAD + 64)) as u64
}

/// A first page that is larger is fetched again for each chunk of rows.
const MOST_FIRST: u64 = 1280 * 1024;

/// Column chunks of an object, each with the part of it that was read last. Clones share them, so
/// that chunks of rows that follow each other do not fetch a page twice.
#[derive(Debug, Clone)]
pub struct WindowedObject(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    object: Object,
    /// In order.
    columns: Vec<Column>,
    /// What the store said when it failed. Arrow keeps but the text of an error.
    failure: OnceLock<Arc<StoreError>>,
}

#[derive(Debug)]
struct Column {
    range: Range<u64>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Where the window begins, and its bytes.
    start: u64,
    window: Bytes,
    /// The first page, most often a dictionary, which every chunk of rows needs: where its bytes
    /// begin, and they themselves.
    first: Option<(u64, Bytes)>,
    /// The beginnings of page headers, to find the way past pages without reading them again.
    heads: HashMap<u64, Bytes>,
}

impl WindowedObject {
    /// `columns` are where the column chunks lie that will be read.
    pub fn new(store: Store, object: Object, columns: Vec<Range<u64>>) -> Self {
        let column = |range| Column { range, seen: Mutex::default() };
        let mut columns: Vec<Column> = columns.into_iter().map(column).collect();
        columns.sort_unstable_by_key(|column| column.range.start);
        WindowedObject(Arc::new(Shared { store, object, columns, failure: OnceLock::new() }))
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.0.object.size
    }

    /// What the store said when a read of this object failed.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.0.failure.get().cloned()
    }

    /// The beginning of the page header at `start`, or all that is at hand from there on.
    ///
    /// # Errors
    /// The store's error, wrapped.
    pub fn head(&self, start: u64) -> io::Result<Bytes> {
        let Some(column) = self.column(start) else {
            return Ok(Bytes::new());
        };
        let mut seen = column.seen();
        if let Some(head) = seen.heads.get(&start) {
            return Ok(head.clone());
        }
        let bytes = self.0.read(&mut seen, start, HEAD, column.range.end)?;
        // A copy: a slice would keep its whole window.
        let head = Bytes::copy_from_slice(&bytes[..HEAD.min(bytes.len())]);
        if seen.heads.len() < HEADS {
            seen.heads.insert(start, head);
        }
        Ok(bytes)
    }

    /// The `length` bytes of a page at `start`; fewer where the column chunk ends before.
    ///
    /// # Errors
    /// As for [`WindowedObject::head`].
    pub fn page(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let Some(column) = self.column(start) else {
            return Ok(Bytes::new());
        };
        let mut seen = column.seen();
        if let Some((first, bytes)) = &seen.first
            && *first == start
            && bytes.len() >= length
        {
            return Ok(bytes.slice(..length));
        }
        let bytes = self.0.read(&mut seen, start, length, column.range.end)?;
        let bytes = bytes.slice(..length.min(bytes.len()));
        if seen.first.is_none() && bytes.len() as u64 <= MOST_FIRST {
            seen.first = Some((start, Bytes::copy_from_slice(&bytes)));
        }
        Ok(bytes)
    }

    /// The column chunk that holds `start`.
    fn column(&self, start: u64) -> Option<&Column> {
        let next = self.0.columns.partition_point(|column| column.range.start <= start);
        let column = self.0.columns.get(next.checked_sub(1)?)?;
        column.range.contains(&start).then_some(column)
    }
}

impl Column {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// All that is at hand from `start` on, at least `least` bytes unless `end` comes before.
    fn read(&self, seen: &mut Seen, start: u64, least: usize, end: u64) -> io::Result<Bytes> {
        let needed = start.saturating_add(least as u64).min(end);
        if start < seen.start || needed > seen.start + seen.window.len() as u64 {
            // Let go of the old window first, so that there are never two.
            seen.window = Bytes::new();
            let to = needed.max(start.saturating_add(WINDOW)).min(end);
            seen.window = self.store.read(&self.object, start..to).map_err(|error| {
                io::Error::other(self.failure.get_or_init(|| Arc::new(error)).clone())
            })?;
            seen.start = start;
        }
        Ok(seen.window.slice((start - seen.start) as usize..))
    }
}
