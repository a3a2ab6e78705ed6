//! The roles and grants of docs/operations.md, as they stand there, in a real server: what they are said
//! to allow works, and each that is missing is named.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::postgres::{Database, Partitions, client_of, database};
use common::program::{Done, Run, Scene};
use common::tree::Table;
use ocp_rollup::settings::{Postgres, Secret};

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

const GRANTS: &str = "Roles and grants in PostgreSQL";

/// A block of SQL below a heading of the documentation.
fn documented(heading: &str, block: usize) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let block = section.split("```sql\n").nth(block + 1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A tenant whose database nobody may use but its owner, and a user to whom things are granted.
struct Stage {
    scene: Scene,
    database: Database,
    owner: Postgres,
    user: Postgres,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        scene.tree.add(&Table::pods_of_days(1..=2));
        let database = database();
        let owner = database.tenant("org1234567", Partitions::Registry);
        let name = format!("rollup_{}", owner.database);
        let password = "a-made-up-one".to_owned();
        let user = Postgres { user: name, password: Some(Secret(password)), ..owner.clone() };
        let stage = Stage { scene, database, owner, user };
        stage.sql(&format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; \
             CREATE ROLE {user} LOGIN PASSWORD 'a-made-up-one'; \
             SET search_path = org1234567; \
             INSERT INTO partitioned_tables (schema_name, table_name, partition_of_table_name, partition_type, \
                partition_col, partition_parameters, active) \
             VALUES ('org1234567', '{TABLE}_2025_10', '{TABLE}', 'range', 'usage_start', \
                '{{\"default\": false, \"from\": \"2025-10-01\", \"to\": \"2025-11-01\"}}', true)",
            database = stage.owner.database,
            user = stage.user.user,
        ));
        stage
    }

    /// As the owner.
    fn sql(&self, sql: &str) {
        self.database.client().batch_execute(sql).unwrap();
    }

    /// As it stands in the documentation, for this database and user.
    fn documented(&self, sql: &str) {
        let sql = sql
            .replace("DATABASE koku", &format!("DATABASE {}", self.owner.database))
            .replace("TO rollup", &format!("TO {}", self.user.user))
            .replace("ALTER ROLE rollup", &format!("ALTER ROLE {}", self.user.user))
            .replace("GRANT koku", &format!("GRANT owner_{}", self.owner.database))
            .replace("OWNER TO koku", &format!("OWNER TO owner_{}", self.owner.database))
            .replace("role = koku", &format!("role = owner_{}", self.owner.database));
        let is_here = |line: &&str| !line.starts_with("CREATE ROLE");
        self.sql(&sql.lines().filter(is_here).collect::<Vec<_>>().join("\n"));
    }

    fn run(&self) -> Run {
        self.scene.run_into(&self.user).with("to", "2025-10-02").with("lookups", "postgres")
    }

    fn rows(&self) -> i64 {
        let count = format!("SELECT count(*) FROM {TABLE}");
        client_of(&self.owner).query_one(&count, &[]).unwrap().get(0)
    }

    fn ledger_rows(&self) -> i64 {
        let count = "SELECT count(*) FROM ocp_rollup_ledger";
        client_of(&self.owner).query_one(count, &[]).unwrap().get(0)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let user = &self.user.user;
        self.sql(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
    }
}

/// What the day's rows should be: two days of one pod and its node.
const ROWS: i64 = 4;

#[test]
fn the_documented_grants_do_for_every_way_of_running() {
    let stage = Stage::new();
    stage.documented(&documented(GRANTS, 0));
    let run = stage.run();
    run.done().succeeds();
    assert_eq!((stage.rows(), stage.ledger_rows()), (ROWS, 2));
    let unchanged = run.clone().switch("--incremental").done();
    assert!(unchanged.stdout.contains("unchanged 2 days"), "{unchanged:#?}");
    let status = run.clone().subcommand("status").done();
    assert!(status.stdout.contains("2 days: 2 done"), "{status:#?}");
    run.clone().with("ledger", "off").done().succeeds();
    assert_eq!((stage.rows(), stage.ledger_rows()), (ROWS, 0));
    run.clone().with("connections", 4).done().succeeds();
    // Only an owner can put a table in the place of a partition.
    let bulk = run.with("bulk", "on").done();
    bulk.succeeds();
    assert!(bulk.stdout.contains("2025-10 day by day"), "{bulk:#?}");
    assert_eq!((stage.rows(), stage.ledger_rows()), (ROWS, 2));
}

#[test]
fn a_ledger_that_the_owner_made_as_documented_does_without_create() {
    let stage = Stage::new();
    stage.documented(&documented(GRANTS, 0).replace("USAGE, CREATE", "USAGE"));
    let run = stage.run();
    run.done().fails(4, &["ocp_rollup_ledger", "grant CREATE on the schema", "--ledger off"]);
    run.clone().with("ledger", "off").done().succeeds();
    stage.documented(&documented("The ledger", 0));
    run.done().succeeds();
    assert_eq!((stage.rows(), stage.ledger_rows()), (ROWS, 2));
}

#[test]
fn who_may_only_read_can_ask_what_is_done() {
    let stage = Stage::new();
    stage.documented(&documented(GRANTS, 0));
    let run = stage.run();
    run.done().succeeds();
    let user = &stage.user.user;
    stage.sql(&format!(
        "REVOKE INSERT, DELETE ON org1234567.{TABLE} FROM {user}; \
         REVOKE CREATE ON SCHEMA org1234567 FROM {user}; \
         ALTER TABLE org1234567.ocp_rollup_ledger OWNER TO CURRENT_USER; \
         GRANT SELECT ON org1234567.ocp_rollup_ledger TO {user}"
    ));
    let status = run.clone().subcommand("status");
    let asked = status.done();
    asked.succeeds();
    assert!(asked.stdout.contains("2 days: 2 done"), "{asked:#?}");
    run.done().fails(4, &["lacks INSERT", "ocp_rollup_ledger"]);
    stage.sql(&format!("REVOKE SELECT ON org1234567.ocp_rollup_ledger FROM {user}"));
    status.done().fails(4, &["lacks SELECT", "ocp_rollup_ledger"]);
}

#[test]
fn each_grant_that_is_missing_is_named() {
    let stage = Stage::new();
    stage.documented(&documented(GRANTS, 0));
    let run = stage.run();
    run.done().succeeds();
    let user = &stage.user.user;
    let missing = |grant: &str, parts: &[&str]| {
        stage.sql(&format!("REVOKE {grant} FROM {user}"));
        let done: Done = run.done();
        done.fails(4, parts);
        stage.sql(&format!("GRANT {grant} TO {user}"));
    };
    for privilege in ["SELECT", "INSERT", "DELETE"] {
        missing(&format!("{privilege} ON org1234567.{TABLE}"), &[privilege, TABLE]);
    }
    for table in [
        "reporting_enabledtagkeys",
        "reporting_ocp_cost_category_namespace",
        "reporting_ocp_nodes",
        "reporting_ocpusagereportperiod",
    ] {
        missing(&format!("SELECT ON org1234567.{table}"), &["lacks a privilege", table]);
    }
    missing("USAGE ON SCHEMA org1234567", &["lacks a privilege"]);
    missing(
        &format!("CONNECT ON DATABASE {}", stage.owner.database),
        &["cannot connect to PostgreSQL", "permission denied for database"],
    );
}

#[test]
fn who_works_as_the_owner_makes_months_and_loads_them_in_bulk() {
    let stage = Stage::new();
    let (owner, user) = (format!("owner_{}", stage.owner.database), &stage.user.user);
    stage.sql(&format!(
        "SET search_path = org1234567; DELETE FROM partitioned_tables; CREATE ROLE {owner}; \
         GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {owner}; ALTER SCHEMA org1234567 OWNER TO {owner}; \
         DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid::regclass FROM pg_class \
         WHERE relnamespace = 'org1234567'::regnamespace AND relkind IN ('r', 'p') \
         LOOP EXECUTE format('ALTER TABLE %s OWNER TO {owner}', t); END LOOP; END $$",
        database = stage.owner.database,
    ));
    stage.documented(&documented(GRANTS, 0));
    let run = stage.run();
    run.done().fails(4, &[&format!("{TABLE}_2025_10"), "privilege"]);
    assert_eq!(stage.rows(), 0);
    stage.documented(&documented(GRANTS, 1));
    run.done().succeeds();
    assert_eq!(stage.rows(), ROWS);
    let bulk = run.with("bulk", "on").done();
    bulk.succeeds();
    assert!(bulk.stdout.contains("2025-10 in bulk"), "{bulk:#?}");
    assert_eq!((stage.rows(), stage.ledger_rows()), (ROWS, 2));
    // So that Koku's retention can drop what it finds.
    let others = "SELECT count(*) FROM pg_class WHERE relnamespace = 'org1234567'::regnamespace \
                  AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> $1";
    let others: i64 = client_of(&stage.owner).query_one(others, &[&owner]).unwrap().get(0);
    assert_eq!(others, 0);
    stage.sql(&format!(
        "REVOKE {owner} FROM {user}; DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}"
    ));
}
