//! An object read a window at a time: for row groups of an object store too large to hold.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::store::{Object, Store, StoreError};

/// What one request brings: many pages, but little beside a memory budget.
const WINDOW: u64 = 4 * 1024 * 1024;

/// An object with the part of it that was read last. Each clone has a part of its own, so that
/// columns that are read side by side do not take it from each other.
#[derive(Debug)]
pub struct WindowedObject {
    store: Store,
    object: Object,
    /// Where it begins, and its bytes.
    window: Mutex<(u64, Bytes)>,
    /// What the store said when it failed; clones share it. Arrow keeps but the text of an error.
    failure: Arc<OnceLock<Arc<StoreError>>>,
}

impl WindowedObject {
    pub fn new(store: Store, object: Object) -> Self {
        let window = Mutex::new((0, Bytes::new()));
        WindowedObject { store, object, window, failure: Arc::default() }
    }

    /// What the store said when a read of this object failed.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.failure.get().cloned()
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.object.size
    }

    /// All that is at hand from `start` on, at least `least` bytes unless the object ends before.
    ///
    /// # Errors
    /// The store's error, wrapped.
    pub fn read(&self, start: u64, least: usize) -> io::Result<Bytes> {
        let end = self.object.size;
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
        WindowedObject { store, object, window, failure: self.failure.clone() }
    }
}
