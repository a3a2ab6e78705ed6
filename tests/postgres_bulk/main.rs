//! Months in bulk: a new table takes the place of the month's partition, and is all that the
//! partition was; whatever stands against it, the days are replaced one by one and no row is lost.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "failpoints")]
mod points;
mod stage;

use common::line_items::pod;
use common::postgres::{Partitions, client_of, database};
use common::program::Scene;
use common::rows::SOURCE;
use common::tree::Table;
use stage::{LOOKS, PARTITION, Stage, TABLE, put, rows};
use uuid::Uuid;

#[test]
fn the_new_partition_is_all_that_the_old_one_was() {
    let mut stage = Stage::new(Partitions::Registry);
    stage
        .client
        .batch_execute(&format!(
            "ALTER TABLE {TABLE} ADD CONSTRAINT of_period FOREIGN KEY (report_period_id) \
               REFERENCES reporting_ocpusagereportperiod (id) DEFERRABLE INITIALLY DEFERRED;
             CREATE ROLE reader; CREATE ROLE other;
             GRANT SELECT ON {TABLE}, {PARTITION} TO reader WITH GRANT OPTION;
             GRANT UPDATE (cost_model_cpu_cost) ON {PARTITION} TO other;
             ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO other;
             COMMENT ON TABLE {PARTITION} IS 'October''s';
             COMMENT ON COLUMN {PARTITION}.namespace IS 'a project';
             ALTER TABLE {PARTITION} SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.4);
             ALTER TABLE {PARTITION} REPLICA IDENTITY FULL;
             ALTER TABLE {PARTITION} ADD CONSTRAINT sane CHECK (usage_end >= '2020-01-01');
             ALTER TABLE {PARTITION} ALTER COLUMN node SET STATISTICS 17;
             ALTER TABLE {PARTITION} ALTER COLUMN node SET (n_distinct = 170);
             ALTER TABLE {PARTITION} ALTER COLUMN pod_labels SET STORAGE EXTERNAL;
             ALTER TABLE {PARTITION} ALTER COLUMN raw_currency SET DEFAULT 'USD';
             CREATE INDEX \"Odd USING name\" ON {PARTITION} (lower(namespace)) \
               WITH (fillfactor = 70) WHERE node IS NOT NULL;
             CREATE INDEX of_cluster ON {TABLE} (cluster_id)"
        ))
        .unwrap();
    let (looks, oid) = (stage.text(LOOKS), stage.partition());
    let done = stage.run().done();
    done.succeeds();
    assert!(done.stdout.contains("2025-10 in bulk"), "{done:#?}");
    assert_ne!(stage.partition(), oid);
    assert_eq!(stage.text(LOOKS), looks);
    // Columns that the program does not fill get their defaults, as they do from a day's copy.
    let new: Vec<String> = stage
        .new
        .iter()
        .map(|row| row.replace(r#""raw_currency": null"#, r#""raw_currency": "USD""#))
        .collect();
    assert_eq!(stage.rows(), new);
    assert_eq!(stage.tables_left(), 0);
    let analyzed = format!("SELECT count(*)::text FROM pg_stats WHERE tablename = '{PARTITION}'");
    assert_ne!(stage.text(&analyzed), "0");
    // Koku's retention finds it.
    stage.client.batch_execute("DELETE FROM partitioned_tables").unwrap();
    assert_eq!(stage.rows(), [] as [&str; 0]);
}

#[test]
fn months_that_were_empty_or_without_a_partition_are_loaded_in_bulk() {
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let mut stage = Stage::new(partitions);
        stage.client.batch_execute(&format!("TRUNCATE {TABLE}")).unwrap();
        let done = stage.run().done();
        assert!(done.stdout.contains("in bulk"), "{done:#?}");
        assert_eq!(stage.rows(), stage.new);
        let drop = match partitions {
            Partitions::Plain => format!("DROP TABLE {PARTITION}"),
            Partitions::Registry => "DELETE FROM partitioned_tables".to_owned(),
        };
        stage.client.batch_execute(&drop).unwrap();
        // A row that waits in the default partition moves first, and is replaced.
        put(&mut stage.client, "2025-10-02", "1", "0");
        let done = stage.run().done();
        assert!(done.stdout.contains("in bulk"), "{done:#?}");
        assert_eq!(stage.rows(), stage.new);
        assert_eq!(stage.tables_left(), 0);
        // The ledger knows the days of a month in bulk like any others.
        let oid = stage.partition();
        let done = stage.run().with("incremental", "on").done();
        done.succeeds();
        assert!(!done.stdout.contains("loaded"), "{done:#?}");
        assert_eq!(stage.partition(), oid);
    }
}

#[test]
fn rows_that_the_run_does_not_replace_are_kept() {
    let mut stage = Stage::new(Partitions::Registry);
    for (day, period, cost, part) in [
        ("2025-10-06", "1", "NULL", "2025-10-06 and report period 1"),
        ("2025-10-02", "2", "NULL", "report period 2"),
        ("2025-10-02", "NULL", "NULL", "report period none"),
        ("2025-10-02", "1", "1.5", "with costs of a cloud"),
    ] {
        put(&mut stage.client, day, period, cost);
        let oid = stage.partition();
        let done = stage.run().done();
        done.succeeds();
        assert!(
            done.stdout.contains("2025-10 day by day: ") && done.stdout.contains(part),
            "{done:#?}"
        );
        assert_eq!(stage.partition(), oid);
        let foreign =
            "DELETE FROM reporting_ocpusagelineitem_daily_summary WHERE namespace = 'foreign'";
        assert_eq!(stage.client.execute(foreign, &[]).unwrap(), 1);
        assert_eq!(stage.rows(), stage.new);
    }
}

#[test]
fn what_a_new_table_could_not_be_is_left_alone() {
    let mut stage = Stage::new(Partitions::Registry);
    for (change, undo, part) in [
        (
            format!("CREATE VIEW looking AS SELECT * FROM {PARTITION}"),
            "DROP VIEW looking".to_owned(),
            "a view",
        ),
        (
            format!("CREATE RULE no AS ON UPDATE TO {PARTITION} DO INSTEAD NOTHING"),
            format!("DROP RULE no ON {PARTITION}"),
            "rules",
        ),
        (
            format!(
                "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; \
                 CREATE TRIGGER own BEFORE INSERT ON {PARTITION} FOR EACH ROW EXECUTE FUNCTION nothing()"
            ),
            format!("DROP TRIGGER own ON {PARTITION}"),
            "triggers",
        ),
        (
            format!("ALTER TABLE {PARTITION} ENABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {PARTITION} DISABLE ROW LEVEL SECURITY"),
            "row-level security",
        ),
        (
            format!("CREATE PUBLICATION one FOR TABLE {PARTITION}"),
            "DROP PUBLICATION one".to_owned(),
            "published",
        ),
        (
            format!("ALTER TABLE {PARTITION} CLUSTER ON {PARTITION}_pkey"),
            format!("ALTER TABLE {PARTITION} SET WITHOUT CLUSTER"),
            "would differ from reporting_ocpusagelineitem_daily_summary_2025_10 in its indexes \
             reporting_ocpusagelineitem_daily_summary_2025_10_pkey",
        ),
    ] {
        stage.client.batch_execute(&change).unwrap();
        let oid = stage.partition();
        let done = stage.run().done();
        done.succeeds();
        assert!(done.stdout.contains("day by day") && done.stdout.contains(part), "{done:#?}");
        assert_eq!(stage.partition(), oid);
        assert_eq!(stage.rows(), stage.new);
        stage.client.batch_execute(&undo).unwrap();
    }
    let done = stage.run().done();
    assert!(done.stdout.contains("in bulk"), "{done:#?}");
}

#[test]
fn months_of_several_sources_are_whole_when_the_last_source_is_in() {
    let other = Uuid::from_u128(0x2222);
    let tenant = database().tenant("org1234567", Partitions::Registry);
    let mut client = client_of(&tenant);
    let scene = Scene::new();
    for (source, seconds) in [(SOURCE, 3600.0), (other, 1800.0)] {
        for (month, days) in [("2025-10", 30..=31), ("2025-11", 1..=3)] {
            let row = |day: u32| {
                let row = pod().at(&format!("{month}-{day:02} 00:00"));
                row.with("pod_usage_cpu_core_seconds", seconds)
            };
            scene.tree.add_to(source, month, &Table::pods(days.map(row)));
            client
                .batch_execute(&format!(
                    "INSERT INTO reporting_ocpusagereportperiod (cluster_id, \
                       report_period_start, report_period_end, provider_id) \
                     VALUES ('{source}', '{month}-01 UTC', '{month}-28 UTC', '{source}')"
                ))
                .unwrap();
        }
    }
    let run = scene
        .run_into(&tenant)
        .without("report-period-id")
        .with("provider-uuid", format!("{SOURCE},{other}"))
        .with("from", "2025-10-30")
        .with("to", "2025-11-03")
        .with("connections", 4);
    run.clone().with("bulk", "off").done().succeeds();
    let expected = rows(&mut client);
    assert_eq!(expected.len(), 2 * 2 * 5);
    let done = run.clone().with("bulk", "on").done();
    for month in ["2025-10 in bulk: 8 rows", "2025-11 in bulk: 12 rows"] {
        assert!(done.stdout.contains(month), "{done:#?}");
    }
    assert_eq!(rows(&mut client), expected);
    // One source alone must not take the other's rows with it.
    let done = run.with("provider-uuid", SOURCE).with("bulk", "on").done();
    assert!(
        done.stdout.contains("2025-10 day by day") && !done.stdout.contains("bulk"),
        "{done:#?}"
    );
    assert_eq!(rows(&mut client), expected);
}

#[test]
fn months_of_worker_processes_are_loaded_in_bulk_and_those_of_shards_lose_nothing() {
    let mut stage = Stage::new(Partitions::Registry);
    let done = stage.run().with("processes", 2).done();
    assert!(done.stdout.contains("2025-10 in bulk"), "{done:#?}");
    assert_eq!(stage.rows(), stage.new);
    // Neither shard has the whole month: the days of the other must outlive its own.
    for old_days in [true, false] {
        match old_days {
            true => stage.restore(),
            false => stage.client.batch_execute(&format!("TRUNCATE {TABLE}")).unwrap(),
        }
        let shard = |index| stage.run().with("shard-count", 2).with("shard-index", index).start();
        let runs = [0, 1].map(shard);
        runs.into_iter().for_each(|run| run.done().succeeds());
        assert_eq!(stage.rows(), stage.new);
        assert_eq!(stage.tables_left(), 0);
    }
}

#[test]
fn few_rows_go_day_by_day_unless_bulk_is_asked_for() {
    let mut stage = Stage::new(Partitions::Registry);
    let oid = stage.partition();
    let done = stage.run().with("bulk", "auto").done();
    assert!(done.stdout.contains("2025-10 day by day: about 1 rows are expected"), "{done:#?}");
    assert_eq!(stage.partition(), oid);
    assert_eq!(stage.rows(), stage.new);
}

#[test]
fn tables_of_others_are_not_taken_for_leftovers() {
    let mut stage = Stage::new(Partitions::Registry);
    let orphan = format!("ocp_rollup_bulk_2025_10_{}", "0".repeat(32));
    let mark = "ocp-rollup: a month that is being loaded, no partition yet; a run that died leaves \
                it, and the next one removes it";
    stage
        .client
        .batch_execute(&format!(
            "CREATE TABLE {orphan} (i int); COMMENT ON TABLE {orphan} IS '{mark}';
             CREATE TABLE ocp_rollup_bulk_2025_11_{zeros} (i int);
             CREATE TABLE my_copy (i int); COMMENT ON TABLE my_copy IS '{mark}'",
            zeros = "0".repeat(32)
        ))
        .unwrap();
    // A run that is alive holds the lock of its table.
    let table = format!("\"org1234567\".\"{orphan}\"");
    stage.client.execute("SELECT pg_advisory_lock(1868787761, hashtext($1))", &[&table]).unwrap();
    stage.run().with("bulk", "off").done().succeeds();
    assert_eq!(stage.tables_left(), 2);
    stage.client.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
    stage.run().with("bulk", "off").done().succeeds();
    let left = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
                WHERE relname LIKE 'ocp_rollup_bulk%' OR relname = 'my_copy'";
    let expected = format!("my_copy ocp_rollup_bulk_2025_11_{}", "0".repeat(32));
    assert_eq!(stage.text(left), expected);
}

#[test]
fn runs_of_several_report_periods_at_once_lose_nothing() {
    let mut stage = Stage::new(Partitions::Registry);
    stage
        .client
        .batch_execute(&format!(
            "TRUNCATE {TABLE}; \
             INSERT INTO reporting_ocpusagereportperiod (id, cluster_id, report_period_start, \
               report_period_end, provider_id) \
             SELECT i, 'c' || i, '2025-10-01 UTC', '2025-11-01 UTC', '{SOURCE}' FROM generate_series(2, 3) i"
        ))
        .unwrap();
    let runs: Vec<_> =
        (1..=3).map(|period| stage.run().with("report-period-id", period).start()).collect();
    runs.into_iter().for_each(|run| run.done().succeeds());
    for period in 1..=3 {
        let rows: Vec<String> = stage
            .client
            .query(
                &format!(
                    "SELECT (to_jsonb(t) - 'uuid' || '{{\"report_period_id\": 1}}')::text \
                     FROM {TABLE} t WHERE report_period_id = {period} ORDER BY usage_start, 1"
                ),
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let cluster = if period == 1 { "c".to_owned() } else { format!("c{period}") };
        let cluster = format!(r#""cluster_id": "{cluster}""#);
        let new: Vec<String> =
            stage.new.iter().map(|row| row.replace(r#""cluster_id": "c""#, &cluster)).collect();
        assert_eq!(rows, new, "report period {period}");
    }
    assert_eq!(stage.tables_left(), 0);
}
