//! The database before the first day: lookups, report periods, the ledger and the look at the table are
//! done again where the connection is lost, as the days themselves are.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::cut_proxy::CutProxy;
use common::postgres::{Database, Partitions, client_of, database};
use common::program::{Run, Scene};
use common::tree::Table;
use common::watcher::{Days, days};
use ocp_rollup::settings::Postgres;

/// Two days of input, and what an undisturbed run makes of them.
struct Stage {
    scene: Scene,
    _database: Database,
    tenant: Postgres,
    expected: Days,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        scene.tree.add(&Table::pods_of_days(1..=2));
        let database = database();
        let tenant = database.tenant("org1234567", Partitions::Plain);
        let mut client = client_of(&tenant);
        client
            .batch_execute("INSERT INTO reporting_enabledtagkeys VALUES (gen_random_uuid(), 'app', true, 'OCP')")
            .unwrap();
        let stage = Stage { scene, _database: database, tenant, expected: Days::new() };
        stage.run(stage.tenant.port).done().succeeds();
        Stage { expected: days(&mut client), ..stage }
    }

    /// Through whatever listens at `port`. All that comes before the first day is asked of the database.
    fn run(&self, port: u16) -> Run {
        let tenant = Postgres { port, ..self.tenant.clone() };
        self.scene
            .run_into(&tenant)
            .with("to", "2025-10-02")
            .with("lookups", "postgres")
            .switch("--incremental")
    }

    /// Has every day be done again by the next run.
    fn forget(&self) {
        client_of(&self.tenant).batch_execute("DELETE FROM ocp_rollup_ledger").unwrap();
    }
}

#[test]
fn a_connection_lost_at_any_step_is_made_again() {
    let stage = Stage::new();
    // Nothing is to be done: what is sent comes before the first day.
    let whole = CutProxy::start(stage.tenant.port, Vec::new());
    stage.run(whole.port).done().succeeds();
    let before = whole.sent();
    assert!(before > 1000, "{before} bytes");
    let steps = 12;
    // The last of them falls into the look at the table, which a run with something to do takes.
    let cuts = (0..steps).map(|step| 1 + step * before / steps).chain([before + 50]);
    for cut in cuts {
        stage.forget();
        let proxy = CutProxy::start(stage.tenant.port, vec![cut]);
        let metrics = stage.scene.output().join("m.prom");
        let done = stage.run(proxy.port).with("metrics-file", metrics.display()).done();
        done.succeeds();
        assert_eq!(proxy.cut(), 1, "after {cut} bytes");
        done.warns(&["preparing again, before the first day"]);
        assert!(done.stdout.contains("redone    1 × steps before the first day"), "{done:#?}");
        let metrics = std::fs::read_to_string(metrics).unwrap();
        let counted =
            metrics.lines().find(|l| l.starts_with("ocp_rollup_redone_preparations_total{"));
        assert!(counted.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
        assert_eq!(days(&mut client_of(&stage.tenant)), stage.expected, "after {cut} bytes");
    }
}

#[test]
fn a_server_that_never_comes_back_ends_the_run() {
    let stage = Stage::new();
    stage.forget();
    let proxy = CutProxy::start(stage.tenant.port, vec![600; 1000]);
    let run = stage.run(proxy.port);
    let done = run.clone().with("db-retry-for", "1s").done();
    done.fails(
        4,
        &["gave up after", "before the first day", "--db-retry-for", "lost the connection"],
    );
    assert!(proxy.cut() > 2, "{} tries", proxy.cut());

    let tries = proxy.cut();
    let done = run.with("db-retry-for", "off").done();
    done.fails(4, &["lost the connection"]);
    assert_eq!(proxy.cut(), tries + 1);
    assert_eq!(days(&mut client_of(&stage.tenant)), stage.expected);
}

#[test]
fn a_server_that_never_answered_is_not_waited_for() {
    let stage = Stage::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let done = stage.run(port).done();
    done.fails(4, &["cannot reach PostgreSQL", "DATABASE_SERVICE_HOST"]);
    assert!(!done.stderr.contains("preparing again"), "{done:#?}");
}
