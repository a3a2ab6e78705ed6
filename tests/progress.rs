//! Progress and logs, by what a run writes to standard error.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::process::Command;

use common::line_items::pod;
use common::program::{Done, Scene};
use common::rows::SOURCE;
use common::tree::Table;
use serde_json::Value;

fn scene() -> Scene {
    let scene = Scene::new();
    let rows = (0..3000).map(|i| pod().at(&format!("2025-10-{:02} {:02}:00", 1 + i % 31, i % 24)));
    scene.tree.add(&Table::pods(rows));
    scene
}

/// Every line of standard error, which all are JSON.
#[track_caller]
fn lines(done: &Done) -> Vec<Value> {
    done.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_line_says_whose_run_it_is_and_the_last_progress_says_all_is_done() {
    let scene = scene();
    let done = scene
        .run()
        .with("progress", "json")
        .with("progress-interval", "1ms")
        .with("log-level", "debug")
        .done();
    done.succeeds();
    let lines = lines(&done);
    for line in &lines {
        assert_eq!(line["schema"], "org1234567", "{line}");
        assert_eq!(line["provider_uuid"], SOURCE.to_string(), "{line}");
        assert_eq!(line["from"], "2025-10-01", "{line}");
        assert_eq!(line["to"], "2025-10-31", "{line}");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    let progress: Vec<&Value> = lines.iter().filter(|line| line["message"] == "progress").collect();
    let last = progress.last().expect("no line of progress");
    assert_eq!((&last["rows"], &last["rows_planned"]), (&3000.into(), &3000.into()));
    assert_eq!((&last["days"], &last["days_planned"]), (&31.into(), &31.into()));
    assert_eq!(last["bytes"], last["bytes_planned"]);
    assert!(last["bytes"].as_u64().unwrap() > 0);
    assert!(last["memory_bytes"].as_u64().unwrap() > 0, "{last}");
    assert!(last["memory_budget_bytes"].as_u64() > last["memory_bytes"].as_u64(), "{last}");
    assert!(last["chunk_rows"].as_u64().unwrap() > 0 && last["eta_seconds"] == 0.0, "{last}");
    let written = std::fs::read_to_string(scene.csv()).unwrap().lines().count() as u64 - 1;
    assert_eq!(last["rows_written"], written);
    for two in progress.windows(2) {
        for field in ["seconds", "rows", "bytes", "days"] {
            let of = |line: &Value| line[field].as_f64().unwrap();
            assert!(of(two[0]) <= of(two[1]), "{field} goes back: {two:?}");
        }
    }
}

#[test]
fn without_a_terminal_a_short_run_writes_no_progress_and_off_never_does() {
    let scene = scene();
    for run in [
        scene.run(),
        scene.run().with("progress", "off").with("progress-interval", "1ms"),
        // Bars need a terminal.
        scene.run().with("progress", "bar").with("progress-interval", "1ms"),
    ] {
        let done = run.done();
        done.succeeds();
        assert!(!done.stderr.contains("\"progress\""), "{done:#?}");
        assert!(lines(&done).iter().all(|line| line["message"] != "progress"));
    }
}

/// What a run writes to a terminal; colours and cursor movements included.
fn on_a_terminal(scene: &Scene, environment: &[(&str, &str)], flags: &[&str]) -> String {
    let mut run = scene.run();
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap();
        run = run.with(name, value);
    }
    let command = run.command();
    let arguments: Vec<String> =
        command.get_args().map(|argument| format!("'{}'", argument.to_str().unwrap())).collect();
    let line = format!("'{}' {}", env!("CARGO_BIN_EXE_ocp-rollup"), arguments.join(" "));
    // Of util-linux, which Debian always has.
    let output = Command::new("script")
        .args(["-qefc", &line, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_terminal_shows_bars_that_are_gone_at_the_end_and_colours_unless_told_not_to() {
    let scene = scene();
    let shown = on_a_terminal(&scene, &[], &["progress-interval=1ms"]);
    for part in ["rows", "bytes", "days", "memory", " of 3,000", " of 31 written", " rows"] {
        assert!(shown.contains(part), "no {part}:\n{shown}");
    }
    assert!(shown.contains("\u{1b}[32m INFO") || shown.contains("\u{1b}[32mINFO"), "{shown}");
    assert!(!shown.contains("\"level\""), "human lines on a terminal:\n{shown}");
    // The last thing is the summary, with no bar below it.
    let end = shown.rsplit("written   ").next().unwrap();
    assert!(end.contains("time ") && !end.contains("memory  "), "{end}");

    let plain = on_a_terminal(&scene, &[("NO_COLOR", "1")], &["progress=off"]);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(plain.contains(" INFO ") && plain.contains("schema=org1234567"), "{plain}");
    let dumb = on_a_terminal(&scene, &[("TERM", "dumb"), ("NO_COLOR", "1")], &[]);
    assert!(!dumb.contains("chunks of "), "{dumb}");
}

#[test]
fn the_settled_settings_are_logged_without_secrets_and_rust_log_is_heard() {
    let scene = scene();
    let run = || scene.run().environment("DATABASE_PASSWORD", "geheim");
    let done = run().done();
    let settled: Vec<&str> =
        done.stderr.lines().filter(|line| line.contains("settled settings")).collect();
    let [line] = settled[..] else { panic!("once: {done:#?}") };
    for part in ["input.source=", "ocp.start_date=2025-10-01", "performance.memory_limit=auto"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    assert!(!done.stderr.contains("geheim"));

    let quiet = run().environment("RUST_LOG", "warn").done();
    assert!(!quiet.stderr.contains("\"INFO\""), "{quiet:#?}");
    let part = run().environment("RUST_LOG", "off,ocp_rollup::commands=info").done();
    assert!(part.stderr.contains("budget ") && part.stderr.contains("\"INFO\""), "{part:#?}");
    let flag = run().environment("RUST_LOG", "off").with("log-level", "info").done();
    assert!(flag.stderr.contains("\"INFO\""), "a flag beats it: {flag:#?}");
    let typo = run().environment("RUST_LOG", "inof").done();
    typo.fails(2, &["RUST_LOG", "`inof`"]);
}

#[test]
fn a_closed_pipe_ends_no_command_with_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_ocp-rollup");
    let out = folder.path().join("tree");
    let generate = format!("generate --out '{}' --days 1 --nodes 2 --pods 5", out.display());
    for (arguments, code) in [
        (generate.as_str(), 0),
        ("verify tests/data/verify/none.csv tests/data/verify/none.csv", 3),
        ("completions bash", 0),
        ("man run", 0),
        ("demo", 0),
    ] {
        // `true` reads nothing and is gone; PIPESTATUS is the program's own code.
        let script = format!("'{program}' {arguments} | true; echo ${{PIPESTATUS[0]}}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(!stderr.contains("panicked"), "{arguments}: {stderr}");
        assert_eq!(stdout.trim(), code.to_string(), "{arguments}: {stderr}");
    }
}
