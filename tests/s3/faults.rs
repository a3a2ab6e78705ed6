//! A store that fails by chance, fails always, or changes while it is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::common::fault_proxy::{FaultProxy, Harm, Hook};
use crate::common::s3::S3Server;
use crate::common::usage::{Program, Tree, local_rows};

/// On a proxy, with so little patience that tests are quick.
fn through(proxy: &FaultProxy, tree: &Tree, retry_for: &str) -> Program {
    Program::on_s3("run", tree, &proxy.url())
        .flag("--s3-timeout", "500ms")
        .flag("--s3-retry-for", retry_for)
}

#[test]
fn a_tenth_of_the_answers_spoiled_changes_nothing() {
    let tree = Tree::new(1);
    let expected = local_rows(&tree, &tree.path());
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let harmed: u64 = (0..20u64)
        .into_par_iter()
        .map(|seed| {
            let proxy = FaultProxy::new(server.address, seed, 100, None);
            let ended = through(&proxy, &tree, "2min").end();
            assert_eq!(ended.code, Some(0), "seed {seed}: {}", ended.stderr);
            assert!(ended.csv.unwrap() == expected, "seed {seed}: other rows");
            proxy.harmed()
        })
        .sum();
    assert!(harmed > 20, "only {harmed} answers were spoiled");
}

#[test]
fn each_kind_of_failure_is_counted_by_its_name() {
    let tree = Tree::new(1);
    let expected = local_rows(&tree, &tree.path());
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let kinds = [
        (Harm::ServerError, "server error"),
        (Harm::SlowDown, "slow down"),
        (Harm::ResetBefore, "failed connection"),
        (Harm::ShortLength, "broken body"),
        (Harm::Stall, "stalled body"),
        (Harm::Silence, "no answer in time"),
    ];
    kinds.par_iter().for_each(|&(harm, name)| {
        let proxy = FaultProxy::new(server.address, 7, 300, Some(harm));
        let ended = through(&proxy, &tree, "2min").end();
        let retried = ended.stdout.lines().find(|line| line.starts_with("retried")).unwrap_or("");
        assert!(retried.contains(name), "{harm:?}: {retried:?} in {}", ended.stdout);
        assert!(ended.rows() == expected, "{harm:?}");
    });
}

#[test]
fn a_store_that_always_fails_is_given_up_and_nothing_is_written() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let kinds = [
        (Harm::ServerError, "server error"),
        (Harm::SlowDown, "slow down"),
        (Harm::ResetInBody, "at each of"),
        (Harm::EndInBody, "at each of"),
        (Harm::Silence, "no answer in time"),
    ];
    kinds.par_iter().for_each(|&(harm, why)| {
        let proxy = FaultProxy::new(server.address, 7, 1000, Some(harm));
        let ended = through(&proxy, &tree, "2s").end();
        ended.refused(why);
        assert!(ended.stderr.contains("--s3-retry-for"), "{harm:?}: {}", ended.stderr);
    });
}

/// Whether a request is for a range of an object's data, not for its end.
fn is_data(head: &str, key: &str) -> bool {
    let path = head.split(' ').nth(1).unwrap_or_default().replace("%3D", "=");
    let range = head.to_lowercase();
    path.contains(key) && range.contains("range: bytes=") && !range.contains("range: bytes=-")
}

#[test]
fn an_object_replaced_before_its_data_was_read_counts_as_it_is_now() {
    let (old, new) = (Tree::new(1), Tree::new(2));
    let server = Arc::new(S3Server::plain());
    server.fill(&old.path(), "");
    let key = old.pod_files(2)[0].clone();
    // What should come of it: the new file among the old ones.
    let mixed = tempfile::tempdir().unwrap();
    for (name, path) in crate::common::files::below(&old.path()) {
        let to = mixed.path().join(&name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
    std::fs::write(mixed.path().join(&key), new.bytes(&key)).unwrap();
    let expected = local_rows(&old, mixed.path());
    assert!(expected != local_rows(&old, &old.path()));

    let once = Mutex::new(Some(new.bytes(&key)));
    let hook: Hook = {
        let (server, key) = (server.clone(), key.clone());
        Box::new(move |head| {
            if is_data(head, &key)
                && let Some(bytes) = once.lock().unwrap().take()
            {
                server.put(&key, bytes, &[]);
            }
        })
    };
    let proxy = FaultProxy::watching(server.address, hook);
    let ended = Program::on_s3("run", &old, &proxy.url()).end();
    assert!(ended.stderr.contains("starting over once"), "{}", ended.stderr);
    assert!(ended.rows() == expected);
}

#[test]
fn an_object_that_never_rests_is_refused() {
    let tree = Tree::new(1);
    let server = Arc::new(S3Server::plain());
    server.fill(&tree.path(), "");
    let key = tree.pod_files(2)[0].clone();
    // More than the requests for it of two tries.
    let versions: Vec<_> = (2..10).map(|seed| Tree::new(seed).bytes(&key)).collect();
    let versions = Mutex::new(versions);
    let hook: Hook = {
        let (server, key) = (server.clone(), key.clone());
        Box::new(move |head| {
            if is_data(head, &key)
                && let Some(bytes) = versions.lock().unwrap().pop()
            {
                server.put(&key, bytes, &[]);
            }
        })
    };
    let proxy = FaultProxy::watching(server.address, hook);
    let ended = Program::on_s3("run", &tree, &proxy.url()).end();
    ended.refused(&format!("{key} was replaced while it was read"));
}

#[test]
fn an_object_removed_after_the_listing_makes_the_run_start_over() {
    let tree = Tree::new(1);
    let server = Arc::new(S3Server::plain());
    server.fill(&tree.path(), "");
    let key = tree.pod_files(2)[0].clone();
    let left = tempfile::tempdir().unwrap();
    for (name, path) in crate::common::files::below(&tree.path()) {
        let to = left.path().join(&name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if name != key {
            std::fs::copy(path, to).unwrap();
        }
    }
    let once = AtomicBool::new(true);
    let hook: Hook = {
        let (server, key) = (server.clone(), key.clone());
        Box::new(move |head| {
            if is_data(head, &key) && once.swap(false, Ordering::Relaxed) {
                server.remove(&key);
            }
        })
    };
    let proxy = FaultProxy::watching(server.address, hook);
    let ended = Program::on_s3("run", &tree, &proxy.url()).end();
    assert!(ended.stderr.contains("starting over once"), "{}", ended.stderr);
    assert!(ended.rows() == local_rows(&tree, left.path()));
}
