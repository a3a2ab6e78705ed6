//! The store by itself: listings of many pages, ranges, and windows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use ocp_rollup::read::bytes::ColumnBytes;
use ocp_rollup::settings::{Addressing, Input, S3, Secret, layout};
use ocp_rollup::store::{Object, Store, StoreError};
use parquet::file::reader::ChunkReader;

use crate::common::fault_proxy::FaultProxy;
use crate::common::s3::{ACCESS, BUCKET, S3Server, SECRET};

fn open(server: &S3Server, prefix: &str) -> (Store, Arc<AtomicBool>) {
    open_at(server.url(), server, prefix)
}

fn open_at(url: String, server: &S3Server, prefix: &str) -> (Store, Arc<AtomicBool>) {
    let input = Input {
        source: format!("s3://{BUCKET}{prefix}"),
        layout: layout::koku(),
        org_id: "org1".to_owned(),
        s3: Some(S3 {
            endpoint: Some(url),
            access_key: Some(Secret(ACCESS.to_owned())),
            secret_key: Some(Secret(SECRET.to_owned())),
            session_token: None,
            region: "us-east-1".to_owned(),
            use_ssl: true,
            verify_ssl: true,
            ca_bundle: server.ca.clone(),
            addressing: Addressing::Path,
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(20),
        }),
        strict_duplicates: false,
    };
    let cancelled = Arc::new(AtomicBool::new(false));
    (Store::open(&input, &cancelled).unwrap(), cancelled)
}

fn listed(store: &Store, prefix: &str) -> Vec<Object> {
    store.list(prefix).unwrap()
}

#[test]
fn listings_of_many_pages_are_whole_and_in_order() {
    let server = S3Server::plain();
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..2345).map(|i| format!("a/b={}/{i:05}.parquet", i % 3)).collect();
    for name in &names {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    server.fill(folder.path(), "top/of");
    let (store, _) = open(&server, "/top/of/");
    let mut expected = names.clone();
    expected.sort();
    let objects = listed(&store, "a/");
    assert!(objects.iter().map(|o| &*o.path).eq(expected.iter().map(String::as_str)));
    assert!(objects.iter().all(|o| o.size == o.path.len() as u64 && o.modified.is_some()));
    assert_eq!(listed(&store, "a/b=1/").len(), 2345 / 3 + 1);
    assert!(listed(&store, "nothing/").is_empty());
    assert_eq!(store.folders("a").unwrap(), ["b=0", "b=1", "b=2"]);
    assert_eq!(store.folders("").unwrap(), ["a"]);
    assert!(store.folders("nothing").unwrap().is_empty());
    // The bucket's own top.
    let (whole, _) = open(&server, "");
    assert_eq!(whole.folders("").unwrap(), ["top"]);
    assert_eq!(listed(&whole, "").len(), 2345);
}

/// Bytes that tell where they are.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u64).wrapping_mul(0x9e37_79b9).to_le_bytes()[2]).collect()
}

#[test]
fn ranges_and_ends_are_those_of_the_object() {
    let server = S3Server::tls();
    let folder = tempfile::tempdir().unwrap();
    let large = body(9 * 1024 * 1024 + 17);
    let small = body(100);
    std::fs::write(folder.path().join("large"), &large).unwrap();
    std::fs::write(folder.path().join("small"), &small).unwrap();
    std::fs::write(folder.path().join("empty"), b"").unwrap();
    server.fill(folder.path(), "");
    let (store, _) = open(&server, "");
    let objects = listed(&store, "");
    let object = |name: &str| objects.iter().find(|o| &*o.path == name).unwrap();

    let opened = store.tail(object("large"), 64 * 1024).wait().unwrap();
    assert_eq!(opened.tail, large[large.len() - 64 * 1024..]);
    assert_eq!(opened.object.size, large.len() as u64);
    assert!(opened.object.e_tag.is_some());
    assert_eq!(store.tail(object("small"), 64 * 1024).wait().unwrap().tail, small[..]);
    assert!(store.tail(object("empty"), 64 * 1024).wait().unwrap().tail.is_empty());

    let ranges = vec![0..5, 70_000..3_000_000, 17..17, opened.object.size - 1..opened.object.size];
    // Several are under way at once.
    let pending: Vec<_> = (0..8).map(|_| store.fetch(&opened.object, ranges.clone())).collect();
    for pending in pending {
        let fetched = pending.wait().unwrap();
        for (bytes, range) in fetched.iter().zip(&ranges) {
            assert!(bytes[..] == large[range.start as usize..range.end as usize], "{range:?}");
        }
    }
    let gone = Object { path: "gone".into(), ..opened.object.clone() };
    let error = store.fetch(&gone, vec![0..5, 7..9]).wait().unwrap_err();
    assert!(matches!(error, StoreError::Vanished { .. }), "{error}");
    let other = Object { e_tag: Some("\"other\"".into()), ..opened.object.clone() };
    let error = store.fetch(&other, vec![0..5, 7..9]).wait().unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
    let longer = Object { size: opened.object.size + 1, ..opened.object.clone() };
    let error = store.fetch(&longer, vec![0..5, 7..9]).wait().unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");

    read_by_windows(&store, &opened.object, &large);
}

fn read_by_windows(store: &Store, object: &Object, large: &[u8]) {
    let before = store.traffic().unwrap().bytes();
    let columns: Vec<_> = std::iter::once(0..object.size).collect();
    let paged = ColumnBytes::paged(store, object, columns.clone()).unwrap();
    let check = |paged: &ColumnBytes, start: usize, length: usize| {
        let bytes: Bytes = paged.get_bytes(start as u64, length).unwrap();
        assert!(bytes[..] == large[start..start + length], "{length} bytes at {start}");
    };
    // Forward in small steps, as pages are read: each byte comes over the network once.
    for start in (0..large.len() - 1000).step_by(50_000) {
        check(&paged, start, 1000);
    }
    let fetched = || store.traffic().unwrap().bytes() - before;
    assert!(fetched() <= large.len() as u64, "{} bytes fetched", fetched());
    // The same again, as the next chunk of rows does: the page at hand is not fetched twice.
    check(&paged.clone(), large.len() - 1200, 100);
    // No further than a column chunk reaches.
    let before = fetched();
    let small = ColumnBytes::paged(store, object, vec![5000..9000, 100..5000]).unwrap();
    check(&small, 100, 10);
    assert_eq!(fetched() - before, 4900);
    check(&small, 5000, 4000);
    assert_eq!(fetched() - before, 8900);
    assert!(small.get_bytes(8999, 2).is_err());
    // Back, across windows, larger than one, and to the very end.
    for (start, length) in
        [(0, 10), (1024 * 1024 - 5, 10), (1, 5 * 1024 * 1024), (large.len() - 3, 3)]
    {
        check(&paged, start, length);
        check(&paged.clone(), start, length);
    }
    let mut header = [0; 3];
    let mut reader = paged.get_read(large.len() as u64 - 3).unwrap();
    std::io::Read::read_exact(&mut reader, &mut header).unwrap();
    assert_eq!(header[..], large[large.len() - 3..]);
    assert!(paged.get_bytes(large.len() as u64 - 3, 4).is_err());

    let other = Object { e_tag: Some("\"other\"".into()), ..object.clone() };
    let paged = ColumnBytes::paged(store, &other, columns).unwrap();
    let error = paged.clone().get_bytes(0, 4).unwrap_err();
    assert!(StoreError::find(&error).is_some_and(StoreError::is_moved), "{error}");
    assert!(paged.failure().is_some_and(|failure| failure.is_moved()));
}

#[test]
fn large_files_go_up_in_parts() {
    let server = S3Server::plain();
    let large = body(33 * 1024 * 1024 + 17);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    std::fs::write(&file, &large).unwrap();
    let proxy = FaultProxy::new(server.address, 3, 100, None);
    for (url, path) in [(server.url(), "a/plain"), (proxy.url(), "a/faulty")] {
        let (store, _) = open_at(url, &server, "/top");
        let Store::S3(store) = store else { panic!("this is S3") };
        let metadata = vec![("manifestid", "7".to_owned())];
        store.put(path, file.clone(), metadata).wait().unwrap();
        let (bytes, metadata) = server.get(&format!("top/{path}"));
        assert!(bytes == large, "{path}");
        assert_eq!(metadata["manifestid"], "7", "{path}");
        store.remove(path).unwrap();
        store.remove(path).unwrap();
        assert!(store.list("a/").unwrap().is_empty());
    }
}

#[test]
fn a_cancelled_run_does_not_wait_for_a_slow_store() {
    let server = S3Server::plain();
    let (store, cancelled) = open(&server, "");
    drop(server);
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = store.list("").unwrap_err();
    assert!(matches!(error, StoreError::Interrupted), "{error}");
}
