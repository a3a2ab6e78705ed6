//! The memory budget, in real cgroups and with signals.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::cgroup::Cgroup;
use common::line_items::{node_labels, pod};
use common::program::Scene;
use common::tree::Table;
use ocp_rollup::generate::{self, Plan};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ocp-rollup");
const MIB: u64 = 1024 * 1024;

/// A tree of three days whose every pod row is a group of its own, made once.
fn tree() -> &'static Path {
    static TREE: OnceLock<TempDir> = OnceLock::new();
    TREE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan {
            days: 3,
            nodes: 25,
            namespaces: 40,
            pods: Some(1200),
            unique_groups: true,
            daily: false,
            ..Plan::new(folder.path().to_owned())
        };
        generate::run(&plan).unwrap();
        folder
    })
    .path()
}

fn arguments(out: &Path, more: &[&str]) -> Vec<String> {
    let tree = tree();
    let mut arguments: Vec<String> = [
        "run",
        "--source",
        tree.to_str().unwrap(),
        "--org-id",
        "org1234567",
        "--provider-uuid",
        &generate::PROVIDER_UUID.to_string(),
        "--from",
        "2025-10-01",
        "--to",
        "2025-10-03",
        "--lookups",
        tree.join("lookups").to_str().unwrap(),
        "--sink",
        &format!("csv:{}", out.display()),
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(more.iter().map(|&flag| flag.to_owned()));
    arguments
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The bytes that a run without any limit writes.
fn unlimited() -> &'static [u8] {
    static ROWS: OnceLock<Vec<u8>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.csv");
        let output = Command::new(PROGRAM).args(arguments(&out, &[])).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(!text(&output).contains("\nspilled "), "{}", text(&output));
        fs::read(out).unwrap()
    })
}

fn out() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    (folder, out)
}

#[test]
fn more_groups_than_memory_spill_and_give_the_same_bytes() {
    let Some(cgroup) = Cgroup::with_limit("spill", 72 * MIB) else { return };
    let (_folder, out) = out();
    let output = cgroup.run(PROGRAM, &arguments(&out, &["--threads", "2"]));
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("spilled "), "{}", text(&output));
    assert!(text(&output).contains("of cgroup v"), "{}", text(&output));
    assert_eq!(cgroup.oom_kills(), 0);
    assert!(fs::read(out).unwrap() == unlimited(), "other bytes");
}

#[test]
fn too_small_a_limit_names_the_least_that_would_do_and_that_does() {
    let (_folder, out) = out();
    let output =
        Command::new(PROGRAM).args(arguments(&out, &["--memory-limit", "16MiB"])).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let message = text(&output);
    let least = message.split("at least ").nth(1).unwrap();
    let least: u64 = least.split(" MiB").next().unwrap().parse().unwrap();
    assert!(!out.exists());

    let Some(cgroup) = Cgroup::with_limit("least", least * MIB) else { return };
    let output = cgroup.run(PROGRAM, &arguments(&out, &[]));
    assert!(output.status.success(), "{least} MiB: {}", text(&output));
    assert_eq!(cgroup.oom_kills(), 0);
    assert!(fs::read(out).unwrap() == unlimited(), "other bytes");
}

#[test]
fn many_days_held_open_spill_the_largest_and_give_the_same_bytes() {
    // Every row group holds all days, so that all of them stay open until the last is read.
    let rows = |hour: usize| {
        (0..40_000).map(move |i| {
            let time = format!("2025-10-{:02} {hour:02}:00", 1 + i % 20);
            let app = format!(r#"{{"app": "{i}-{hour}"}}"#);
            pod().at(&time).with("pod_labels", app.as_str())
        })
    };
    let scene = Scene::new();
    (0..4).for_each(|hour| drop(scene.tree.add(&Table::pods(rows(hour)))));
    scene.run().done().succeeds();
    let unlimited = fs::read(scene.csv()).unwrap();
    let done = scene.run().with("memory-limit", "48MiB").done();
    done.succeeds();
    assert!(done.stdout.contains("spilled "), "{}", done.stdout);
    assert!(done.stdout.contains("held open 20 days"), "{}", done.stdout);
    assert!(fs::read(scene.csv()).unwrap() == unlimited, "other bytes");
}

#[test]
fn labels_of_nodes_that_cannot_be_held_name_a_limit_that_does() {
    let labels = (0..60_000).map(|i| {
        let (node, zone) = (format!("node-{i}"), format!(r#"{{"app": "{i:0>200}"}}"#));
        node_labels().with("node", node.as_str()).with("node_labels", zone.as_str())
    });
    let scene = Scene::new();
    scene.tree.add(&Table::node_labels(labels));
    scene.tree.add(&Table::pods([pod()]));
    let run = scene.run().with("to", "2025-10-01").with("force-spill", 1);
    // A coordinator has a part of the limit, and names the whole.
    for (limit, run) in [("48MiB", run.clone()), ("150MiB", run.with("processes", 1))] {
        let done = run.clone().with("memory-limit", limit).done();
        done.fails(5, &["2025-10-01", "labels of its nodes", "at least"]);
        let least = done.stderr.split("at least ").nth(1).unwrap();
        let least: u64 = least.split(" MiB").next().unwrap().parse().unwrap();
        run.with("memory-limit", format!("{least}MiB")).done().succeeds();
    }
}

#[test]
fn chunks_become_smaller_as_values_turn_out_to_be_large() {
    // A text stands in its file once, but is held for each row where columns are read as texts.
    let label = format!(r#"{{"app": "{:0>16000}"}}"#, 0);
    let rows = || (0..1500).map(|_| pod().with("pod_labels", label.as_str()));
    let scene = Scene::new();
    (0..30).for_each(|_| drop(scene.tree.add(&Table::pods(rows()))));
    let run = scene.run().with("to", "2025-10-01").with("threads", 1);
    let done = run.clone().done();
    done.succeeds();
    assert!(!done.stdout.contains("chunks shrank"), "{}", done.stdout);
    let by_codes = fs::read(scene.csv()).unwrap();
    let done = run.clone().with("categorical", "off").done();
    done.succeeds();
    assert!(done.stdout.contains("chunks shrank"), "{}", done.stdout);
    let least = done.stdout.split(" rows at least").next().unwrap().split("to ").last().unwrap();
    let least: usize = least.parse().unwrap();
    assert!((2048..8192).contains(&least), "{}", done.stdout);
    assert!(fs::read(scene.csv()).unwrap() == by_codes, "other bytes");
    // A given size stays.
    let done = run.with("categorical", "off").with("chunk-rows", 16_384).done();
    assert!(!done.stdout.contains("chunks shrank"), "{}", done.stdout);
}

#[test]
fn a_page_as_large_as_its_column_is_planned_with() {
    let rows = (0..12_000).map(|i| {
        let label = format!(r#"{{"app": "{i:0>3000}"}}"#);
        pod().with("pod_labels", label.as_str())
    });
    let table = Table::pods(rows).written(|properties| {
        properties
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(1 << 30)
            .set_data_page_row_count_limit(1 << 20)
            .set_write_batch_size(1 << 20)
    });
    let scene = Scene::new();
    scene.tree.add(&table);
    let run = scene.run().with("to", "2025-10-01");
    run.done().succeeds();
    let unlimited = fs::read(scene.csv()).unwrap();
    let done = run.clone().with("memory-limit", "64MiB").done();
    done.fails(5, &["this input needs at least"]);
    let least = done.stderr.split("at least ").nth(1).unwrap();
    let least: u64 = least.split(" MiB").next().unwrap().parse().unwrap();
    let Some(cgroup) = Cgroup::with_limit("page", least * MIB) else { return };
    let command = run.command();
    let arguments: Vec<String> =
        command.get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect();
    let output = cgroup.run(PROGRAM, &arguments);
    assert!(output.status.success(), "{least} MiB: {}", text(&output));
    assert_eq!(cgroup.oom_kills(), 0);
    assert!(fs::read(scene.csv()).unwrap() == unlimited, "other bytes");
}

#[test]
fn nothing_depends_on_budget_threads_chunks_or_spills() {
    for flags in [
        &["--threads", "1", "--memory-limit", "80MiB"][..],
        &["--threads", "8", "--chunk-rows", "1000"],
        &["--threads", "3", "--force-spill", "500"],
        &["--threads", "2", "--streaming", "off", "--memory-limit", "100MiB"],
        &["--threads", "4", "--chunk-rows", "70000", "--memory-limit", "1GiB"],
    ] {
        let (_folder, out) = out();
        let output = Command::new(PROGRAM).args(arguments(&out, flags)).output().unwrap();
        assert!(output.status.success(), "{flags:?}: {}", text(&output));
        assert!(fs::read(out).unwrap() == unlimited(), "other bytes with {flags:?}");
    }
}

#[test]
fn a_signal_ends_a_run_soon_and_leaves_nothing() {
    for (moment, flags) in [
        (20, &[][..]),
        (150, &["--force-spill", "500"]),
        (400, &["--memory-limit", "80MiB"]),
        (900, &["--streaming", "off"]),
    ] {
        let (folder, out) = out();
        let spill = tempfile::tempdir().unwrap();
        let spill_dir = spill.path().to_str().unwrap();
        let mut all = flags.to_vec();
        all.extend(["--spill-dir", spill_dir]);
        let mut child = Command::new(PROGRAM)
            .args(arguments(&out, &all))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        let sent = Instant::now();
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let code = child.wait().unwrap().code();
        assert!(sent.elapsed() < Duration::from_secs(5), "{flags:?}");
        let entries = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!(entries(spill.path()), 0, "{flags:?}");
        match code {
            // Done before the signal came.
            Some(0) => assert!(out.exists()),
            // So early that the program had not begun to listen.
            None => assert_eq!(entries(folder.path()), 0),
            code => {
                assert_eq!(code, Some(6), "{flags:?}");
                assert_eq!(entries(folder.path()), 0, "{flags:?}");
            }
        }
    }
}
