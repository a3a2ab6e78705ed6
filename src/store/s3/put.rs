//! Writing and removing objects.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryFutureExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, MultipartId, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions,
};

use super::answers::for_bucket;
use super::retry::Failure;
use super::{Inner, S3Store};
use crate::store::StoreError;
use crate::store::pending::{Answer, PendingPut};

/// A larger file goes up in parts of this size, each of which is tried again by itself.
const PART: u64 = 16 * 1024 * 1024;

/// A request that sends bytes slower than this, in bytes a second, has failed.
const SLOWEST: u64 = 256 * 1024;

/// User metadata of an object.
pub type Metadata = Vec<(&'static str, String)>;

impl S3Store {
    /// Puts the local `file` where `path` says, whole or not at all, in the place of what is
    /// there. The request is sent at once.
    pub fn put(&self, path: &str, file: PathBuf, metadata: Metadata) -> PendingPut {
        let path: Arc<str> = path.into();
        let (inner, object) = (self.inner.clone(), path.clone());
        PendingPut::new(self.spawn(path, async move {
            let _permit = inner.limit.acquire().await;
            inner.put(&object, file, metadata).await
        }))
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// A store that cannot be reached or refuses.
    pub fn remove(&self, path: &str) -> Result<(), StoreError> {
        let (inner, path): (_, Arc<str>) = (self.inner.clone(), path.into());
        let removed: Answer<()> =
            self.spawn(path.clone(), async move { inner.remove(&path).await });
        removed.wait()
    }
}

/// A file on its way up.
struct Upload<'a> {
    /// For messages.
    action: &'a str,
    key: Key,
    name: String,
    file: Arc<File>,
    /// In bytes.
    size: u64,
    attributes: Attributes,
}

impl Upload<'_> {
    /// Bytes of the file, read where waiting for a disk keeps no other request waiting.
    async fn read(&self, start: u64, length: u64) -> Result<Bytes, StoreError> {
        let file = self.file.clone();
        let read = move || -> io::Result<Bytes> {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, start)?;
            Ok(bytes.into())
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other);
        read.flatten().map_err(|source| StoreError::Open { path: self.name.clone(), source })
    }
}

impl Inner {
    async fn put(&self, path: &str, file: PathBuf, metadata: Metadata) -> Result<(), StoreError> {
        let action = format!("write {path}");
        let key = self.key(path, &action)?;
        let name = file.display().to_string();
        let unreadable = |source| StoreError::Open { path: name.clone(), source };
        let opened = File::open(&file).map_err(unreadable)?;
        let size = opened.metadata().map_err(unreadable)?.len();
        let mut attributes = Attributes::new();
        for (name, value) in metadata {
            attributes.insert(Attribute::Metadata(name.into()), value.into());
        }
        let file = Arc::new(opened);
        let upload = Upload { action: &action, key, name: name.clone(), file, size, attributes };
        if size <= PART { self.put_whole(&upload).await } else { self.put_parts(&upload).await }
    }

    async fn put_whole(&self, upload: &Upload<'_>) -> Result<(), StoreError> {
        let bytes = upload.read(0, upload.size).await?;
        let attempt = || async {
            let options = PutOptions {
                attributes: upload.attributes.clone(),
                extensions: for_bucket(),
                ..PutOptions::default()
            };
            let put = self.client.put_opts(&upload.key, bytes.clone().into(), options);
            self.send(upload.size, put.map_ok(|_| ())).await
        };
        self.retries().run(self.asked(upload.action, None), attempt).await
    }

    async fn put_parts(&self, upload: &Upload<'_>) -> Result<(), StoreError> {
        let begin = || async {
            let options = PutMultipartOptions {
                attributes: upload.attributes.clone(),
                extensions: for_bucket(),
                ..PutMultipartOptions::default()
            };
            self.send(0, self.client.create_multipart_opts(&upload.key, options)).await
        };
        let id = self.retries().run(self.asked(upload.action, None), begin).await?;
        let sent = self.send_parts(upload, &id).await;
        if sent.is_err() {
            // The failure is what will be reported; stores drop parts that no one completes.
            let _ = self.client.abort_multipart(&upload.key, &id).await;
        }
        sent
    }

    async fn send_parts(&self, upload: &Upload<'_>, id: &MultipartId) -> Result<(), StoreError> {
        let asked = self.asked(upload.action, None);
        let mut parts = Vec::new();
        for (number, start) in (0..upload.size).step_by(PART as usize).enumerate() {
            let length = PART.min(upload.size - start);
            let bytes = upload.read(start, length).await?;
            let attempt = || async {
                let part = self.client.put_part(&upload.key, id, number, bytes.clone().into());
                self.send(length, part).await
            };
            parts.push(self.retries().run(asked, attempt).await?);
        }
        let complete = || async {
            let done = self.client.complete_multipart(&upload.key, id, parts.clone());
            self.send(0, done.map_ok(|_| ())).await
        };
        self.retries().run(asked, complete).await
    }

    async fn remove(&self, path: &str) -> Result<(), StoreError> {
        let action = format!("remove {path}");
        let key = self.key(path, &action)?;
        let attempt = || async {
            match self.send(0, self.client.delete(&key)).await {
                Err(Failure::Library(object_store::Error::NotFound { .. })) => Ok(()),
                done => done,
            }
        };
        self.retries().run(self.asked(&action, None), attempt).await
    }

    /// Sends a request with `bytes` in its body.
    async fn send<T>(
        &self,
        bytes: u64,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        let more = Duration::from_secs(bytes / SLOWEST);
        self.request_within(self.timeout + more, request).await
    }
}
