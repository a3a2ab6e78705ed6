//! `bench`, through the binary.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_ocp-rollup");

/// The binary with an environment of its own, temporary files in `temporary`.
fn program(temporary: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("TMPDIR", temporary);
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn made_up_rows_are_compared_and_reported() {
    let (temporary, reports) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (json, html) = (reports.path().join("b.json"), reports.path().join("b.html"));
    let output = program(temporary.path())
        .args(["bench", "--days=2", "--nodes=3", "--runs=1", "--threads=2", "--chunk-sizes=1000"])
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("the same bytes from all of them"), "{stdout}");
    for claim in ["about 90 % of memory", "30 to 40 %", "50 to 70 %", "about 95 % of memory"] {
        assert!(stdout.contains(claim), "{claim}: {stdout}");
    }
    assert!(is_empty(temporary.path()), "nothing is left behind");

    let document: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(document["same_bytes"], true);
    assert_eq!(document["claims"].as_array().unwrap().len(), 4);
    let variants = document["variants"].as_array().unwrap();
    let named = |name: &str| variants.iter().find(|v| v["name"] == name).expect(name);
    assert_eq!(variants.len(), 8 + 1 + 1 + 1);
    let rows = |variant: &Value| variant["runs"][0]["measured"]["rows_read"].as_u64().unwrap();
    for variant in variants {
        assert!(variant["medians"]["peak"].as_f64().unwrap() > 1e6, "{variant}");
        assert!(!variant["runs"][0]["memory"].as_array().unwrap().is_empty(), "{variant}");
        assert_eq!(rows(variant), rows(&variants[0]), "{variant}");
    }
    assert!(rows(&variants[0]) > 5_000);
    // What a variant is called is what it does.
    let chunks = |name: &str| named(name)["runs"][0]["measured"]["chunks"].as_u64().unwrap();
    assert!(chunks("chunks of 1000 rows") > chunks("all on"));
    assert_eq!(named("1 thread")["threads"], 1);
    let page = fs::read_to_string(html).unwrap();
    assert_eq!(page.matches("<svg ").count(), 8);
}

#[test]
fn given_rows_go_to_the_sink_that_is_given() {
    let (temporary, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tree = folder.path().join("tree");
    let made = program(temporary.path())
        .args(["generate", "--days=1", "--nodes=3", "--no-daily", "--out"])
        .arg(&tree)
        .output()
        .unwrap();
    assert!(made.status.success());
    let csv = folder.path().join("rows.csv");
    let output = program(temporary.path())
        // A flag beats it; a variable that names the source would do as well.
        .env("OCP_ROLLUP_SINK", "postgres")
        .env("OCP_ROLLUP_SOURCE", &tree)
        .args(["bench", "--org-id=org1234567", "--runs=1", "--threads=1", "--chunk-sizes=1000"])
        .args(["--provider-uuid=6f637072-6f6c-4c75-9073-796e74680001"])
        .args(["--from=2025-10-01", "--to=2025-10-01"])
        .arg(format!("--lookups={}", tree.join("lookups").display()))
        .arg(format!("--sink=csv:{}", csv.display()))
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains(&format!("line items of {}", tree.display())), "{stdout}");
    assert!(!stdout.contains("the same bytes"), "no one looked: {stdout}");
    assert!(fs::read_to_string(csv).unwrap().lines().count() > 100);
}

#[test]
fn what_a_child_says_is_passed_on_with_its_exit_code() {
    let temporary = tempfile::tempdir().unwrap();
    let html = temporary.path().join("b.html");
    let output = program(temporary.path())
        .args(["bench", "--source=/nowhere/at/all", "--org-id=o", "--lookups=/nowhere"])
        .args(["--provider-uuid=6f637072-6f6c-4c75-9073-796e74680001"])
        .args(["--from=2025-10-01", "--to=2025-10-01", "--html"])
        .arg(&html)
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(stdout, "");
    for part in ["all on", "--streaming=on", "/nowhere/at/all"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(is_empty(temporary.path()), "neither a report nor anything else is left");
}

#[test]
fn a_report_that_cannot_be_written_is_known_at_once() {
    let temporary = tempfile::tempdir().unwrap();
    let output = program(temporary.path())
        .args(["bench", "--json=/nowhere/b.json", "--runs=1000"])
        .output()
        .unwrap();
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("/nowhere/b.json"), "{stderr}");
}

#[test]
fn an_interrupted_comparison_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = program(temporary.path())
        .args(["bench", "--days=1", "--nodes=3", "--runs=1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = || {
        let mut folders = fs::read_dir(temporary.path()).unwrap();
        folders.any(|folder| folder.unwrap().path().join("answer").exists())
    };
    let started = Instant::now();
    while !answer() {
        assert!(started.elapsed() < Duration::from_secs(60), "no variant was started");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert!(is_empty(temporary.path()), "the folder of made-up rows is gone");
}

#[test]
fn what_would_do_nothing_is_refused_and_not_offered() {
    let temporary = tempfile::tempdir().unwrap();
    let report = temporary.path().join("report");
    for flag in [
        "--progress=json".to_owned(),
        "--progress-interval=1s".to_owned(),
        "--metrics-file=m.prom".to_owned(),
        "--metrics-listen=:0".to_owned(),
        format!("--report={}", report.display()),
        "--incremental".to_owned(),
    ] {
        let output = program(temporary.path()).args(["bench", &flag]).output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}: {stdout}{stderr}");
        let name = flag.split('=').next().unwrap();
        assert!(stderr.contains(&format!("bench does not take {name}:")), "{stderr}");
        let help = program(temporary.path()).args(["bench", "--help"]).output().unwrap();
        let (help, _) = texts(&help);
        let offered: Vec<&str> =
            help.split_whitespace().filter_map(|word| word.split(['=', '[']).next()).collect();
        assert!(!offered.contains(&name) && offered.contains(&"--memory-limit"), "{name}: {help}");
    }
    assert!(is_empty(temporary.path()), "nothing was begun");
}
