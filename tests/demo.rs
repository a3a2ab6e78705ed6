//! `demo`, through the binary.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_ocp-rollup");

fn demo(temporary: &Path, environment: &[(&str, &str)]) -> (Output, String, String) {
    let output = Command::new(BINARY)
        .arg("demo")
        .env("TMPDIR", temporary)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

fn sh(script: &str) -> Output {
    Command::new("sh").args(["-ec", script]).output().unwrap()
}

/// The lines of a part of the output, without the head.
fn part<'a>(stdout: &'a str, head: &str) -> Vec<&'a str> {
    let mut lines = stdout.lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some(), "no {head} in:\n{stdout}");
    lines.take_while(|line| !line.starts_with(|c: char| c.is_ascii_uppercase())).collect()
}

/// The number in a column of the first line that begins with `name`, counted from the right.
fn number(lines: &[&str], name: &str, from_right: usize) -> f64 {
    let line = lines.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    words[words.len() - 1 - from_right].replace(',', "").parse().unwrap()
}

/// A folder whose name a shell, YAML and the placeholders of the config file would all misread.
fn awkward() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("it's ${a} \"demo\": ").tempdir().unwrap()
}

#[test]
fn what_it_shows_is_checked_and_can_be_copied() {
    let temporary = awkward();
    // What stands in the environment is for other runs.
    let (output, stdout, stderr) =
        demo(temporary.path(), &[("OCP_ROLLUP_FAN_OUT", "koku"), ("OCP_START_DATE", "nonsense")]);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert_eq!(stderr, "");

    let checks = part(&stdout, "CHECKS");
    assert_eq!(checks.iter().filter(|line| line.starts_with("  ok ")).count(), 4, "{checks:?}");
    let result = part(&stdout, "RESULT");
    for line in result.iter().chain(&checks) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // Capacity, used, unallocated and the share stand from right to left, a unit last.
    for resource in ["CPU", "memory"] {
        let (cpu, all) = (format!("{resource}, "), "all namespaces");
        let table: Vec<&str> =
            result.iter().copied().skip_while(|line| !line.contains(&cpu)).collect();
        let total = |name: &str, column| number(&result, name, column);
        let name = match resource {
            "CPU" => "CPU, core-hours: all",
            _ => "memory, GiB-hours: all",
        };
        assert_eq!(number(&table, all, 4), total(name, 3), "used by namespaces and by nodes");
        assert!(total(name, 3) > 0.0 && total(name, 2) > 0.0);
        assert!((total(name, 4) - total(name, 3) - total(name, 2)).abs() < 0.2);
    }

    let go_on = part(&stdout, "GO ON");
    let mut commands: Vec<&str> = go_on.iter().filter_map(|l| l.strip_prefix("    ")).collect();
    let rm = commands.pop().unwrap();
    let folder = commands.remove(0);
    assert!(folder.starts_with("D=") && rm == "rm -r \"$D\"", "{go_on:?}");
    commands.retain(|command| !command.contains("--sink postgres"));
    assert_eq!(commands.len(), 4, "{commands:?}");
    let script = format!("{folder}\n{}\ntest -s \"$D/koku.csv\"", commands.join("\n"));
    let went_on = sh(&script);
    assert!(went_on.status.success(), "{script}\n{}", String::from_utf8_lossy(&went_on.stderr));

    // The run as shown writes the same file again, byte for byte.
    let found: Vec<_> =
        fs::read_dir(temporary.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(found.len(), 1);
    let summary = found[0].join("summary.parquet");
    let before = fs::read(&summary).unwrap();
    fs::remove_file(&summary).unwrap();
    let shown: String = part(&stdout, "ROLL-UP")
        .into_iter()
        .take_while(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    assert!(sh(&shown).status.success(), "{shown}");
    assert!(fs::read(&summary).unwrap() == before);

    assert!(sh(&format!("{folder}\n{rm}")).status.success());
    assert!(!found[0].exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let missing = temporary.path().join("missing");
    let (output, stdout, stderr) = demo(&missing, &[]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stdout, "");
    assert!(stderr.contains(&*missing.to_string_lossy()) && stderr.contains("TMPDIR"), "{stderr}");
}

#[test]
fn it_takes_no_flags() {
    let output = Command::new(BINARY).args(["demo", "--nodes", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let help = Command::new(BINARY).args(["demo", "--help"]).env("COLUMNS", "80").output().unwrap();
    assert!(help.status.success());
    assert!(help.stdout.is_ascii() && !help.stdout.is_empty());
}
