//! What a wrong command line, config file, lookup or output path gets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::process::Stdio;

use common::line_items::pod;
use common::program::{Done, Run, Scene};

use common::tree::Table;

/// A scene whose run would do well.
fn good() -> Scene {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    scene
}

#[track_caller]
fn refused(change: impl FnOnce(Run) -> Run, code: i32, parts: &[&str]) {
    let scene = good();
    change(scene.run()).done().fails(code, parts);
    scene.wrote_nothing();
}

/// The config file `text`, and a run that reads it.
fn with_config(scene: &Scene, text: &str) -> Run {
    let path = scene.lookups().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    scene.run().with("config", path.display())
}

#[test]
fn a_typo_in_the_config_file_gets_a_suggestion() {
    let scene = good();
    let run = with_config(&scene, "performance:\n  use_streeming: true\n");
    let parts = ["config.yaml", "`performance.use_streeming`", "`performance.use_streaming`?"];
    run.done().fails(2, &parts);
    scene.wrote_nothing();
}

#[test]
fn a_config_file_that_is_not_yaml_or_not_there_is_named() {
    let scene = good();
    with_config(&scene, "input: [\n").done().fails(2, &["config.yaml", "not valid YAML", "line"]);
    refused(|run| run.with("config", "/nowhere.yaml"), 2, &["/nowhere.yaml", "--config"]);
}

#[test]
fn reversed_dates_are_told_apart() {
    let parts = ["reversed", "2025-10-31", "2025-10-01", "--from", "--to", "swap"];
    refused(|run| run.with("from", "2025-10-31").with("to", "2025-10-01"), 2, &parts);
}

#[test]
fn what_cannot_be_a_date_or_uuid_is_named() {
    refused(|run| run.with("from", "2025-13-01"), 2, &["--from", "`2025-13-01`"]);
    refused(|run| run.with("provider-uuid", "prod"), 2, &["--provider-uuid", "`prod`", "UUID"]);
    refused(|run| run.without("provider-uuid"), 2, &["--provider-uuid", "OCP_PROVIDER_UUID"]);
    refused(|run| run.without("source"), 2, &["--source"]);
}

#[test]
fn a_source_that_is_no_folder_is_named() {
    refused(|run| run.with("source", "/nowhere/at/all"), 3, &["/nowhere/at/all", "--source"]);
    let scene = good();
    let file = scene.lookups().join("nodes.csv");
    let run = scene.run().with("source", file.display());
    run.done().fails(3, &[file.to_str().unwrap(), "no folder", "data/"]);
}

#[test]
fn certificates_of_an_object_store_that_cannot_be_read_are_named() {
    let there = |run: Run| run.with("source", "s3://bucket").with("s3-ca", "/no/such.pem");
    refused(there, 3, &["/no/such.pem", "--s3-ca"]);
}

#[test]
fn missing_lookups_are_named() {
    refused(
        |run| run.with("lookups", "/nowhere"),
        3,
        &["/nowhere/enabled_tag_keys.csv", "--lookups"],
    );
    for file in ["enabled_tag_keys.csv", "cost_category_namespace.csv", "nodes.csv"] {
        let scene = good();
        std::fs::remove_file(scene.lookups().join(file)).unwrap();
        scene.run().done().fails(3, &[file, "--lookups"]);
        scene.wrote_nothing();
    }
}

#[test]
fn lookups_without_a_column_or_with_a_bad_value_are_named() {
    let cases = [
        ("enabled_tag_keys.csv", "key,provider_type\napp,OCP\n", "no column `enabled`"),
        ("cost_category_namespace.csv", "namespace\nopen%\n", "no column `cost_category_id`"),
        ("nodes.csv", "", "no column `node`"),
        ("nodes.csv", "node,resource_id,node_role\nn1\n", "same number of fields"),
        ("enabled_tag_keys.csv", "key,enabled,provider_type\napp,maybe,OCP\n", "line 2"),
    ];
    for (file, text, problem) in cases {
        let scene = good();
        scene.lookup(file, text);
        scene.run().done().fails(3, &[file, problem]);
        scene.wrote_nothing();
    }
}

#[test]
fn a_category_pattern_that_sql_refuses_is_refused() {
    let scene = good();
    scene.lookup("cost_category_namespace.csv", "namespace,cost_category_id\nopen\\,1\n");
    scene.run().done().fails(3, &["open\\", "lone backslash", "cost category pattern"]);
    scene.wrote_nothing();
}

#[test]
fn outputs_that_cannot_be_are_refused_before_anything_is_read() {
    for sink in ["csv", "parquet"] {
        let to = |path: &str| format!("{sink}:{path}");
        refused(|run| run.with("sink", to("/nowhere/out")), 4, &["/nowhere", "create the folder"]);
        refused(|run| run.with("sink", to("/tmp")), 4, &["/tmp", "is a folder", "name of a file"]);
        refused(|run| run.with("sink", to("/dev/null")), 4, &["/dev/null", "another path"]);
    }
    refused(|run| run.with("sink", "excel:x"), 2, &["--sink", "`excel:x`", "csv:FILE"]);
}

/// A file system of a few pages at `folder`; `None`, said aloud, where that is not allowed.
struct SmallDisk<'a>(&'a std::path::Path);

impl<'a> SmallDisk<'a> {
    fn mounted(folder: &'a std::path::Path) -> Option<Self> {
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
            .arg(folder)
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk(folder));
        }
        eprintln!("SKIPPED: a tmpfs cannot be mounted here, so no disk can be filled");
        None
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_keeps_the_old_file_and_nothing_else() {
    for sink in ["csv", "parquet"] {
        let scene = Scene::new();
        let rows = (0..4000).map(|i| pod().with("namespace", format!("namespace-{i}").as_str()));
        scene.tree.add(&Table::pods(rows));
        let output = scene.output();
        let Some(disk) = SmallDisk::mounted(&output) else { return };
        let path = output.join("out");
        std::fs::write(&path, "old").unwrap();
        let done = scene.run().with("sink", format!("{sink}:{}", path.display())).done();
        done.fails(4, &["no space left", path.to_str().unwrap(), "free space", "another disk"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(&output).unwrap().count(), 1);
        drop(disk);
    }
}

#[test]
fn a_reader_who_has_gone_is_no_failure_and_a_full_device_is() {
    let scene = good();
    let mut child = scene.run().start();
    child.close_stdout();
    child.done().succeeds();
    assert!(scene.csv().exists());

    let full = || Stdio::from(std::fs::File::create("/dev/full").unwrap());
    let done: Done = scene.run().command().stdout(full()).output().unwrap().into();
    done.fails(4, &["standard output"]);
    let done: Done = scene.run().command().stderr(full()).output().unwrap().into();
    done.succeeds();
    let failing = scene.run().with("source", "/nowhere");
    let done: Done = failing.command().stderr(full()).output().unwrap().into();
    assert_eq!(done.code, Some(3), "{done:?}");
}

#[test]
fn nobody_is_told_the_password() {
    let scene = good();
    let run = scene
        .run()
        .with("sink", "postgres")
        .with("schema", "org1234567")
        .with("db-host", "127.0.0.1")
        .with("db-port", 1)
        .with("log-level", "trace")
        .environment("DATABASE_PASSWORD", "hunter2");
    let done = run.done();
    done.fails(4, &["127.0.0.1:1", "DATABASE_SERVICE_HOST"]);
    assert!(!done.stderr.contains("hunter2"), "{done:?}");
}
