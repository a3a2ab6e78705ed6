//! A store that is far away, and listings that take long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::common::fault_proxy::{FaultProxy, Harm, Hook};
use crate::common::s3::S3Server;
use crate::common::usage::{Program, Tree, local_rows};

/// More requests than this are a burden to a store.
const MOST: u64 = 64;

#[test]
fn requests_overlap_where_each_takes_long() {
    let tree = Tree::of_files(24);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let proxy = FaultProxy::new(server.address, 1, 1000, Some(Harm::Delay));
    // Footers: the 2 · 4 · 24 files of both days.
    let plan = Program::on_s3("plan", &tree, &proxy.url()).end();
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    let footers = proxy.most_under_way();
    assert!((MOST / 2..=MOST).contains(&footers), "{footers} footers at a time");

    // Data: several chunks ahead of the one that is aggregated.
    let under_way = AtomicU64::new(0);
    let data = Arc::new((under_way, Mutex::new(Vec::new())));
    let hook: Hook = {
        let data = data.clone();
        Box::new(move |head| {
            let range = head.to_lowercase();
            if range.contains("range: bytes=") && !range.contains("range: bytes=-") {
                let now = data.0.fetch_add(1, Ordering::Relaxed) + 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
                data.0.fetch_sub(1, Ordering::Relaxed);
                data.1.lock().unwrap().push(now);
            }
        })
    };
    let proxy = FaultProxy::watching(server.address, hook);
    let run = Program::on_s3("run", &tree, &proxy.url()).flag("--chunk-rows", "100").end();
    let most = data.1.lock().unwrap().iter().copied().max().unwrap_or(0);
    // A chunk is at least a range and a footer.
    assert!((8..=MOST).contains(&most), "{most} at a time");
    assert!(run.rows() == local_rows(&tree, &tree.path()));
}

#[test]
fn hardly_more_is_fetched_than_columns_and_footers() {
    let tree = Tree::large();
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let ended = Program::on_s3("run", &tree, &server.url()).end();
    let ratio = ended.stdout.split(" requests, ").nth(1).and_then(|rest| rest.split(' ').next());
    let ratio: f64 = ratio.unwrap().parse().unwrap();
    assert!(ratio <= 1.05, "{}", ended.stdout);
}

#[test]
fn long_listings_say_how_far_they_are() {
    let tree = Tree::new(1);
    let file = tree.path().join(&tree.pod_files(1)[0]);
    for number in 0..10_000 {
        std::fs::write(file.with_file_name(format!("{number}.tmp")), "").unwrap();
    }
    let source = tree.path();
    let ended = Program::run(&tree, source.to_str().unwrap()).end();
    assert!(ended.stderr.contains("listing objects=10000"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
