//! Reads that are under way.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::local::LocalStore;
use super::{Object, Opened, StoreError};

/// How often a waiting thread looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(100);

/// The answer to a request that a background task sends.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub path: Arc<str>,
    pub receiver: Receiver<Result<T, StoreError>>,
    pub cancelled: Arc<AtomicBool>,
}

impl<T> Answer<T> {
    pub fn wait(self) -> Result<T, StoreError> {
        loop {
            match self.receiver.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {
                    if self.cancelled.load(Ordering::Relaxed) {
                        return Err(StoreError::Interrupted);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StoreError::Stopped { path: self.path });
                }
            }
        }
    }
}

/// Ranges of an object, on their way.
#[derive(Debug)]
pub struct PendingFetch(Fetch);

#[derive(Debug)]
enum Fetch {
    Local { store: LocalStore, object: Object, ranges: Vec<Range<u64>> },
    Remote(Answer<Vec<Bytes>>),
}

impl PendingFetch {
    pub(super) fn local(store: LocalStore, object: Object, ranges: Vec<Range<u64>>) -> Self {
        PendingFetch(Fetch::Local { store, object, ranges })
    }

    pub(super) fn remote(answer: Answer<Vec<Bytes>>) -> Self {
        PendingFetch(Fetch::Remote(answer))
    }

    /// The bytes of each range, in the order in which they were asked for.
    ///
    /// # Errors
    /// An object that cannot be read, or is no longer the one that was opened.
    pub fn wait(self) -> Result<Vec<Bytes>, StoreError> {
        match self.0 {
            Fetch::Local { store, object, ranges } => store.read(&object, &ranges),
            Fetch::Remote(answer) => answer.wait(),
        }
    }
}

/// An object on its way up.
#[derive(Debug)]
pub struct PendingPut(Answer<()>);

impl PendingPut {
    pub(super) fn new(answer: Answer<()>) -> Self {
        PendingPut(answer)
    }

    /// # Errors
    /// A file that cannot be read, or a store that cannot be reached or refuses.
    pub fn wait(self) -> Result<(), StoreError> {
        self.0.wait()
    }
}

/// The end of an object, on its way.
#[derive(Debug)]
pub struct PendingTail(Tail);

#[derive(Debug)]
enum Tail {
    Local { store: LocalStore, object: Object, length: u64 },
    Remote(Answer<Opened>),
}

impl PendingTail {
    pub(super) fn local(store: LocalStore, object: Object, length: u64) -> Self {
        PendingTail(Tail::Local { store, object, length })
    }

    pub(super) fn remote(answer: Answer<Opened>) -> Self {
        PendingTail(Tail::Remote(answer))
    }

    /// The end of the object.
    ///
    /// # Errors
    /// An object that cannot be read.
    pub fn wait(self) -> Result<Opened, StoreError> {
        match self.0 {
            Tail::Local { store, object, length } => store.tail(&object, length),
            Tail::Remote(answer) => answer.wait(),
        }
    }
}
