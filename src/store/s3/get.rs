//! One try at one request.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetRange, GetResult, ObjectStore};

use super::Inner;
use super::answers::for_bucket;
use super::faults::Asked;
use super::retry::Failure;
use crate::store::error::Cause;
use crate::store::traffic::Fault;
use crate::store::{Object, Opened, StoreError};

impl Inner {
    /// One page of a listing.
    pub(super) async fn list_page(
        &self,
        prefix: &str,
        page_token: Option<String>,
        folders_only: bool,
    ) -> Result<PaginatedListResult, StoreError> {
        let action = format!("list s3://{}/{prefix}", self.bucket);
        let attempt = || async {
            let options = PaginatedListOptions {
                page_token: page_token.clone(),
                delimiter: folders_only.then_some("/".into()),
                extensions: for_bucket(),
                ..PaginatedListOptions::default()
            };
            self.request(self.client.list_paginated(Some(prefix), options)).await
        };
        self.retries().run(self.asked(&action, None), attempt).await
    }

    /// The end of an object as it is now.
    pub(super) async fn tail(&self, object: &Object, most: u64) -> Result<Opened, StoreError> {
        let action = format!("read {}", object.path);
        let key = self.key(&object.path, &action)?;
        let attempt = || async {
            // By range even where that is all of it: the answer then says how long the object is,
            // so that a body cut short does not pass for a shorter object. Not every store takes a
            // suffix longer than the object.
            let length = object.size.min(most);
            let range = (length > 0).then_some(GetRange::Suffix(length));
            let options = GetOptions { range, extensions: for_bucket(), ..GetOptions::default() };
            let result = self.request(self.client.get_opts(&key, options)).await?;
            let opened = Object {
                path: object.path.clone(),
                size: result.meta.size,
                modified: Some(result.meta.last_modified),
                e_tag: result.meta.e_tag.as_deref().map(quoted),
            };
            let metadata = user_metadata(&result);
            let length = result.range.end - result.range.start;
            let tail = self.body(result, length).await?;
            Ok(Opened { object: opened, tail, metadata })
        };
        self.retries().run(self.asked(&action, Some(&object.path)), attempt).await
    }

    /// A range of an opened object, whole and of that very version.
    pub(super) async fn range(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let action = format!("read bytes {} to {} of {}", range.start, range.end, object.path);
        let key = self.key(&object.path, &action)?;
        let attempt = || async {
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: object.e_tag.as_deref().map(str::to_owned),
                extensions: for_bucket(),
                ..GetOptions::default()
            };
            let result = self.request(self.client.get_opts(&key, options)).await?;
            // Not every store heeds If-Match.
            let e_tag = result.meta.e_tag.as_deref().map(quoted);
            let same = object.e_tag.is_none() || e_tag.is_none() || object.e_tag == e_tag;
            if !same || result.meta.size != object.size {
                let path = object.path.clone();
                return Err(Failure::Final(StoreError::Changed { path }));
            }
            self.body(result, range.end - range.start).await
        };
        self.retries().run(self.asked(&action, Some(&object.path)), attempt).await
    }

    /// Sends a request once credentials are there, and times its answer.
    async fn request<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        self.request_within(self.timeout, request).await
    }

    /// The same, for a request whose answer may take `time`.
    pub(super) async fn request_within<T>(
        &self,
        time: Duration,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failure> {
        let late = |_| Failure::Fault(Fault::Timeout, self.silence());
        if self.signs {
            let credential = self.client.credentials().get_credential();
            tokio::time::timeout(self.timeout, credential)
                .await
                .map_err(late)?
                .map_err(Failure::Credentials)?;
            self.had_credentials.store(true, Ordering::Relaxed);
        }
        self.traffic.count_request();
        tokio::time::timeout(time, request).await.map_err(late)?.map_err(Failure::Library)
    }

    async fn body(&self, result: GetResult, length: u64) -> Result<Bytes, Failure> {
        let mut body = BytesMut::with_capacity(length as usize);
        let mut stream = result.into_stream();
        loop {
            match tokio::time::timeout(self.timeout, stream.next()).await {
                Err(_) => return Err(Failure::Fault(Fault::Stalled, self.silence())),
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    return Err(Failure::Fault(Fault::Broken, Cause::of(&error).to_string()));
                }
                Ok(Some(Ok(bytes))) => {
                    self.traffic.count_bytes(bytes.len() as u64);
                    if (body.len() + bytes.len()) as u64 > length {
                        let text = format!("more than the {length} bytes asked for");
                        return Err(Failure::Fault(Fault::Broken, text));
                    }
                    body.extend_from_slice(&bytes);
                }
            }
        }
        if (body.len() as u64) < length {
            let text = format!("{} of {length} bytes", body.len());
            return Err(Failure::Fault(Fault::Broken, text));
        }
        Ok(body.freeze())
    }

    fn silence(&self) -> String {
        format!("not a byte for {} s (--s3-timeout)", self.timeout.as_secs_f64())
    }

    pub(super) fn key(&self, path: &str, action: &str) -> Result<Path, StoreError> {
        Path::parse(format!("{}{path}", self.root)).map_err(|error| StoreError::Answer {
            action: action.to_owned(),
            source: Cause::of(&error),
        })
    }

    pub(super) fn asked<'a>(&'a self, action: &'a str, object: Option<&'a Arc<str>>) -> Asked<'a> {
        Asked { action, object, bucket: &self.bucket, store: &self.name }
    }
}

/// A tag as If-Match wants it; some listings leave out the quotes.
pub(super) fn quoted(tag: &str) -> Arc<str> {
    if tag.ends_with('"') { tag.into() } else { format!("\"{tag}\"").into() }
}

fn user_metadata(result: &GetResult) -> BTreeMap<String, String> {
    let attributes = result.attributes.iter();
    attributes
        .filter_map(|(attribute, value)| match attribute {
            Attribute::Metadata(name) => Some((name.to_ascii_lowercase(), value.to_string())),
            _ => None,
        })
        .collect()
}
