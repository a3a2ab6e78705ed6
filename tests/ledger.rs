//! What is recorded of each day, which days a later run leaves out, and what `status` says.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::line_items::{Row, pod};
use common::postgres::{Database, Partitions, client_of, database};
use common::program::{Done, Run, Running, Scene};
use common::rows::SOURCE;
use common::s3::{ACCESS, BUCKET, S3Server, SECRET};
use common::tree::Table;
use ocp_rollup::settings::{Postgres, Secret};
use parquet::file::properties::EnabledStatistics;
use postgres::Client;
use serde_json::{Value, json};

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
/// No day.
const NONE: [u32; 0] = [];

/// Three days of usage, a file each, and a tenant for them.
struct Stage {
    scene: Scene,
    database: Database,
    tenant: Postgres,
    client: Client,
    files: Vec<PathBuf>,
}

fn usage(day: u32) -> Row {
    pod().at(&format!("2025-10-{day:02} 00:00"))
}

impl Stage {
    fn new() -> Self {
        let database = database();
        let tenant = database.tenant("org1234567", Partitions::Plain);
        let client = client_of(&tenant);
        let scene = Scene::new();
        let files = (1..=3).map(|day| scene.tree.add(&Table::pods([usage(day)]))).collect();
        Stage { scene, database, tenant, client, files }
    }

    fn run(&self) -> Run {
        self.scene.run_into(&self.tenant).with("to", "2025-10-03")
    }

    fn incremental(&self) -> Run {
        self.run().switch("--incremental")
    }

    /// The uuids of each day's rows: a day that is done again has others.
    fn uuids(&mut self) -> BTreeMap<String, String> {
        let query = format!(
            "SELECT usage_start::text, string_agg(uuid::text, ' ' ORDER BY uuid) \
             FROM {TABLE} GROUP BY 1"
        );
        self.client.query(&query, &[]).unwrap().iter().map(|r| (r.get(0), r.get(1))).collect()
    }

    /// The days of October that `run` does again, although it need not succeed for the test.
    #[track_caller]
    fn redone_by(&mut self, run: &Run) -> Vec<u32> {
        let before = self.uuids();
        run.done().succeeds();
        let after = self.uuids();
        (1..=3)
            .filter(|day| {
                let day = format!("2025-10-{day:02}");
                before.get(&day) != after.get(&day)
            })
            .collect()
    }

    #[track_caller]
    fn redone(&mut self) -> Vec<u32> {
        let run = self.incremental();
        self.redone_by(&run)
    }

    fn execute(&mut self, sql: &str) {
        self.client.batch_execute(sql).unwrap();
    }

    /// Each day's word and what has changed since.
    fn status(&self) -> Vec<(String, Vec<String>)> {
        let done = self.run().subcommand("status").switch("--json").done();
        done.succeeds();
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let days = report["days"].as_array().unwrap();
        days.iter()
            .map(|day| {
                let changed = day["changed"].as_array().unwrap().iter().map(text).collect();
                (text(&day["state"]), changed)
            })
            .collect()
    }

    /// How often a table of that name is in the tenant's schema.
    fn ledgers(&mut self) -> i64 {
        let query = "SELECT count(*) FROM pg_tables \
                     WHERE schemaname = 'org1234567' AND tablename = 'ocp_rollup_ledger'";
        self.client.query_one(query, &[]).unwrap().get(0)
    }
}

/// Writes a file anew with the same bytes, as another upload would.
fn touch(file: &Path) {
    let later = std::fs::metadata(file).unwrap().modified().unwrap() + Duration::from_secs(1);
    File::options().append(true).open(file).unwrap().set_modified(later).unwrap();
}

fn words(words: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    words.iter().map(|(word, changed)| ((*word).to_owned(), own(changed))).collect()
}

#[test]
fn only_days_whose_objects_changed_are_done_again() {
    let mut stage = Stage::new();
    stage.incremental().done().succeeds();
    let unchanged = stage.incremental().done();
    unchanged.succeeds();
    assert!(unchanged.stdout.contains("unchanged 3 days"), "{unchanged:?}");
    assert!(!unchanged.stdout.contains("row groups"), "{unchanged:?}");

    assert_eq!(stage.redone(), NONE);
    touch(&stage.files[1].clone());
    assert_eq!(stage.status()[1], words(&[("stale", &["objects"])])[0]);
    assert_eq!(stage.redone(), [2]);
    assert_eq!(stage.redone(), NONE);
    // One more file, and one that is gone with all that its day had.
    stage.scene.tree.add(&Table::pods([usage(1).with("namespace", "late")]));
    std::fs::remove_file(&stage.files[2]).unwrap();
    assert_eq!(stage.redone(), [1, 3]);
    assert_eq!(stage.uuids().len(), 2, "the third day has no rows any more");
    assert_eq!(stage.redone(), NONE);
    // Without the flag every day is done.
    let plain = stage.run();
    assert_eq!(stage.redone_by(&plain), [1, 2]);
    assert_eq!(stage.redone(), NONE);
}

#[test]
fn a_file_that_does_not_say_which_days_it_holds_counts_for_all() {
    let mut stage = Stage::new();
    let table = Table::pods([usage(2).with("namespace", "late")]);
    let unsaid = table.written(|p| p.set_statistics_enabled(EnabledStatistics::None));
    let file = stage.scene.tree.add(&unsaid);
    stage.incremental().done().succeeds();
    assert_eq!(stage.redone(), NONE);
    touch(&file);
    assert_eq!(stage.redone(), [1, 2, 3]);
    // Its rows of days that are left out are not counted for those that are not.
    touch(&stage.files[0].clone());
    let before = common::watcher::days(&mut stage.client);
    assert_eq!(stage.redone(), [1]);
    assert_eq!(common::watcher::days(&mut stage.client), before);
}

#[test]
fn objects_of_a_store_are_told_apart_by_their_tags() {
    let mut stage = Stage::new();
    let server = S3Server::plain();
    let key = |file: &Path| {
        file.strip_prefix(stage.scene.tree.path()).unwrap().to_str().unwrap().to_owned()
    };
    let keys: Vec<String> = stage.files.iter().map(|file| key(file)).collect();
    for (key, file) in keys.iter().zip(&stage.files) {
        server.put(key, std::fs::read(file).unwrap(), &[]);
    }
    let run = stage
        .incremental()
        .with("source", format!("s3://{BUCKET}"))
        .environment("S3_ENDPOINT", server.url())
        .environment("S3_ACCESS_KEY", ACCESS)
        .environment("S3_SECRET", SECRET);
    assert_eq!(stage.redone_by(&run), [1, 2, 3]);
    server.put(&keys[0], std::fs::read(&stage.files[0]).unwrap(), &[]);
    assert_eq!(stage.redone_by(&run), NONE, "the same bytes once more");
    let other = Table::pods([usage(2).with("namespace", "other")]).bytes();
    server.put(&keys[1], other, &[]);
    assert_eq!(stage.redone_by(&run), [2]);
    // An upload that holds more of the third day leaves the one before out.
    let upload = |manifest, hours| {
        [("manifestid", manifest), ("reportdatestart", "2025-10-03"), ("reportnumhours", hours)]
    };
    let bytes = || std::fs::read(&stage.files[2]).unwrap();
    server.put(&keys[2], bytes(), &upload("1", "20"));
    server.put(&keys[2].replace(".parquet", "-later.parquet"), bytes(), &upload("2", "24"));
    assert_eq!(stage.redone_by(&run), [3]);
    server.remove(&keys[2]);
    assert_eq!(stage.redone_by(&run), NONE, "what did not count is gone");
    assert_eq!(stage.uuids().len(), 3);
}

#[test]
fn other_lookups_rules_or_names_make_other_rows() {
    let mut stage = Stage::new();
    stage.incremental().done().succeeds();
    stage.scene.lookup("nodes.csv", "node,resource_id,node_role\nnode-1,i-1,infra\n");
    let lookups: &[&str] = &["lookups"];
    assert_eq!(stage.status(), words(&[("stale", lookups); 3]));
    assert_eq!(stage.redone(), [1, 2, 3]);
    assert_eq!(stage.redone(), NONE);
    for (flag, value) in [
        ("fan-out", "collapse"),
        ("null-rules", "trino"),
        ("cluster-alias", "another"),
        ("cluster-id", "another"),
        ("report-period-id", "2"),
    ] {
        let other = stage.incremental().with(flag, value);
        assert_eq!(stage.redone_by(&other), [1, 2, 3], "{flag}");
        assert_eq!(stage.redone_by(&other), NONE, "{flag}");
        // What stands there now was made by other rules than these.
        stage.execute(&format!("DELETE FROM {TABLE} WHERE report_period_id = 2"));
        assert_eq!(stage.redone(), [1, 2, 3], "back from {flag}");
    }
    for (flag, value) in [("threads", "1"), ("chunk-rows", "7"), ("memory-limit", "1GiB")] {
        let same = stage.incremental().with(flag, value);
        assert_eq!(stage.redone_by(&same), NONE, "{flag}");
    }
}

#[test]
fn rows_that_are_gone_are_written_again() {
    let mut stage = Stage::new();
    stage.incremental().done().succeeds();
    stage.execute(&format!("DELETE FROM {TABLE} WHERE usage_start = '2025-10-02'"));
    let gone: &[&str] = &["rows_gone"];
    assert_eq!(stage.status(), words(&[("done", &[]), ("stale", gone), ("done", &[])]));
    assert_eq!(stage.redone(), [2]);
    stage.execute("DELETE FROM ocp_rollup_ledger WHERE usage_day = '2025-10-03'");
    assert_eq!(stage.redone(), [3]);
    stage.execute("UPDATE ocp_rollup_ledger SET program = '0.0.1' WHERE usage_day = '2025-10-01'");
    assert_eq!(stage.redone(), [1]);
}

#[test]
fn what_is_recorded_is_what_was_written() {
    let mut stage = Stage::new();
    stage.scene.tree.add(&Table::storage([common::line_items::storage()]));
    stage.run().done().succeeds();
    let query = format!(
        "SELECT l.usage_day::text || ' ' || l.pod_rows || ' ' || l.storage_rows || ' ' || \
                l.unallocated_rows || ' ' || l.report_period_id || ' ' || l.object_count, \
         l.usage_day::text || ' ' || \
         count(*) FILTER (WHERE data_source = 'Pod' AND namespace NOT LIKE '%unallocated') || ' ' || \
         count(*) FILTER (WHERE data_source = 'Storage') || ' ' || \
         count(*) FILTER (WHERE namespace LIKE '%unallocated') || ' 1 ' || \
         CASE WHEN l.usage_day = '2025-10-01' THEN 2 ELSE 1 END, \
         l.written_at <= now() AND l.written_at > now() - interval '5 minutes' \
         FROM ocp_rollup_ledger l JOIN {TABLE} s \
         ON s.usage_start = l.usage_day AND s.source_uuid = l.source_uuid \
         GROUP BY l.source_uuid, l.usage_day ORDER BY 1"
    );
    let rows = stage.client.query(&query, &[]).unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(row.get::<_, String>(0), row.get::<_, String>(1));
        assert!(row.get::<_, bool>(2), "{row:?}");
    }
}

#[test]
fn without_a_ledger_none_is_made_and_none_goes_stale() {
    let mut stage = Stage::new();
    let without = stage.run().with("ledger", "off");
    without.done().succeeds();
    assert_eq!(stage.ledgers(), 0);
    stage.incremental().done().succeeds();
    assert_eq!(stage.ledgers(), 1);
    assert_eq!(stage.redone(), NONE);
    // What these rules write is not what the ledger says.
    without.with("to", "2025-10-02").with("fan-out", "collapse").done().succeeds();
    assert_eq!(stage.status(), words(&[("missing", &[]), ("missing", &[]), ("done", &[])]));
    assert_eq!(stage.redone(), [1, 2]);
}

#[test]
fn a_user_who_may_not_make_the_ledger_is_told_what_to_do() {
    let mut stage = Stage::new();
    let user = format!("weak_{}", stage.tenant.database);
    stage.execute(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'weak'; GRANT USAGE ON SCHEMA org1234567 TO {user}; \
         GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA org1234567 TO {user}; \
         CREATE TABLE {TABLE}_2025_10 PARTITION OF {TABLE} \
         FOR VALUES FROM ('2025-10-01') TO ('2025-11-01')"
    ));
    let weak = Postgres {
        user: user.clone(),
        password: Some(Secret("weak".to_owned())),
        ..stage.tenant.clone()
    };
    let run = stage.scene.run_into(&weak).with("to", "2025-10-03");
    run.done().fails(4, &["ocp_rollup_ledger", "CREATE", "--ledger off"]);
    assert!(stage.uuids().is_empty());
    run.clone().with("ledger", "off").done().succeeds();
    assert_eq!(stage.uuids().len(), 3);

    stage.incremental().done().succeeds();
    stage.execute(&format!("GRANT SELECT, INSERT, DELETE ON ocp_rollup_ledger TO {user}"));
    run.done().fails(4, &["lacks UPDATE", "ocp_rollup_ledger", "--ledger off"]);
    run.clone().with("ledger", "off").done().warns(&["ledger", "lacks UPDATE"]);
    stage.execute(&format!("GRANT UPDATE ON ocp_rollup_ledger TO {user}"));
    assert_eq!(stage.redone_by(&run.switch("--incremental")), NONE);
    stage.execute(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}

#[test]
fn a_table_of_that_name_that_is_another_s_is_refused() {
    let mut stage = Stage::new();
    stage.execute("CREATE TABLE ocp_rollup_ledger (id int)");
    stage.run().done().fails(4, &["ocp_rollup_ledger", "drop it"]);
    assert!(stage.uuids().is_empty());
}

#[test]
fn runs_that_start_at_once_make_one_ledger() {
    let mut stage = Stage::new();
    let racing: Vec<Running> = (0..4).map(|_| stage.incremental().start()).collect();
    racing.into_iter().for_each(|run| run.done().succeeds());
    assert_eq!(stage.ledgers(), 1);
    assert_eq!(stage.uuids().len(), 3);
    assert_eq!(stage.redone(), NONE);
}

#[test]
fn the_status_of_every_day() {
    let stage = Stage::new();
    // The fourth is asked for and has no input; the month after has none at all.
    let asked = || {
        let run = stage.scene.run_into(&stage.tenant).without("report-period-id");
        run.with("from", "2025-10-03").with("to", "2025-11-01").subcommand("status")
    };
    let missing = asked().done();
    missing.succeeds();
    assert!(
        missing.stdout.contains("30 days: 0 done, 0 stale, 1 missing, 29 empty"),
        "{missing:?}"
    );
    stage.run().done().succeeds();
    let done = stage.run().subcommand("status").done();
    done.succeeds();
    let line = done.stdout.lines().find(|line| line.contains("2025-10-02")).unwrap();
    for part in ["done", "1 pod", "1 unallocated", "1 objects", "UTC"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(done.stdout.contains(&SOURCE.to_string()), "{done:?}");
    assert!(done.stdout.ends_with("3 days: 3 done, 0 stale, 0 missing, 0 empty\n"), "{done:?}");

    let json = stage.run().subcommand("status").switch("--json").done();
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["total"], json!({"done": 3, "stale": 0, "missing": 0, "empty": 0}));
    let day = &report["days"][0];
    assert_eq!((&day["date"], &day["state"]), (&json!("2025-10-01"), &json!("done")));
    assert_eq!(day["written"]["pod_rows"], 1);
    // Input that vanished as a whole is not mistaken for a day that is done.
    stage.files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    let gone: &[&str] = &["no_input"];
    assert_eq!(stage.status(), words(&[("stale", gone); 3]));
    let file: Done = stage.run().with("sink", "csv:x.csv").subcommand("status").done();
    file.fails(2, &["sink `postgres`"]);
}

#[test]
fn two_tenants_of_one_database_have_a_ledger_each() {
    let mut stage = Stage::new();
    stage.incremental().done().succeeds();
    let other = stage.database.tenant("org7", Partitions::Plain);
    let run = stage.scene.run_into(&other).with("to", "2025-10-03").switch("--incremental");
    run.done().succeeds();
    let query = format!("SELECT count(*) FROM {TABLE}");
    assert_eq!(client_of(&other).query_one(&query, &[]).unwrap().get::<_, i64>(0), 6);
    assert_eq!(stage.redone(), NONE);
}
