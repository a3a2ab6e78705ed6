//! SIGTERM ends a run at any stage: exit code 6, nothing half done.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::line_items::pod;
use common::postgres::{Partitions, client_of, database};
use common::program::{Done, Scene};
use common::tree::Table;
use postgres::Client;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

#[track_caller]
fn interrupted(done: &Done) {
    done.fails(6, &["interrupted"]);
}

/// So much input that reading it takes far longer than noticing a signal: one file many times.
fn large() -> Scene {
    let scene = Scene::new();
    let rows = (0..20_000).map(|i| {
        let time = format!("2025-10-{:02} {:02}:00", 1 + i % 31, i % 24);
        pod().at(&time).with("namespace", format!("namespace-{}", i % 5000).as_str())
    });
    let first = scene.tree.add(&Table::pods(rows));
    for copy in 0..400 {
        std::fs::hard_link(&first, first.with_file_name(format!("copy-{copy}.parquet"))).unwrap();
    }
    scene
}

fn files(scene: &Scene) -> usize {
    std::fs::read_dir(scene.output()).unwrap().count()
}

#[test]
fn while_reading_and_aggregating_for_a_file() {
    for sink in ["csv", "parquet"] {
        for signal in ["TERM", "INT"] {
            let scene = large();
            let sink = format!("{sink}:{}", scene.csv().display());
            let mut run = scene.run().with("sink", sink).with("threads", 1).start();
            // The unfinished file is there as soon as the files are planned.
            run.until(|| files(&scene) > 0);
            run.signal(signal);
            interrupted(&run.done());
            scene.wrote_nothing();
        }
    }
}

#[test]
fn while_connecting_to_a_server_that_says_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let scene = Scene::new();
    scene.tree.add(&Table::pods([pod()]));
    let tenant = common::postgres::settings_of(silent.local_addr().unwrap().port(), "koku");
    let run = scene.run_into(&tenant).with("schema", "org1234567").start();
    let (_connection, _) = silent.accept().unwrap();
    run.signal("TERM");
    interrupted(&run.done());
}

/// Whether some statement of this database waits for another's lock.
fn waits(client: &mut Client) -> bool {
    let query = "SELECT 1 FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    !client.query(query, &[]).unwrap().is_empty()
}

#[test]
fn while_a_day_waits_for_another_writer() {
    let scene = Scene::new();
    scene.tree.add(&Table::pods_of_days(1..=3));
    let tenant = database().tenant("org1234567", Partitions::Plain);
    let run = scene.run_into(&tenant).with("to", "2025-10-03");
    run.done().succeeds();
    let mut watcher = client_of(&tenant);
    watcher.execute(&format!("UPDATE {TABLE} SET raw_currency = 'old'"), &[]).unwrap();

    let mut other = client_of(&tenant);
    let mut writer = other.transaction().unwrap();
    let touch = format!("UPDATE {TABLE} SET node = node WHERE usage_start = '2025-10-02'");
    writer.execute(&touch, &[]).unwrap();
    let mut started = run.start();
    started.until(|| waits(&mut watcher));
    started.signal("TERM");
    interrupted(&started.done());
    writer.rollback().unwrap();

    let query = format!(
        "SELECT usage_start::text, count(*), count(raw_currency) FROM {TABLE} GROUP BY 1 ORDER BY 1"
    );
    let days: Vec<(String, i64, i64)> = watcher
        .query(&query, &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let expected = [("2025-10-01", 2, 0), ("2025-10-02", 2, 2), ("2025-10-03", 2, 2)];
    assert_eq!(days, expected.map(|(day, rows, old)| (day.to_owned(), rows, old)));

    run.done().succeeds();
    let old = format!("SELECT count(raw_currency), count(*) FROM {TABLE}");
    let row = watcher.query_one(&old, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (0, 6));
}
