//! S3 and stores that speak like it.
//!
//! Requests run on a small runtime of their own, which only moves bytes; whoever needs them waits
//! on an ordinary thread.

mod answers;
mod client;
mod faults;
mod get;
mod put;
mod retry;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::bounded;
use futures_util::future::try_join_all;
use object_store::aws::AmazonS3;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::error::Cause;
use super::pending::{Answer, PendingFetch, PendingTail};
use super::traffic::Traffic;
use super::{Object, PROGRESS, StoreError};
use crate::contained::contained_async;
use crate::settings::S3;
pub use put::Metadata;
use retry::Retries;

/// Requests for objects under way at once: enough to hide the way to the store, few enough for its
/// limits.
const SIDE_BY_SIDE: usize = 64;

/// A bucket, or a folder of one.
#[derive(Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
    /// Last, so that it ends after what runs on it is let go.
    runtime: Arc<Runtime>,
}

struct Inner {
    client: AmazonS3,
    signs: bool,
    bucket: String,
    /// What stands before each path: empty, or a folder ending in `/`.
    root: String,
    /// For messages.
    name: String,
    timeout: Duration,
    retry_for: Duration,
    limit: Semaphore,
    traffic: Traffic,
    cancelled: Arc<AtomicBool>,
    had_credentials: AtomicBool,
}

impl fmt::Debug for S3Store {
    /// Without the client, which holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Store(s3://{}/{} at {})", self.inner.bucket, self.inner.root, self.inner.name)
    }
}

impl S3Store {
    /// `source` is `s3://bucket[/prefix]`.
    ///
    /// # Errors
    /// A CA file that cannot be used, or a client that cannot be made; the store is not asked yet.
    pub fn open(source: &str, s3: &S3, cancelled: Arc<AtomicBool>) -> Result<Self, StoreError> {
        let Some(place) = source.strip_prefix("s3://") else {
            return Err(StoreError::UnknownScheme { source_uri: source.to_owned() });
        };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        let client = client::client(bucket, s3)?;
        let name = client::store_name(s3);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3")
            .enable_all()
            .build()
            .map_err(|e| StoreError::Client { store: name.clone(), source: Cause::of(&e) })?;
        let inner = Inner {
            client: client.s3,
            signs: client.signs,
            bucket: bucket.to_owned(),
            root: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            name,
            timeout: s3.timeout,
            retry_for: s3.retry_for,
            limit: Semaphore::new(SIDE_BY_SIDE),
            traffic: Traffic::default(),
            cancelled,
            had_credentials: AtomicBool::new(false),
        };
        Ok(S3Store { inner: Arc::new(inner), runtime: Arc::new(runtime) })
    }

    /// All objects below `prefix`, in order of their paths.
    ///
    /// # Errors
    /// A store that cannot be reached or refuses.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let prefix = format!("{}{prefix}", self.inner.root);
        let inner = self.inner.clone();
        let mut objects =
            self.spawn(prefix.as_str().into(), async move { inner.list(&prefix).await }).wait()?;
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    pub(super) fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let folder = prefix.trim_end_matches('/');
        let slash = if folder.is_empty() { "" } else { "/" };
        let prefix = format!("{}{folder}{slash}", self.inner.root);
        let inner = self.inner.clone();
        self.spawn(prefix.as_str().into(), async move { inner.folders(&prefix).await }).wait()
    }

    pub(super) fn tail(&self, object: &Object, length: u64) -> PendingTail {
        let (inner, object) = (self.inner.clone(), object.clone());
        PendingTail::remote(self.spawn(object.path.clone(), async move {
            let _permit = inner.limit.acquire().await;
            inner.tail(&object, length).await
        }))
    }

    pub(super) fn fetch(&self, object: &Object, ranges: Vec<Range<u64>>) -> PendingFetch {
        let (inner, object) = (self.inner.clone(), object.clone());
        PendingFetch::remote(self.spawn(object.path.clone(), async move {
            let one = |range| {
                let (inner, object) = (&inner, &object);
                async move {
                    let _permit = inner.limit.acquire().await;
                    inner.range(object, range).await
                }
            };
            try_join_all(ranges.into_iter().map(one)).await
        }))
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    fn spawn<T: Send + 'static>(
        &self,
        path: Arc<str>,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = bounded(1);
        let store = self.inner.name.clone();
        self.runtime.spawn(async move {
            let panicked = |source| Err(StoreError::Request { store, source });
            let done = contained_async(work).await.unwrap_or_else(panicked);
            // Whoever asked may have gone: after a failure elsewhere no one waits for it.
            let _ = sender.send(done);
        });
        Answer { path, receiver, cancelled: self.inner.cancelled.clone() }
    }
}

impl Inner {
    async fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut objects = Vec::new();
        let mut token = None;
        loop {
            let page = self.list_page(prefix, token, false).await?;
            for found in page.result.objects {
                let key = found.location.as_ref();
                // The folder itself, which some programs make an object of.
                let Some(path) = key.strip_prefix(&self.root) else { continue };
                objects.push(Object {
                    path: path.into(),
                    size: found.size,
                    modified: Some(found.last_modified),
                    e_tag: found.e_tag.as_deref().map(get::quoted),
                });
                if objects.len().is_multiple_of(PROGRESS) {
                    tracing::info!(objects = objects.len(), prefix, "listing");
                }
            }
            match page.page_token {
                Some(next) => token = Some(next),
                None => return Ok(objects),
            }
        }
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut names = BTreeSet::new();
        let mut token = None;
        loop {
            let page = self.list_page(prefix, token, true).await?;
            let folders = page.result.common_prefixes.iter();
            names.extend(folders.filter_map(|f| f.filename().map(str::to_owned)));
            match page.page_token {
                Some(next) => token = Some(next),
                None => return Ok(names.into_iter().collect()),
            }
        }
    }

    fn retries(&self) -> Retries<'_> {
        Retries {
            retry_for: self.retry_for,
            traffic: &self.traffic,
            cancelled: &self.cancelled,
            had_credentials: &self.had_credentials,
        }
    }
}
