//! A run that dies or fails anywhere leaves a day's old rows or its new ones, and a second run
//! makes it right. Runs with the feature `failpoints`.
#![cfg(feature = "failpoints")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]
#![expect(clippy::disallowed_methods, clippy::exit, reason = "starts itself as a child")]

mod common;

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use common::postgres::{Partitions, client_of, database, settings_of};
use common::rows::{Batch, day, first_measure};
use ocp_rollup::database;
use ocp_rollup::settings::Postgres;
use ocp_rollup::sink::postgres::PostgresSink;
use ocp_rollup::sink::{Sink, SinkError};

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
const TENANT: &str = "OCP_ROLLUP_TEST_TENANT";
const POINTS: [(&str, &str); 5] = [
    ("after_begin", "old"),
    ("after_delete", "old"),
    ("in_copy", "old"),
    ("before_commit", "old"),
    ("after_commit", "new"),
];

fn write(tenant: &Postgres, namespace: &str) -> Result<(), SinkError> {
    let meta = Arc::new(day("2025-10-10"));
    let client = database::connect(tenant).unwrap();
    let mut sink = Box::new(PostgresSink::open(client, &tenant.schema)?);
    sink.begin_day(&meta)?;
    let mut batch = Batch::of(&meta);
    for _ in 0..50 {
        batch = batch.pod(namespace, None, first_measure(1.0));
    }
    sink.write(&batch.build())?;
    sink.end_day()?;
    sink.finish()
}

/// Not a test of its own: the program that the others start with a failpoint armed.
#[test]
fn child() {
    let Ok(tenant) = std::env::var(TENANT) else { return };
    let (port, database) = tenant.split_once('/').unwrap();
    let settings = settings_of(port.parse().unwrap(), database);
    let result = write(&Postgres { schema: "org1".to_owned(), ..settings }, "new");
    std::process::exit(if result.is_ok() { 0 } else { 4 });
}

fn start(tenant: &Postgres, failpoint: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(TENANT, format!("{}/{}", tenant.port, tenant.database))
        .env("OCP_ROLLUP_FAILPOINT", failpoint)
        .spawn()
        .unwrap()
}

/// How many rows there are of each namespace, once no other connection holds the table.
fn rows(tenant: &Postgres) -> Vec<(String, i64)> {
    let mut client = client_of(tenant);
    let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while !client.query(others, &[]).unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    client
        .query(&format!("SELECT namespace, count(*) FROM {TABLE} GROUP BY 1"), &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect()
}

fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn death_and_failure_at_any_point_leave_a_whole_day() {
    let tenant = database().tenant("org1", Partitions::Registry);
    for (point, left) in POINTS {
        for action in ["abort", "error"] {
            write(&tenant, "old").unwrap();
            let failpoint = format!("sink.postgres.{point}={action}");
            let status = start(&tenant, &failpoint).wait().unwrap();
            assert_eq!(status.code(), (action == "error").then_some(4), "{failpoint}");
            assert_eq!(rows(&tenant), [(left.to_owned(), 50)], "{failpoint}");
        }
    }
    assert!(start(&tenant, "none=error").wait().unwrap().success());
    assert_eq!(rows(&tenant), [("new".to_owned(), 50)]);
}

#[test]
fn a_killed_run_leaves_the_old_rows_and_no_lock() {
    let tenant = database().tenant("org1", Partitions::Registry);
    write(&tenant, "old").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let gate = dir.path().join("gate");
    let mut child = start(&tenant, &format!("sink.postgres.in_copy=wait:{}", gate.display()));
    wait_for(&dir.path().join("gate.reached"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(rows(&tenant), [("old".to_owned(), 50)]);
    write(&tenant, "newer").unwrap();
    assert_eq!(rows(&tenant), [("newer".to_owned(), 50)]);
}
