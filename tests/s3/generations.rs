//! A day that was uploaded twice.

use crate::common::files;
use crate::common::s3::S3Server;
use crate::common::usage::{Program, Tree, local_rows};

type Metadata<'a> = [(&'static str, &'a str); 3];

fn metadata<'a>(manifest: &'a str, hours: &'a str) -> Metadata<'a> {
    [("manifestid", manifest), ("reportdatestart", "2025-10-01"), ("reportnumhours", hours)]
}

/// Of the pods of the first day: the files of a full upload, and an early one with the first of
/// them.
struct Uploads {
    tree: Tree,
    full: Vec<String>,
    early: String,
}

impl Uploads {
    fn new() -> Self {
        let tree = Tree::new(1);
        let full = tree.pod_files(1);
        let early = full[0].replace(".parquet", "_early.parquet");
        Uploads { tree, full, early }
    }

    fn early_bytes(&self) -> Vec<u8> {
        self.tree.bytes(&self.full[0])
    }
}

#[test]
fn the_fuller_upload_counts_whichever_came_first() {
    let uploads = Uploads::new();
    let tree = &uploads.tree;
    let expected = local_rows(tree, &tree.path());
    for early_first in [true, false] {
        let server = S3Server::plain();
        server.fill(&tree.path(), "");
        let put_early = || server.put(&uploads.early, uploads.early_bytes(), &metadata("7", "12"));
        if early_first {
            put_early();
        }
        for key in &uploads.full {
            server.put(key, tree.bytes(key), &metadata("8", "24"));
        }
        if !early_first {
            put_early();
        }
        let ended = Program::on_s3("run", tree, &server.url()).end();
        let said = "manifest 7 has 12 hours of 2025-10-01, manifest 8 has 24";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stdout.contains("left out  1 files"), "{}", ended.stdout);
        assert!(ended.rows() == expected);

        let plan = Program::on_s3("plan", tree, &server.url()).end();
        assert!(plan.stdout.contains(&format!("{}: {said}", uploads.early)), "{}", plan.stdout);
        let strict = Program::on_s3("run", tree, &server.url()).switch("--strict-duplicates").end();
        strict.refused(&uploads.early);
        assert!(strict.stderr.contains("without --strict-duplicates"), "{}", strict.stderr);
    }
}

#[test]
fn files_without_hours_are_added() {
    let uploads = Uploads::new();
    let tree = &uploads.tree;
    let both = tempfile::tempdir().unwrap();
    for (name, path) in files::below(&tree.path()) {
        let to = both.path().join(&name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
    std::fs::write(both.path().join(&uploads.early), uploads.early_bytes()).unwrap();
    let expected = local_rows(tree, both.path());
    assert!(expected != local_rows(tree, &tree.path()));

    for early in [&metadata("7", "0")[..], &[]] {
        let server = S3Server::plain();
        server.fill(&tree.path(), "");
        for key in &uploads.full {
            server.put(key, tree.bytes(key), &metadata("8", "24"));
        }
        server.put(&uploads.early, uploads.early_bytes(), early);
        let strict = Program::on_s3("run", tree, &server.url()).switch("--strict-duplicates");
        assert!(strict.end().rows() == expected);
    }
}

#[test]
fn a_damaged_file_of_an_upload_that_does_not_count_is_no_matter() {
    let uploads = Uploads::new();
    let tree = &uploads.tree;
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    for key in &uploads.full {
        server.put(key, tree.bytes(key), &metadata("8", "24"));
    }
    server.put(&uploads.early, b"PAR1 cut off".to_vec(), &metadata("7", "12"));
    let rows = Program::on_s3("run", tree, &server.url()).end().rows();
    assert!(rows == local_rows(tree, &tree.path()));
    server.put(&uploads.early, b"PAR1 cut off".to_vec(), &[]);
    let ended = Program::on_s3("run", tree, &server.url()).end();
    ended.refused(&format!("{} is not a readable Parquet file", uploads.early));
}

#[test]
fn sidecars_say_the_same_on_local_disk() {
    let uploads = Uploads::new();
    let tree = &uploads.tree;
    let expected = local_rows(tree, &tree.path());
    let sidecar = |key: &str, text: &str| {
        std::fs::write(tree.path().join(format!("{key}.metadata.json")), text).unwrap();
    };
    std::fs::write(tree.path().join(&uploads.early), uploads.early_bytes()).unwrap();
    for key in &uploads.full {
        sidecar(
            key,
            r#"{"ManifestId": 8, "ReportDateStart": "2025-10-01", "ReportNumHours": 24, "more": []}"#,
        );
    }
    sidecar(
        &uploads.early,
        r#"{"manifestid": "7", "reportdatestart": "2025-10-01", "reportnumhours": "12"}"#,
    );
    assert!(local_rows(tree, &tree.path()) == expected);
    let source = tree.path();
    let source = source.to_str().unwrap();
    Program::run(tree, source).switch("--strict-duplicates").end().refused(&uploads.early);
    sidecar(&uploads.early, "[]");
    Program::run(tree, source)
        .end()
        .refused("_early.parquet.metadata.json is not what it should be");
}

#[test]
fn uploads_that_cannot_be_understood_count_with_a_warning_or_not_at_all() {
    let uploads = Uploads::new();
    let tree = &uploads.tree;
    let source = tree.path();
    let source = source.to_str().unwrap();
    std::fs::write(tree.path().join(&uploads.early), uploads.early_bytes()).unwrap();
    let sidecar = tree.path().join(format!("{}.metadata.json", uploads.early));
    for (marks, said) in [
        (r#"{"manifestid": 7, "reportdatestart": "2025-10-01", "reportnumhours": "24h"}"#, "`24h`"),
        (r#"{"manifestid": 7, "reportdatestart": "2025-10-01", "reportnumhours": [24]}"#, "`[24]`"),
        (r#"{"manifestid": 7, "reportdatestart": "gestern", "reportnumhours": 24}"#, "`gestern`"),
        (r#"{"reportdatestart": "2025-10-01", "reportnumhours": 24}"#, "`manifestid` is missing"),
    ] {
        std::fs::write(&sidecar, marks).unwrap();
        let ended = Program::run(tree, source).end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for part in [uploads.early.as_str(), said, "count twice"] {
            assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
        }
        let plan = Program::new("plan", tree, source).end();
        assert!(plan.stdout.contains(said), "{}", plan.stdout);
        Program::run(tree, source).switch("--strict-duplicates").end().refused(said);
    }
}
