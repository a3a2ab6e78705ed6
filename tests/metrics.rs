//! Metrics, read as Prometheus reads them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::line_items::{Value, pod, storage};
use common::program::Scene;
use common::rows::SOURCE;
use common::tree::Table;

/// A page by series: name and labels, without those that every series has.
struct Page(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Page {
    /// Reads the text format by its own grammar, and holds it to the conventions for names.
    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        let mut types: BTreeMap<String, String> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut family = String::new();
        assert!(text.ends_with('\n') && !text.contains('\r'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty() && seen.insert(name.to_owned()), "{line}");
                name.clone_into(&mut family);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert_eq!(name, family, "help, then type: {line}");
                assert!(["counter", "gauge"].contains(&kind), "{line}");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (name, mut labels, value) = sample(line);
                assert_eq!(name, family, "samples of a family stand together: {line}");
                let kind = types.get(&name).expect(line);
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(name.starts_with("ocp_rollup_") && name.chars().all(valid), "{line}");
                assert_eq!(labels.remove("schema").as_deref(), Some("org1234567"), "{line}");
                assert_eq!(labels.remove("provider_uuid"), Some(SOURCE.to_string()), "{line}");
                let name = name.trim_start_matches("ocp_rollup_").to_owned();
                assert!(series.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        Page(series)
    }

    fn find(&self, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
        let labels = label.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.0.get(&(name.to_owned(), labels.collect())).copied()
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        self.find(name, None).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    #[track_caller]
    fn of(&self, name: &str, label: &str, value: &str) -> f64 {
        let found = self.find(name, Some((label, value)));
        found.unwrap_or_else(|| panic!("no {name} of {label} {value} in {:#?}", self.0))
    }
}

/// `name{label="value",…} value`, with the escapes of the format.
#[track_caller]
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (name, rest) = line.split_once('{').expect(line);
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").expect(line);
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        let mut value = String::new();
        let mut chars = after.chars();
        loop {
            match chars.next().expect(line) {
                '"' => break,
                '\\' => value.push(match chars.next().expect(line) {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} in {line}"),
                }),
                c => value.push(c),
            }
        }
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
        rest = chars.as_str();
        match rest.split_at(1) {
            (",", more) => rest = more,
            ("}", value) => {
                let value = value.strip_prefix(' ').expect(line).parse().expect(line);
                return (name.to_owned(), labels, value);
            }
            _ => panic!("{line}"),
        }
    }
}

fn scene() -> Scene {
    let scene = Scene::new();
    let pods =
        (0..48).map(|hour| pod().at(&format!("2025-10-{:02} {:02}:00", 1 + hour / 24, hour % 24)));
    let odd = [pod().with("node", Value::Null), pod().with("interval_start", Value::Null)];
    scene.tree.add(&Table::pods(pods.chain(odd).chain([pod().at("2025-11-03 00:00")])));
    scene.tree.add(&Table::storage([storage()]));
    scene
}

fn read(path: &Path) -> Page {
    Page::parse(&fs::read_to_string(path).unwrap())
}

#[test]
fn the_file_says_what_was_done_and_when_all_was_well_last() {
    let scene = scene();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollup.prom");
    let run = scene.run().with("metrics-file", file.display());
    run.done().succeeds();
    let page = read(&file);
    assert_eq!((page.get("running"), page.get("exit_code")), (0.0, 0.0));
    assert_eq!(page.get("read_rows_total"), 52.0);
    assert_eq!(page.get("planned_rows"), 52.0);
    assert_eq!(page.get("read_bytes_total"), page.get("planned_bytes"));
    assert_eq!((page.get("written_days_total"), page.get("planned_days")), (31.0, 31.0));
    for reason in ["no_node", "no_time", "other_day"] {
        assert_eq!(page.of("left_out_rows_total", "reason", reason), 1.0, "{reason}");
    }
    let kinds = ["pod", "storage", "unallocated"];
    let written: f64 = kinds.iter().map(|k| page.of("written_rows_total", "kind", k)).sum();
    let lines = fs::read_to_string(scene.csv()).unwrap().lines().count() - 1;
    assert_eq!(written, lines as f64);
    assert!(page.get("warnings_total") >= 1.0, "rows without a time are a warning");
    assert!(page.get("memory_used_bytes") > 0.0);
    assert!(page.get("memory_budget_bytes") < page.get("memory_limit_bytes"));
    for stage in ["plan", "aggregate", "finish", "write"] {
        assert!(page.of("stage_seconds_total", "stage", stage) > 0.0, "{stage}");
    }
    for kind in ["deadlock", "serialization_failure", "lost_connection"] {
        assert_eq!(page.of("redone_days_total", "kind", kind), 0.0, "{kind}");
    }
    let success = page.get("last_success_timestamp_seconds");
    assert_eq!(success, page.get("end_time_seconds"));
    assert!(page.get("start_time_seconds") <= success);

    // A run that fails says so, and keeps what is known of the last good one.
    scene.lookup("nodes.csv", "nonsense\n");
    assert_eq!(run.done().code, Some(3));
    let page = read(&file);
    assert_eq!((page.get("exit_code"), page.get("running")), (3.0, 0.0));
    assert_eq!(page.get("last_success_timestamp_seconds"), success);
    assert!(page.get("end_time_seconds") >= success);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_had_is_said_before_any_work() {
    let scene = scene();
    let none = scene.output().join("none/x.prom");
    let file = scene.run().with("metrics-file", none.display()).done();
    file.fails(4, &["--metrics-file", "none does not exist"]);
    let unread = scene.run().with("metrics-file", "run.txt").done();
    unread.fails(2, &["--metrics-file", "run.txt", "ends in .prom"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = scene.run().with("metrics-listen", address).done();
    listen.fails(2, &["--metrics-listen", &address.to_string()]);
    let word = scene.run().with("metrics-listen", "everywhere").done();
    word.fails(2, &["`--metrics-listen` is `everywhere`", "127.0.0.1:9187"]);
    scene.wrote_nothing();
}

/// One request as it is; what is answered until the end.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may hang up before all of a request that it does not want.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn it_is_served_while_the_run_lasts_to_readers_good_and_bad() {
    let scene = scene();
    // The run waits for its lookups until this test hands them over.
    let keys = scene.lookups().join("enabled_tag_keys.csv");
    fs::remove_file(&keys).unwrap();
    assert!(Command::new("mkfifo").arg(&keys).status().unwrap().success());
    let mut child = scene.run().with("metrics-listen", ":0").command().spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("metrics at http://") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "ended before it listened");
    }
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address: SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
    assert!(address.ip().is_loopback());

    let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let page = Page::parse(body);
    assert_eq!((page.get("running"), page.get("read_rows_total")), (1.0, 0.0));
    assert!(page.find("exit_code", None).is_none() && page.find("planned_rows", None).is_none());

    let head = ask(address, "HEAD /metrics?x=1 HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(address, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    // Too long, not HTTP, and one that never ends its request: gone, and the next is served.
    assert_eq!(ask(address, &"x".repeat(100_000)), "");
    let silent = TcpStream::connect(address).unwrap();
    assert!(ask(address, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    drop(silent);

    fs::write(&keys, "key,enabled,provider_type\napp,true,OCP\n").unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(TcpStream::connect(address).is_err(), "it listens on");
}
