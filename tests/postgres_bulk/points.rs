//! A month in bulk that dies, fails, is interrupted or meets others at any point. Runs with the
//! feature `failpoints`.

use crate::common::held::Held;
use crate::common::postgres::{Partitions, client_of};
use crate::stage::{LOOKS, Stage, TABLE, put};

/// Points of a month before it is in place.
const BEFORE: [&str; 6] =
    ["bulk.decided", "in_copy", "before_commit", "bulk.loaded", "bulk.built", "bulk.before_swap"];

impl Stage {
    /// Waits until no connection but this and those that look on hold anything.
    fn alone(&mut self) {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                      AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while !self.client.query(others, &[]).unwrap().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[test]
fn killed_anywhere_it_leaves_the_old_month_and_the_next_run_makes_it_right() {
    let mut stage = Stage::new(Partitions::Registry);
    for point in BEFORE {
        let held = Held::at(point, &stage.run());
        held.run.signal("KILL");
        held.run.done();
        stage.alone();
        assert_eq!(stage.rows(), stage.old, "killed {point}");
        assert_eq!(stage.tables_left(), 1, "killed {point}");
        stage.run().done().succeeds();
        assert_eq!(stage.rows(), stage.new, "after the next run, killed {point}");
        assert_eq!(stage.tables_left(), 0, "after the next run, killed {point}");
        stage.restore();
    }
}

#[test]
fn interrupted_or_failed_it_leaves_nothing_but_the_old_month() {
    let mut stage = Stage::new(Partitions::Registry);
    for point in BEFORE {
        let held = Held::at(point, &stage.run());
        held.run.signal("TERM");
        held.let_go();
        held.run.done().fails(6, &["interrupted"]);
        assert_eq!(stage.rows(), stage.old, "interrupted {point}");
        assert_eq!(stage.tables_left(), 0, "interrupted {point}");
        let setting = format!("sink.postgres.{point}=error");
        let failing = stage.run().environment("OCP_ROLLUP_FAILPOINT", setting);
        failing.done().fails(4, &["stopped on purpose"]);
        assert_eq!(stage.rows(), stage.old, "failed {point}");
        assert_eq!(stage.tables_left(), 0, "failed {point}");
    }
    let held = Held::at("bulk.after_swap", &stage.run());
    held.run.signal("KILL");
    held.run.done();
    assert_eq!(stage.rows(), stage.new);
    assert_eq!(stage.tables_left(), 0);
}

#[test]
fn what_others_do_meanwhile_is_kept() {
    let mut stage = Stage::new(Partitions::Registry);
    for change in [
        "INSERT INTO {t} (uuid, usage_start, usage_end, report_period_id, namespace) \
         VALUES (gen_random_uuid(), '2025-10-20', '2025-10-20', 7, 'foreign')",
        "UPDATE {t} SET infrastructure_raw_cost = 2, namespace = 'foreign' \
         WHERE usage_start = '2025-10-03' AND namespace = 'namespace-1'",
        "CREATE INDEX late ON {t}_2025_10 (resource_id)",
        "GRANT SELECT ON {t}_2025_10 TO pg_monitor",
    ] {
        let held = Held::at("bulk.built", &stage.run());
        stage.client.batch_execute(&change.replace("{t}", TABLE)).unwrap();
        let (oid, looks) = (stage.partition(), stage.text(LOOKS));
        held.let_go();
        let done = held.run.done();
        done.succeeds();
        done.warns(&["day by day"]);
        assert!(done.stdout.contains("2025-10 day by day after all: "), "{done:#?}");
        assert_eq!((stage.partition(), stage.text(LOOKS)), (oid, looks));
        let foreign = format!("DELETE FROM {TABLE} WHERE namespace = 'foreign'");
        let kept = stage.client.execute(&foreign, &[]).unwrap();
        assert_eq!(kept, if change.contains("foreign") { 1 } else { 0 }, "{change}");
        assert_eq!(stage.rows(), stage.new, "{change}");
        assert_eq!(stage.tables_left(), 0);
        stage.restore();
    }
}

#[test]
fn a_writer_that_waits_for_the_swap_writes_to_the_new_partition() {
    let mut stage = Stage::new(Partitions::Registry);
    let held = Held::at("bulk.before_swap", &stage.run());
    let mut watcher = client_of(&stage.tenant);
    let tenant = stage.tenant.clone();
    let writer = std::thread::spawn(move || {
        put(&mut client_of(&tenant), "2025-10-20", "7", "NULL");
    });
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'";
    while watcher.query(waiting, &[]).unwrap().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    held.let_go();
    held.run.done().succeeds();
    writer.join().unwrap();
    let foreign = format!("DELETE FROM {TABLE} WHERE namespace = 'foreign'");
    assert_eq!(stage.client.execute(&foreign, &[]).unwrap(), 1);
    assert_eq!(stage.rows(), stage.new);
}

#[test]
fn a_watcher_sees_the_old_month_or_the_new_one() {
    let mut stage = Stage::new(Partitions::Registry);
    let run = stage.run().start();
    let mut seen = vec![stage.old.clone()];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while seen.last() != Some(&stage.new) {
        assert!(std::time::Instant::now() < deadline, "the new rows never came");
        let now = stage.rows();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    run.done().succeeds();
    assert_eq!(seen, [stage.old.clone(), stage.new.clone()]);
}

#[test]
fn only_days_in_their_places_are_said_to_be_written() {
    let stage = Stage::new(Partitions::Registry);
    let folder = stage.scene.output().join("report");
    let metrics = stage.scene.output().join("run.prom");
    let run = stage.run().with("report", folder.display()).with("metrics-file", metrics.display());
    let written = || {
        let text = std::fs::read_to_string(folder.join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let days = report["days"].as_array().unwrap();
        let days = days.iter().filter(|day| day["written"] == true).count();
        let metrics = std::fs::read_to_string(&metrics).unwrap();
        let counted =
            metrics.lines().find(|line| line.starts_with("ocp_rollup_written_days_total"));
        (days, counted.unwrap().rsplit(' ').next().unwrap().parse::<usize>().unwrap())
    };
    // All days are loaded, none is in place.
    let failing = "sink.postgres.bulk.built=error";
    run.clone().environment("OCP_ROLLUP_FAILPOINT", failing).done().fails(4, &["on purpose"]);
    assert_eq!(written(), (0, 0));
    let done = run.done();
    assert!(done.stdout.contains("2025-10 in bulk"), "{done:#?}");
    assert_eq!(written(), (5, 5));
}
