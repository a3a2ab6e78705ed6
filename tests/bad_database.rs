//! A database that is not there, not writable or not as expected: the message, the exit code, and
//! the rows that were there before.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::line_items::{pod, storage};
use common::postgres::{Database, Partitions, client_of, database};
use common::program::{Run, Scene};
use common::rows::SOURCE;
use common::tree::{MONTH, Table};
use ocp_rollup::settings::{Postgres, Secret};
use uuid::Uuid;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
const TENANT: &str = "org1234567";

/// A scene with a pod on the first of October, and a tenant with rows of that day and the next.
struct Stage {
    scene: Scene,
    database: Database,
    tenant: Postgres,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        scene.tree.add(&Table::pods([pod()]));
        let database = database();
        let tenant = database.tenant(TENANT, Partitions::Registry);
        let stage = Stage { scene, database, tenant };
        for (day, namespace) in [("2025-10-01", "old"), ("2025-10-02", "old")] {
            stage.execute(&format!(
                "INSERT INTO {TABLE} (uuid, report_period_id, usage_start, usage_end, namespace) \
                 VALUES (gen_random_uuid(), 1, '{day}', '{day}', '{namespace}')"
            ));
        }
        stage
    }

    fn execute(&self, sql: &str) {
        client_of(&self.tenant).batch_execute(sql).unwrap();
    }

    fn run(&self) -> Run {
        self.scene.run_into(&self.tenant)
    }

    /// Every row of the table, as a text.
    fn rows(&self) -> Vec<String> {
        let query = format!("SELECT t::text FROM {TABLE} t ORDER BY 1");
        client_of(&self.tenant).query(&query, &[]).unwrap().iter().map(|r| r.get(0)).collect()
    }

    /// Asserts that `run` fails and the table is as before.
    #[track_caller]
    fn refuses(&self, run: &Run, code: i32, parts: &[&str]) {
        let before = self.rows();
        run.done().fails(code, parts);
        assert_eq!(self.rows(), before);
    }
}

#[test]
fn a_day_is_replaced_where_nothing_is_wrong() {
    let stage = Stage::new();
    let done = stage.run().done();
    done.succeeds();
    assert!(done.stdout.contains("schema org1234567"), "{done:?}");
    let rows = stage.rows();
    assert_eq!(rows.len(), 2, "the pod and what is left of its node: {rows:?}");
    assert!(!rows.iter().any(|row| row.contains("old")), "{rows:?}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let stage = Stage::new();
    let parts = ["127.0.0.1:1", "DATABASE_SERVICE_HOST", "DATABASE_SERVICE_PORT"];
    stage.refuses(&stage.run().with("db-port", 1), 4, &parts);
    let run = stage.run().with("db-host", "no-such-host.invalid");
    stage.refuses(&run, 4, &["no-such-host.invalid", "cannot reach"]);
}

#[test]
fn a_wrong_password_user_database_or_schema_is_told_apart() {
    let stage = Stage::new();
    let wrong = Postgres { password: Some(Secret("hunter2".to_owned())), ..stage.tenant.clone() };
    let run = stage.scene.run_into(&wrong);
    stage.refuses(&run, 4, &["password", "`ocp`", "DATABASE_PASSWORD"]);
    assert!(!run.done().stderr.contains("hunter2"));
    let run = stage.run().with("db-name", "nowhere");
    stage.refuses(&run, 4, &["no database `nowhere`", "DATABASE_NAME"]);
    let run = stage.run().with("schema", "org7654321");
    stage.refuses(&run, 4, &["no schema `org7654321`", "POSTGRES_SCHEMA"]);
}

#[test]
fn a_read_only_database_is_told_before_anything_is_deleted() {
    let stage = Stage::new();
    let name = &stage.database.settings().database;
    stage.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    stage.refuses(&stage.run(), 4, &["read-only", "primary"]);
}

#[test]
fn a_missing_table_is_named() {
    let stage = Stage::new();
    stage.execute(&format!("ALTER TABLE {TABLE} RENAME TO elsewhere"));
    stage.run().done().fails(4, &[TENANT, TABLE, "migrations"]);
    stage.execute(&format!("ALTER TABLE elsewhere RENAME TO {TABLE}"));
    assert_eq!(stage.rows().len(), 2);

    stage.execute("DROP TABLE reporting_enabledtagkeys");
    let run = stage.run().with("lookups", "postgres");
    stage.refuses(&run, 4, &["reporting_enabledtagkeys", "schema"]);
}

#[test]
fn bad_input_leaves_the_table_alone() {
    let stage = Stage::new();
    let path = stage.scene.tree.add_bytes(SOURCE, MONTH, "pod_usage", b"PAR1 and no more");
    stage.refuses(&stage.run(), 3, &[path.file_name().unwrap().to_str().unwrap(), "Parquet"]);
    let lying = pod().at("2025-10-03 00:00").with("pod_labels", "{no labels");
    std::fs::remove_file(path).unwrap();
    stage.scene.tree.add(&Table::pods([lying]));
    let before = stage.rows();
    stage.run().with("from", "2025-10-02").done().fails(3, &["pod_labels", "{no labels"]);
    // The second has no files and may have been replaced by nothing before the third was read.
    assert!(before.contains(&stage.rows()[0]), "the first was not asked for");
}

#[test]
fn a_month_without_pod_files_keeps_its_rows() {
    let stage = Stage::new();
    let november = "INSERT INTO TABLE (uuid, report_period_id, usage_start, usage_end, namespace) \
                    VALUES (gen_random_uuid(), 2, '2025-11-01', '2025-11-01', 'november')";
    stage.execute(&november.replace("TABLE", TABLE));
    let before = stage.rows();
    let run = stage.run().with("from", "2025-11-01").with("to", "2025-11-30");
    let run = run.with("report-period-id", 2);
    let done = run.done();
    done.succeeds();
    let nothing = format!("nothing to do for {SOURCE} in 2025-11: no pod files");
    assert!(done.stdout.starts_with(&nothing), "{done:?}");
    done.warns(&[&nothing, "stays as it is", "--allow-empty"]);
    assert_eq!(stage.rows(), before);

    run.with("allow-empty", "on").done().succeeds();
    let left = stage.rows();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!left.iter().any(|row| row.contains("november")), "{left:?}");

    stage.scene.tree.add_to(SOURCE, "2025-11", &Table::storage([storage().at("2025-11-01 00:00")]));
    let done = stage.run().with("from", "2025-11-01").with("to", "2025-11-30").done();
    done.succeeds();
    assert!(done.stdout.contains("(1 files of other types)"), "{done:?}");
    assert_eq!(stage.rows(), left);
}

/// Adds a report period to `reporting_ocpusagereportperiod`.
fn add_period(stage: &Stage, id: i32, cluster: &str, start: &str, provider: Uuid) {
    stage.execute(&format!(
        "INSERT INTO reporting_ocpusagereportperiod (id, cluster_id, report_period_start, \
         report_period_end, provider_id) \
         VALUES ({id}, '{cluster}', '{start} 00:00+00', '{start} 00:00+00', '{provider}')"
    ));
}

#[test]
fn a_missing_report_period_is_named_after_the_files_are_found() {
    let stage = Stage::new();
    let run = stage.run().without("report-period-id");
    let parts = [&SOURCE.to_string(), "2025-10", "no period", "--report-period-id"];
    stage.refuses(&run, 4, &parts);
    // A source that the tree does not have is the greater mistake.
    let other = Uuid::from_u128(0x2222);
    let parts = [&*other.to_string(), &format!("source={SOURCE}")];
    stage.refuses(&run.clone().with("provider-uuid", other), 3, &parts);
    // A month without files needs none.
    add_period(&stage, 1, "cluster-1", "2025-10-01", SOURCE);
    run.with("to", "2025-11-30").done().succeeds();
}

#[test]
fn two_report_periods_of_one_month_are_told_apart_by_the_user() {
    let stage = Stage::new();
    add_period(&stage, 1, "cluster-1", "2025-10-01", SOURCE);
    add_period(&stage, 7, "cluster-2", "2025-10-01", SOURCE);
    let run = stage.run().without("report-period-id");
    stage.refuses(&run, 4, &["several periods", "1, 7", "--report-period-id"]);
    run.with("report-period-id", 7).done().succeeds();
    let of_seven = format!("SELECT DISTINCT cluster_id FROM {TABLE} WHERE report_period_id = 7");
    let clusters = client_of(&stage.tenant).query(&of_seven, &[]).unwrap();
    assert_eq!(clusters.len(), 1);
    assert_eq!(clusters[0].get::<_, String>(0), "cluster-2");
}

#[test]
fn a_report_period_of_another_source_or_month_is_refused() {
    let stage = Stage::new();
    let other = Uuid::from_u128(0x2222);
    add_period(&stage, 1, "cluster-2", "2025-10-01", other);
    let parts = ["report period 1", &SOURCE.to_string(), &other.to_string(), "would be replaced"];
    stage.refuses(&stage.run(), 4, &parts);

    // One that is not there would have the month count twice.
    let stage = Stage::new();
    add_period(&stage, 7, "cluster-1", "2025-10-01", SOURCE);
    stage.refuses(&stage.run(), 4, &["no report period 1", "2025-10 is 7", "leave"]);

    let stage = Stage::new();
    add_period(&stage, 1, "cluster-1", "2025-09-01", SOURCE);
    stage.refuses(&stage.run(), 4, &["report period 1", "2025-10", "2025-09"]);
}

#[test]
fn a_statement_timeout_is_told_from_an_interruption() {
    let stage = Stage::new();
    // The partition is there then, and its making cannot be what takes too long.
    stage.run().done().succeeds();
    let before = stage.rows();
    let name = &stage.database.settings().database;
    stage.execute(&format!("ALTER DATABASE {name} SET statement_timeout = '200ms'"));
    let mut blocker = client_of(&stage.tenant);
    let mut transaction = blocker.transaction().unwrap();
    transaction.execute(&format!("DELETE FROM {TABLE}"), &[]).unwrap();
    let done = stage.run().done();
    done.fails(4, &["2025-10-01", "timeout", "run again"]);
    transaction.rollback().unwrap();
    assert_eq!(stage.rows(), before);
}

#[test]
fn a_user_without_a_connection_left_is_told_what_gives_one() {
    let stage = Stage::new();
    let user = format!("few_{}", stage.database.settings().database);
    stage.execute(&format!("CREATE ROLE {user} LOGIN PASSWORD 'few' CONNECTION LIMIT 0"));
    let few = Postgres { user, password: Some(Secret("few".to_owned())), ..stage.tenant.clone() };
    let run = stage.scene.run_into(&few).with("db-retry-for", "1s");
    stage.refuses(&run, 4, &["no connection left", &few.user, "--connections"]);
    stage.execute(&format!("DROP ROLE {}", few.user));
}
