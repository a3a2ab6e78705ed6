//! What fails in one process fails with workers too, in the same words.

use std::process::{Command, Stdio};

use crate::common::line_items::pod;
use crate::common::program::{Done, Scene};
use crate::common::tree::Table;
use crate::workers::{command, out, text, wanted};

fn error(done: &Done) -> String {
    done.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
}

#[test]
fn bad_input_is_told_as_in_one_process() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod(), pod().with("pod_labels", "{\"a\": ")]));
    let alone = scene.run().done();
    let by_workers = scene.run().with("processes", 2).done();
    alone.fails(3, &["pod_labels", "row group 0"]);
    by_workers.fails(3, &[]);
    assert_eq!(error(&alone), error(&by_workers));
    scene.wrote_nothing();
}

#[test]
fn counts_and_warnings_are_those_of_one_process() {
    let scene = Scene::new();
    let row = |day: u32| pod().at(&format!("2025-10-{day:02} 00:00"));
    scene.tree.add(&Table::pods([
        row(1),
        row(2).with("pod_usage_cpu_core_seconds", -1.0),
        row(3).with("node", ""),
        row(4),
    ]));
    let run = scene.run().with("to", "2025-10-03").with("log-level", "warn");
    let (alone, by_workers) = (run.done(), run.with("processes", 2).done());
    alone.succeeds();
    by_workers.succeeds();
    by_workers.warns(&["pod_usage_cpu_core_seconds", "negative"]);
    let facts = |done: &Done| -> Vec<String> {
        let facts = ["read ", "not used", "groups", "written"];
        let is_fact = |line: &&str| facts.iter().any(|fact| line.starts_with(fact));
        done.stdout.lines().filter(is_fact).map(str::to_owned).collect()
    };
    assert_eq!(facts(&alone).len(), 4, "{alone:#?}");
    assert_eq!(facts(&alone), facts(&by_workers));
}

#[test]
fn days_that_share_a_row_group_come_from_one_task() {
    let scene = Scene::new();
    let rows = (0..200).map(|i| {
        let row = pod().at(&format!("2025-10-{:02} {:02}:00", 1 + i % 9, i % 24));
        row.with("namespace", format!("n{}", i % 7).as_str())
    });
    let rows: Vec<_> = rows.collect();
    // Of several days each, beside files of one.
    rows.chunks(50).for_each(|rows| drop(scene.tree.add(&Table::pods(rows.to_vec()))));
    (0..20).for_each(|i| drop(scene.tree.add(&Table::pods([rows[i].clone()]))));
    let run = scene.run().with("to", "2025-10-10");
    run.done().succeeds();
    let wanted = std::fs::read(scene.csv()).unwrap();
    for processes in [1, 3] {
        run.clone().with("processes", processes).done().succeeds();
        assert!(std::fs::read(scene.csv()).unwrap() == wanted, "{processes}");
    }
}

#[test]
fn memory_is_divided_and_too_little_is_said() {
    let (_folder, out) = out();
    let least = |more: &[&str]| {
        let output = command(&out, more).args(["--memory-limit", "16MiB"]).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{}", text(&output));
        let text = text(&output);
        text.split("at least ").nth(1).unwrap().split(" MiB").next().unwrap().to_owned() + "MiB"
    };
    let least = least(&["--processes", "4"]);
    let flags = ["--processes", "4", "--memory-limit", &least];
    let output = command(&out, &flags).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("worker processes: 1 instead of 4"), "{}", text(&output));
    assert!(std::fs::read(&out).unwrap() == wanted());
}

#[test]
fn a_worker_is_nothing_to_start_by_hand() {
    for input in ["", "hello\n"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut worker = command.spawn().unwrap();
        let mut stdin = worker.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
        drop(stdin);
        let done = Done::from(worker.wait_with_output().unwrap());
        done.fails(3, &["part of `run --processes`"]);
    }
}

#[test]
fn secrets_are_not_on_a_workers_command_line() {
    let (_folder, out) = out();
    let mut run = command(&out, &["--processes", "1"]).spawn().unwrap();
    let worker = crate::workers::workers(&mut run, 1)[0];
    // Until it is the new program it shows the line of the old one.
    crate::workers::until("its command line is its own and holds nothing else", || {
        let arguments = std::fs::read(format!("/proc/{worker}/cmdline")).unwrap_or_default();
        ["", "ocp-rollup\0worker\0"].map(str::as_bytes).contains(&&arguments[..])
    });
    crate::workers::done(run, &[worker]);
}

/// Nobody may wait for what a thread that panicked was to do.
#[cfg(feature = "failpoints")]
#[test]
fn a_panic_while_a_state_is_taken_in_ends_the_run() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods_of_days(1..=20));
    let run = |action: &str| {
        let failpoint = format!("coordinator.take_in={action}");
        scene.run().with("processes", 1).environment("OCP_ROLLUP_FAILPOINT", failpoint).done()
    };
    run("error").fails(3, &["coordinator.take_in"]);
    let panicked = run("panic");
    assert_eq!(panicked.code, Some(101), "{panicked:#?}");
    scene.wrote_nothing();
}

/// A worker that has all of a day sends its rows; one that has not, states.
#[cfg(feature = "failpoints")]
#[test]
fn days_come_as_rows_where_one_worker_has_all_of_them() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods_of_days(1..=3));
    let run = |flag: &str, value: &str| {
        let armed = ("OCP_ROLLUP_FAILPOINT", "worker.rows=error".to_owned());
        scene.run().with("processes", 2).with(flag, value).environment(armed.0, armed.1).done()
    };
    run("streaming", "on").fails(3, &["worker.rows"]);
    scene.wrote_nothing();
    // The baseline, which finishes all days at the end.
    assert_eq!(run("streaming", "off").code, Some(0));
}
