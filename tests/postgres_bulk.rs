//! Months in bulk: a new table takes the place of the month's partition, and is all that the
//! partition was; whatever stands against it, the days are replaced one by one and no row is lost.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::line_items::pod;
use common::postgres::{Partitions, client_of, database};
use common::program::{Run, Scene};
use common::rows::SOURCE;
use common::tree::Table;
use ocp_rollup::settings::Postgres;
use postgres::Client;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
const PARTITION: &str = "reporting_ocpusagelineitem_daily_summary_2025_10";
const DAYS: u32 = 5;

/// Five days of usage into a tenant that has them from other usage, replaced day by day.
struct Stage {
    before: Scene,
    scene: Scene,
    tenant: Postgres,
    client: Client,
    /// The table as it was, and as it is to be.
    old: Vec<String>,
    new: Vec<String>,
}

impl Stage {
    fn new(partitions: Partitions) -> Self {
        let tenant = database().tenant("org1234567", partitions);
        let mut client = client_of(&tenant);
        client
            .batch_execute(&format!(
                "INSERT INTO reporting_ocpusagereportperiod (id, cluster_id, report_period_start, \
                   report_period_end, provider_id) \
                 VALUES (1, 'c', '2025-10-01 UTC', '2025-11-01 UTC', '{SOURCE}')"
            ))
            .unwrap();
        let (before, scene) = (scene(1800.0), scene(3600.0));
        run(&scene, &tenant).with("bulk", "off").done().succeeds();
        let new = rows(&mut client);
        run(&before, &tenant).with("bulk", "off").done().succeeds();
        let old = rows(&mut client);
        assert_ne!(old, new);
        Stage { before, scene, tenant, client, old, new }
    }

    /// Makes the table what it was.
    fn restore(&mut self) {
        run(&self.before, &self.tenant).with("bulk", "off").done().succeeds();
        assert_eq!(self.rows(), self.old);
    }

    fn run(&self) -> Run {
        run(&self.scene, &self.tenant).with("bulk", "on")
    }

    fn rows(&mut self) -> Vec<String> {
        rows(&mut self.client)
    }

    fn text(&mut self, query: &str) -> String {
        text(&mut self.client, query)
    }

    /// Tells one table from another that took its place.
    fn partition(&mut self) -> String {
        self.text(&format!("SELECT '{PARTITION}'::regclass::oid::text"))
    }

    /// Tables of months that are not in place.
    fn tables_left(&mut self) -> i64 {
        let query = "SELECT count(*) FROM pg_class WHERE relname LIKE 'ocp_rollup_bulk%' AND relkind = 'r'";
        self.client.query_one(query, &[]).unwrap().get(0)
    }
}

fn scene(seconds: f64) -> Scene {
    let scene = Scene::new();
    let rows = (1..=DAYS).flat_map(|day| {
        (0..6).map(move |i| {
            pod()
                .at(&format!("2025-10-{day:02} {i:02}:00"))
                .with("namespace", format!("namespace-{i}").as_str())
                .with("pod_usage_cpu_core_seconds", seconds * f64::from(i + 1))
        })
    });
    scene.tree.add(&Table::pods(rows));
    scene
}

fn run(scene: &Scene, tenant: &Postgres) -> Run {
    scene.run_into(tenant).with("to", format!("2025-10-{DAYS:02}")).with("connections", 3)
}

/// Every row but for its uuid, by day.
fn rows(client: &mut Client) -> Vec<String> {
    let query =
        format!("SELECT (to_jsonb(t) - 'uuid')::text FROM {TABLE} t ORDER BY usage_start, 1");
    client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn text(client: &mut Client, query: &str) -> String {
    client.query_one(query, &[]).unwrap().get(0)
}

fn put(client: &mut Client, day: &str, period: &str, raw_cost: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO {TABLE} (uuid, usage_start, usage_end, report_period_id, namespace, \
             infrastructure_raw_cost) VALUES \
             (gen_random_uuid(), '{day}', '{day}', {period}, 'foreign', {raw_cost})"
        ))
        .unwrap();
}

/// All that psql and pg_dump would show of the partition.
const LOOKS: &str = "\
SELECT jsonb_pretty(jsonb_build_object(
  'table', (SELECT jsonb_build_array(relname, relowner::regrole, relacl::text, reloptions,
              relreplident, relkind, relpersistence, obj_description(oid),
              pg_get_expr(relpartbound, oid))
            FROM pg_class WHERE oid = p.oid),
  'columns', (SELECT jsonb_agg(jsonb_build_array(attname, atttypid::regtype, atttypmod, attnotnull,
                attstattarget, attstorage, attacl::text, pg_get_expr(adbin, adrelid),
                col_description(p.oid, attnum)) ORDER BY attname)
              FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
              WHERE attrelid = p.oid AND attnum > 0),
  'constraints', (SELECT jsonb_agg(jsonb_build_array(conname, pg_get_constraintdef(oid),
                    convalidated, conparentid <> 0) ORDER BY conname)
                  FROM pg_constraint WHERE conrelid = p.oid),
  'indexes', (SELECT jsonb_agg(jsonb_build_array(pg_get_indexdef(indexrelid), indisvalid,
                indisprimary, (SELECT inhparent::regclass FROM pg_inherits
                               WHERE inhrelid = indexrelid)) ORDER BY 1)
              FROM (SELECT * FROM pg_index WHERE indrelid = p.oid
                    ORDER BY pg_get_indexdef(indexrelid)) i),
  'listed', (SELECT to_jsonb(l) FROM partitioned_tables l WHERE table_name = p.relname)))
FROM pg_class p WHERE p.relname = 'reporting_ocpusagelineitem_daily_summary_2025_10'";

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
        assert!(done.stdout.contains("2025-10 day by day: ") && done.stdout.contains(part), "{done:#?}");
        assert_eq!(stage.partition(), oid);
        let foreign = "DELETE FROM reporting_ocpusagelineitem_daily_summary WHERE namespace = 'foreign'";
        assert_eq!(stage.client.execute(foreign, &[]).unwrap(), 1);
        assert_eq!(stage.rows(), stage.new);
    }
}

#[test]
fn what_a_new_table_could_not_be_is_left_alone() {
    let mut stage = Stage::new(Partitions::Registry);
    for (change, undo, part) in [
        (format!("CREATE VIEW looking AS SELECT * FROM {PARTITION}"), "DROP VIEW looking".to_owned(), "a view"),
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
    ] {
        stage.client.batch_execute(&change).unwrap();
        let oid = stage.partition();
        let done = stage.run().done();
        done.succeeds();
        assert!(done.stdout.contains("day by day: ") && done.stdout.contains(part), "{done:#?}");
        assert_eq!(stage.partition(), oid);
        assert_eq!(stage.rows(), stage.new);
        stage.client.batch_execute(&undo).unwrap();
    }
    let done = stage.run().done();
    assert!(done.stdout.contains("in bulk"), "{done:#?}");
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
    stage.client.batch_execute(&format!("TRUNCATE {TABLE}")).unwrap();
    let runs: Vec<_> = (1..=3)
        .map(|period| stage.run().with("report-period-id", period).start())
        .collect();
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
        // Only the first period is known to the database, and with it the cluster.
        let new: Vec<String> = stage
            .new
            .iter()
            .map(|row| match period {
                1 => row.clone(),
                _ => row.replace(r#""cluster_id": "c""#, r#""cluster_id": null"#),
            })
            .collect();
        assert_eq!(rows, new, "report period {period}");
    }
    assert_eq!(stage.tables_left(), 0);
}

#[cfg(feature = "failpoints")]
mod at_points {
    use super::*;
    use common::program::Running;

    /// Points of a month before it is in place, and whether its table is there by then.
    const BEFORE: [&str; 6] = [
        "bulk.decided",
        "in_copy",
        "before_commit",
        "bulk.loaded",
        "bulk.built",
        "bulk.before_swap",
    ];

    /// A run that stops at a point until it is let go.
    struct Held {
        run: Running,
        folder: tempfile::TempDir,
    }

    impl Held {
        fn at(point: &str, run: &Run) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let gate = folder.path().join("gate");
            let setting = format!("sink.postgres.{point}=wait:{}", gate.display());
            let mut run = run.clone().environment("OCP_ROLLUP_FAILPOINT", setting).start();
            let reached = gate.with_file_name("gate.reached");
            run.until(|| reached.exists());
            Held { run, folder }
        }

        fn let_go(&self) {
            std::fs::write(self.folder.path().join("gate"), "").unwrap();
        }
    }

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
}
