//! Objects by path below a source: on local disk, or in S3 and what speaks like it.

pub mod error;
pub mod local;
pub mod object;
pub mod pending;
pub mod s3;
pub mod traffic;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use crate::memory::shares::Distance;
use crate::settings::Input;

pub use error::StoreError;
use local::LocalStore;
pub use object::{Object, Opened};
pub use pending::{PendingFetch, PendingPut, PendingTail};
pub use s3::S3Store;
use traffic::Traffic;

/// Listings say how far they are each time they have passed this many objects.
const PROGRESS: usize = 10_000;

/// Where the input lies.
#[derive(Debug, Clone)]
pub enum Store {
    Local(LocalStore),
    S3(S3Store),
}

impl Store {
    /// The store of the settled source. `cancelled` ends waiting for a slow store early.
    ///
    /// # Errors
    /// No such folder, or an object store that cannot even be asked: a broken CA file, or no
    /// client. Credentials and bucket are only tried when something is read.
    pub fn open(input: &Input, cancelled: &Arc<AtomicBool>) -> Result<Self, StoreError> {
        Ok(match &input.s3 {
            None => Store::Local(LocalStore::new(&input.source)?),
            Some(s3) => Store::S3(S3Store::open(&input.source, s3, cancelled.clone())?),
        })
    }

    pub fn distance(&self) -> Distance {
        match self {
            Store::Local(_) => Distance::Disk,
            Store::S3(_) => Distance::Network,
        }
    }

    /// All objects below `prefix` (a folder ending in `/`, or empty), in order of their paths. A
    /// folder that does not exist holds none.
    ///
    /// # Errors
    /// A store that cannot be reached or refuses.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        match self {
            Store::Local(store) => store.list(prefix),
            Store::S3(store) => store.list(prefix),
        }
    }

    /// The names of the folders right below `prefix`, in order; none if it does not exist.
    ///
    /// # Errors
    /// As for [`Store::list`].
    pub fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Store::Local(store) => Ok(store.folders(prefix)),
            Store::S3(store) => store.folders(prefix),
        }
    }

    /// The last `length` bytes of a listed object, or all of a smaller one, with its metadata. An
    /// object store is asked at once, so that several may be under way.
    pub fn tail(&self, object: &Object, length: u64) -> PendingTail {
        match self {
            Store::Local(store) => PendingTail::local(store.clone(), object.clone(), length),
            Store::S3(store) => store.tail(object, length),
        }
    }

    /// Ranges of an opened object, each as asked for. An object store is asked at once, all ranges
    /// side by side; local disk is read in [`PendingFetch::wait`].
    pub fn fetch(&self, object: &Object, ranges: Vec<Range<u64>>) -> PendingFetch {
        match self {
            Store::Local(store) => PendingFetch::local(store.clone(), object.clone(), ranges),
            Store::S3(store) => store.fetch(object, ranges),
        }
    }

    /// One range of an opened object, now.
    ///
    /// # Errors
    /// An object that cannot be read, or is no longer the one that was opened.
    pub fn read(&self, object: &Object, range: Range<u64>) -> Result<Bytes, StoreError> {
        let path = object.path.clone();
        let mut fetched = self.fetch(object, vec![range]).wait()?;
        fetched.pop().ok_or(StoreError::Stopped { path })
    }

    /// What has gone over the network so far; `None` for local disk.
    pub fn traffic(&self) -> Option<&Traffic> {
        match self {
            Store::Local(_) => None,
            Store::S3(store) => Some(store.traffic()),
        }
    }
}
