//! Every file of the fuzz targets' corpora through the bodies of the targets, each as a plain test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::path::Path;

#[path = "fuzz/bodies/config.rs"]
mod config;
#[path = "fuzz/bodies/copy_encoding.rs"]
mod copy_encoding;
#[path = "fuzz/bodies/labels.rs"]
mod labels;
#[path = "fuzz/bodies/like.rs"]
mod like;
#[path = "fuzz/bodies/parquet_file.rs"]
mod parquet_file;
#[path = "fuzz/bodies/payload.rs"]
mod payload;
#[path = "fuzz/bodies/snappy.rs"]
mod snappy;
#[path = "fuzz/bodies/worker_protocol.rs"]
mod worker_protocol;

/// Runs `body` on the files of a corpus, and on the beginnings of each, which a corpus rarely holds.
fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        body(&data);
        body(&data[..data.len() / 2]);
        files += 1;
    }
    assert!(files > 0, "the corpus of {target} is empty");
}

#[test]
fn config_files() {
    replay("config", config::run);
}

#[test]
fn copy_encodings() {
    let server = common::postgres::server();
    let settings = server.settings("postgres");
    replay("copy_encoding", |data| copy_encoding::run(&settings, data));
}

#[test]
fn label_texts() {
    replay("labels", labels::run);
}

#[test]
fn like_patterns() {
    replay("like", like::run);
}

#[test]
fn parquet_files() {
    replay("parquet_file", parquet_file::run);
}

#[test]
fn payloads() {
    replay("payload", payload::run);
}

#[test]
fn snappy_streams() {
    replay("snappy", snappy::run);
}

#[test]
fn worker_protocols() {
    replay("worker_protocol", worker_protocol::run);
}
