//! An object read a window at a time: for row groups of an object store too large to hold.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::store::{Object, Store, StoreError};

/// What one request brings: a page, or many small ones. Each column of each task holds as much.
const WINDOW: u64 = 1024 * 1024;

/// An object with the part of it that was read last. Each clone has a part of its own, so that
/// columns that are read side by side do not take it from each other.
#[derive(Debug)]
pub struct WindowedObject {
    store: Store,
    object: Object,
    /// Where the column chunks lie, in order.
    columns: Arc<[Range<u64>]>,
    /// Where it begins, and its bytes.
    window: Mutex<(u64, Bytes)>,
    /// What the store said when it failed; clones share it. Arrow keeps but the text of an error.
    failure: Arc<OnceLock<Arc<StoreError>>>,
}

impl WindowedObject {
    pub fn new(store: Store, object: Object, mut columns: Vec<Range<u64>>) -> Self {
        columns.sort_unstable_by_key(|column| column.start);
        let window = Mutex::new((0, Bytes::new()));
        WindowedObject { store, object, columns: columns.into(), window, failure: Arc::default() }
    }

    /// What the store said when a read of this object failed.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.failure.get().cloned()
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.object.size
    }

    /// Where the column chunk ends that holds `start`.
    fn end(&self, start: u64) -> u64 {
        let next = self.columns.partition_point(|column| column.start <= start);
        let column = next.checked_sub(1).and_then(|at| self.columns.get(at));
        column.map_or(0, |column| column.end).min(self.object.size)
    }

    /// All that is at hand from `start` on, at least `least` bytes unless the column chunk ends
    /// before.
    ///
    /// # Errors
    /// The store's error, wrapped.
    pub fn read(&self, start: u64, least: usize) -> io::Result<Bytes> {
        let end = self.end(start);
        let start = start.min(end);
        let needed = start.saturating_add(least as u64).min(end);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, bytes) = &*window;
        if start < *from || needed > from + bytes.len() as u64 {
            // Let go of the old window first, so that there are never two.
            *window = (start, Bytes::new());
            let to = needed.max(start.saturating_add(WINDOW)).min(end);
            let bytes = self.store.read(&self.object, start..to).map_err(|error| {
                io::Error::other(self.failure.get_or_init(|| Arc::new(error)).clone())
            })?;
            *window = (start, bytes);
        }
        let (from, bytes) = &*window;
        Ok(bytes.slice((start - from) as usize..))
    }
}

impl Clone for WindowedObject {
    fn clone(&self) -> Self {
        let window = Mutex::new((0, Bytes::new()));
        let (store, object) = (self.store.clone(), self.object.clone());
        let (columns, failure) = (self.columns.clone(), self.failure.clone());
        WindowedObject { store, object, columns, window, failure }
    }
}
