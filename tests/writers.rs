//! Several writers of one tenant: who waits for whom, for how long, what is said meanwhile, and what
//! is done again.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::postgres::{Database, Partitions, client_of, database};
use common::program::{Run, Running, Scene};
use common::rows::SOURCE;
use common::tree::{MONTH, Table};
use common::watcher::days;
use ocp_rollup::settings::Postgres;
use postgres::Client;
use uuid::Uuid;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
const OTHER: Uuid = Uuid::from_u128(0x2222);

/// Three days of usage, and a tenant for them.
struct Stage {
    scene: Scene,
    _database: Database,
    tenant: Postgres,
    client: Client,
}

impl Stage {
    fn new() -> Self {
        let database = database();
        let tenant = database.tenant("org1234567", Partitions::Registry);
        let client = client_of(&tenant);
        let scene = Scene::new();
        scene.tree.add(&Table::pods_of_days(1..=3));
        scene.tree.add_to(OTHER, MONTH, &Table::pods_of_days(1..=3));
        Stage { scene, _database: database, tenant, client }
    }

    fn run(&self) -> Run {
        self.scene.run_into(&self.tenant).with("to", "2025-10-03")
    }

    fn execute(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap();
    }

    /// Has `what` done by each of the first `times` statements that put rows into the summary. What
    /// a sequence gives is not rolled back.
    fn trip(&mut self, times: u32, what: &str) {
        self.execute(&format!(
            "CREATE SEQUENCE trips; \
             CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('org1234567.trips') <= {times} THEN {what}; END IF; RETURN NULL; END $$; \
             CREATE TRIGGER trip BEFORE INSERT ON {TABLE} FOR EACH STATEMENT \
             EXECUTE FUNCTION trip()"
        ));
    }

    fn rows(&mut self, condition: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {TABLE} WHERE {condition}");
        self.client.query_one(&query, &[]).unwrap().get(0)
    }
}

#[test]
fn what_fails_in_passing_is_done_again_and_counted() {
    for (what, counted) in [
        ("RAISE EXCEPTION 'by chance' USING ERRCODE = '40P01'", "2 × deadlock"),
        ("RAISE EXCEPTION 'by chance' USING ERRCODE = '40001'", "2 × serialization failure"),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", "2 × lost connection"),
    ] {
        let mut stage = Stage::new();
        stage.trip(2, what);
        let done = stage.run().done();
        done.succeeds();
        assert!(done.stdout.contains(counted), "{done:?}");
        assert!(
            done.stdout.contains("3 pod, 0 storage and 3 unallocated rows of 3 days"),
            "{done:?}"
        );
        done.warns(&["doing 2025-10-01 again"]);
        assert_eq!(stage.rows("true"), 6);
    }
}

#[test]
fn a_spilled_day_is_done_again_from_its_first_row() {
    let mut stage = Stage::new();
    stage.trip(1, "RAISE EXCEPTION 'by chance' USING ERRCODE = '40001'");
    let done = stage.run().with("force-spill", 1).done();
    done.succeeds();
    assert!(done.stdout.contains("spilled"), "{done:?}");
    assert!(done.stdout.contains("1 × serialization failure"), "{done:?}");
    assert_eq!(stage.rows("true"), 6);
}

#[test]
fn what_goes_on_failing_ends_the_run_with_what_was_tried() {
    let mut stage = Stage::new();
    stage.trip(u32::MAX, "RAISE EXCEPTION 'always' USING ERRCODE = '40P01'");
    let run = stage.run().with("db-retry-for", "400ms");
    run.done().fails(4, &["gave up on 2025-10-01", "more tries", "--db-retry-for", "always"]);
    run.with("db-retry-for", "off").done().fails(4, &["deadlock", "run again", "always"]);
    assert_eq!(stage.rows("true"), 0);
}

#[test]
fn an_interruption_ends_the_tries() {
    let mut stage = Stage::new();
    stage.trip(u32::MAX, "RAISE EXCEPTION 'always' USING ERRCODE = '40P01'");
    let mut run = stage.run().with("db-retry-for", "1h").start();
    let tried = "SELECT 1 FROM trips WHERE last_value > 2";
    run.until(|| !stage.client.query(tried, &[]).unwrap().is_empty());
    run.signal("TERM");
    run.done().fails(6, &["interrupted"]);
    assert_eq!(stage.rows("true"), 0);
}

#[test]
fn a_real_deadlock_is_survived() {
    let mut stage = Stage::new();
    stage.run().done().succeeds();
    let before = days(&mut stage.client);
    // The other gives the run a second to find the deadlock first.
    let mut other = client_of(&stage.tenant);
    other.batch_execute("SET deadlock_timeout = '1min'").unwrap();
    let mut writer = other.transaction().unwrap();
    // The run deletes in the order in which it wrote: `Worker unallocated` comes first.
    let one = |kind| {
        format!(
            "UPDATE {TABLE} SET node = node WHERE usage_start = '2025-10-02' \
             AND namespace {kind} 'shop'"
        )
    };
    writer.execute(&one("="), &[]).unwrap();
    let mut run = stage.run().start();
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'ocp-rollup' AND wait_event_type = 'Lock' \
                 AND query LIKE 'DELETE%'";
    run.until(|| !stage.client.query(waits, &[]).unwrap().is_empty());
    writer.execute(&one("<>"), &[]).unwrap();
    writer.rollback().unwrap();
    let done = run.done();
    done.succeeds();
    assert!(done.stdout.contains("1 × deadlock"), "{done:?}");
    assert_eq!(days(&mut stage.client), before);
}

#[test]
fn who_has_a_day_is_named_while_it_is_waited_for_and_in_the_end() {
    let mut stage = Stage::new();
    // As Koku does it, and as another run does.
    let day = "hashtext('00000000-0000-0000-0000-000000001111'), 20362";
    for lock in ["hashtext('00000000-0000-0000-0000-000000001111')", day] {
        let mut other = client_of(&stage.tenant);
        other.batch_execute("SET application_name = 'koku-worker'").unwrap();
        let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let mut holder = other.transaction().unwrap();
        holder.batch_execute(&format!("SELECT pg_advisory_xact_lock({lock})")).unwrap();
        // Neither of these is for that wait.
        let run =
            stage.run().with("db-lock-timeout", "100ms").with("db-statement-timeout", "500ms");
        let pid = format!("pid {pid}");
        let named = [&pid, "`koku-worker`", "user ocp", "from 127.0.0.1 port", "since 20"];
        let failed = run.clone().with("db-lock-wait", "700ms").done();
        assert!(failed.stderr.contains("waiting for another writer of 2025-10-01"), "{failed:?}");
        failed.fails(4, &named);
        failed.fails(4, &["0.7 s", "2025-10-01", &SOURCE.to_string(), "--db-lock-wait"]);
        assert_eq!(stage.rows("true"), 0);

        let mut waiting = run.start();
        let query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        waiting.until(|| !stage.client.query(query, &[]).unwrap().is_empty());
        holder.commit().unwrap();
        waiting.done().succeeds();
        assert_eq!(stage.rows("true"), 6);
        stage.execute(&format!("TRUNCATE {TABLE}"));
    }
}

#[test]
fn koku_s_writers_wait_for_a_day_and_other_days_and_sources_do_not() {
    let mut stage = Stage::new();
    stage.run().done().succeeds();
    let mut other = client_of(&stage.tenant);
    let mut writer = other.transaction().unwrap();
    writer
        .execute(&format!("UPDATE {TABLE} SET node = node WHERE usage_start = '2025-10-02'"), &[])
        .unwrap();
    let mut held = stage.run().start();
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock'";
    held.until(|| !stage.client.query(waits, &[]).unwrap().is_empty());
    let free = format!("SELECT pg_try_advisory_xact_lock(hashtext('{SOURCE}'))");
    assert!(!stage.client.query_one(&free, &[]).unwrap().get::<_, bool>(0));

    let third = stage.run().with("from", "2025-10-03").with("db-lock-wait", "1ms");
    third.done().succeeds();
    let other_source = stage.run().with("provider-uuid", OTHER).with("report-period-id", 2);
    other_source.with("db-lock-wait", "1ms").done().succeeds();
    assert_eq!(stage.rows("report_period_id = 2"), 6);
    writer.rollback().unwrap();
    held.done().succeeds();
    assert_eq!(stage.rows("report_period_id = 1"), 6);
}

#[test]
fn a_partition_waits_for_readers_without_making_others_wait_for_long() {
    let mut stage = Stage::new();
    let mut other = client_of(&stage.tenant);
    let mut reader = other.transaction().unwrap();
    let count = format!("SELECT count(*) FROM {TABLE}");
    reader.query_one(&count, &[]).unwrap();
    let waits = "SELECT 1 FROM pg_locks WHERE relation IS NOT NULL AND NOT granted";
    let mut held = stage.run().start();
    held.until(|| !stage.client.query(waits, &[]).unwrap().is_empty());
    // This one stands behind the creation, and is let in before the first reader ends.
    let deadlock_free = format!("SET statement_timeout = '20s'; {count}");
    stage.client.batch_execute(&deadlock_free).unwrap();
    let done = stage.run().with("db-lock-wait", "1s").done();
    done.fails(4, &["reporting_ocpusagelineitem_daily_summary_2025_10", "--db-lock-wait"]);
    reader.rollback().unwrap();
    held.done().succeeds();
    assert_eq!(stage.rows("true"), 6);
}

/// Runs of one source at once: in the suite a few, more by `OCP_ROLLUP_TEST_ROUNDS`.
#[test]
fn runs_of_one_source_at_once_leave_one_set_of_rows() {
    let mut stage = Stage::new();
    stage.run().done().succeeds();
    let once = days(&mut stage.client);
    for round in 0..common::rounds(3) {
        let runs: Vec<Running> = (0..2).map(|_| stage.run().start()).collect();
        runs.into_iter().for_each(|run| run.done().succeeds());
        assert_eq!(days(&mut stage.client), once, "round {round}");
    }
}

#[test]
fn sessions_are_as_the_settings_say() {
    let mut stage = Stage::new();
    stage.execute(&format!(
        "CREATE TABLE seen AS SELECT ''::text AS setting LIMIT 0; \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO org1234567.seen SELECT current_setting(s) FROM unnest(ARRAY['application_name', \
         'statement_timeout', 'lock_timeout', 'synchronous_commit']) s; RETURN NULL; END $$; \
         CREATE TRIGGER see BEFORE INSERT ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION see()"
    ));
    let run = stage.run().with("to", "2025-10-01");
    let run = run.with("db-statement-timeout", "2min").environment("PGAPPNAME", "nightly");
    run.with("db-lock-timeout", "1500ms").done().succeeds();
    let seen: Vec<String> = stage
        .client
        .query("SELECT setting FROM seen", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(seen, ["nightly", "2min", "1500ms", "on"]);
}
