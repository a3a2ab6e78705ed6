//! Killed programs, killed servers and cut connections, at every step and at any moment: whatever
//! happens, who looks on sees whole days only, and the same command run again makes the table
//! that an undisturbed run makes. Runs with the feature `failpoints`.
//!
//! Moments by chance are few in the suite; `OCP_ROLLUP_TEST_ROUNDS` says how many else.
#![cfg(feature = "failpoints")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::time::{Duration, Instant};

use common::cut_proxy::CutProxy;
use common::postgres::{Database, Partitions, Server, Tls, client_of, server};
use common::program::{Done, Run};
use common::watcher::{Days, Watcher, days};
use ocp_rollup::generate;
use ocp_rollup::settings::Postgres;
use postgres::Client;
use tempfile::TempDir;
use uuid::Uuid;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
/// Every step of a day.
const POINTS: [&str; 7] = [
    "after_begin",
    "after_lock",
    "after_delete",
    "in_copy",
    "before_ledger",
    "before_commit",
    "after_commit",
];

/// Days of a made-up cluster, and a tenant where they were rolled up from those of another.
struct Stage {
    trees: [TempDir; 2],
    _database: Database,
    tenant: Postgres,
    old: Days,
    new: Days,
    /// Of an undisturbed run.
    time: Duration,
}

impl Stage {
    fn new(server: &Server) -> Self {
        let database = server.database();
        let tenant = database.tenant("org1234567", Partitions::Registry);
        let trees = [1, 2].map(|seed| {
            let folder = tempfile::tempdir().unwrap();
            let plan = generate::Plan::new(folder.path().join("tree"));
            let plan = generate::Plan { seed, days: 4, nodes: 4, namespaces: 8, ..plan };
            let plan = generate::Plan { pods: Some(60), daily: false, files_per_day: 1, ..plan };
            generate::run(&generate::Plan { threads: Some(1), ..plan }).unwrap();
            folder
        });
        let mut stage = Stage {
            trees,
            _database: database,
            tenant,
            old: Days::new(),
            new: Days::new(),
            time: Duration::ZERO,
        };
        stage.of(0).done().succeeds();
        let mut client = client_of(&stage.tenant);
        stage.old = days(&mut client);
        for table in [TABLE, "ocp_rollup_ledger"] {
            let save = format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}");
            client.batch_execute(&save).unwrap();
        }
        let started = Instant::now();
        stage.run().done().succeeds();
        stage.time = started.elapsed();
        stage.new = days(&mut client);
        assert!(
            stage.new.len() == 4 && stage.old.iter().all(|day| stage.new.get(day.0) != Some(day.1))
        );
        stage
    }

    fn of(&self, tree: usize) -> Run {
        let tree = self.trees[tree].path().join("tree");
        Run::new()
            .with("source", tree.display())
            .with("org-id", "org1234567")
            .with("provider-uuid", generate::PROVIDER_UUID)
            .with("from", "2025-10-01")
            .with("to", "2025-10-04")
            .with("lookups", tree.join("lookups").display())
            .with("report-period-id", 1)
            .database(&self.tenant)
            .switch("--incremental")
    }

    fn run(&self) -> Run {
        self.of(1)
    }

    /// A run that stops or dies at a point of its first day.
    fn armed(&self, point: &str, action: &str) -> Run {
        let setting = format!("sink.postgres.{point}={action}");
        self.run().environment("OCP_ROLLUP_FAILPOINT", setting)
    }

    /// Makes the table and the ledger what they were, and looks on from then.
    fn restore(&self) -> Watcher {
        let mut client = client_of(&self.tenant);
        client.batch_execute("SET synchronous_commit = on").unwrap();
        for table in [TABLE, "ocp_rollup_ledger"] {
            let back = format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM saved_{table}");
            client.batch_execute(&back).unwrap();
        }
        assert_eq!(days(&mut client), self.old);
        Watcher::start(&self.tenant, &self.old, &self.new)
    }

    /// The days that are as the run makes them, once no killed run holds anything any more.
    fn done(&self, client: &mut Client) -> Vec<String> {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                      AND application_name = 'ocp-rollup' AND xact_start IS NOT NULL \
                      AND pid <> pg_backend_pid()";
        while !client.query(others, &[]).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let now = days(client);
        now.into_iter().filter(|day| self.new.get(&day.0) == Some(&day.1)).map(|d| d.0).collect()
    }

    /// The rows of a day by their uuids, which another writing changes.
    fn uuids(client: &mut Client, day: &str) -> Vec<Uuid> {
        let query =
            format!("SELECT uuid::text FROM {TABLE} WHERE usage_start::text = $1 ORDER BY 1");
        let rows = client.query(&query, &[&day]).unwrap();
        rows.iter().map(|row| row.get::<_, String>(0).parse().unwrap()).collect()
    }

    /// Runs the same command again: it must do the rest, and no day that was done.
    #[track_caller]
    fn goes_on(&self, context: &str) {
        let mut client = client_of(&self.tenant);
        let done = self.done(&mut client);
        let before: Vec<_> = done.iter().map(|day| Self::uuids(&mut client, day)).collect();
        let again = self.run().done();
        again.succeeds();
        let unchanged = format!("unchanged {} days", done.len());
        assert!(done.is_empty() || again.stdout.contains(&unchanged), "{context}: {again:?}");
        assert_eq!(days(&mut client), self.new, "{context}");
        let after: Vec<_> = done.iter().map(|day| Self::uuids(&mut client, day)).collect();
        assert!(before == after, "{context}: days that were done are done again");
    }
}

/// By chance, from a seed that a failure shows.
fn chance(seed: u64, below: u128) -> u128 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u128::from(z ^ (z >> 31)) % below
}

fn retried(done: &Done) -> bool {
    done.stdout.contains("× lost connection") || done.stdout.contains("before the first day")
}

#[test]
fn a_run_that_dies_at_any_step_is_completed_by_the_next() {
    let stage = Stage::new(server());
    let mut client = client_of(&stage.tenant);
    for point in POINTS {
        let watcher = stage.restore();
        let died = stage.armed(point, "abort").done();
        assert_eq!(died.code, None, "{died:?}");
        // Which day is finished first is the pool's affair, and another connection may commit one in
        // the same moment.
        let whole = stage.done(&mut client);
        assert_eq!(!whole.is_empty(), point == "after_commit", "{point}: {whole:?}");
        assert!(whole.len() < stage.new.len(), "{point}: {whole:?}");
        stage.goes_on(point);
        watcher.saw_only_whole_days();
    }
}

#[test]
fn a_run_killed_at_any_moment_is_completed_by_the_next() {
    let stage = Stage::new(server());
    let (mut killed, mut looks) = (0, 0);
    for round in 0..common::rounds(4) {
        let watcher = stage.restore();
        let run = stage.run().start();
        let moment = chance(round, stage.time.as_micros() * 11 / 10);
        std::thread::sleep(Duration::from_micros(moment as u64));
        run.signal("KILL");
        killed += u32::from(run.done().code.is_none());
        stage.goes_on(&format!("round {round}, killed after {moment} µs"));
        looks += watcher.saw_only_whole_days();
    }
    println!("killed {killed}, {looks} looks");
}

#[test]
fn a_server_that_dies_in_the_middle_is_waited_for() {
    let server = Server::start(Tls::Off);
    let stage = Stage::new(&server);
    for (point, signal) in
        [("in_copy", "KILL"), ("before_commit", "QUIT"), ("after_commit", "KILL")]
    {
        let watcher = stage.restore();
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        let mut run = stage.armed(point, &format!("wait:{}", gate.display())).start();
        run.until(|| folder.path().join("gate.reached").exists());
        server.signal(signal);
        std::fs::write(&gate, "").unwrap();
        let done = run.done();
        done.succeeds();
        assert!(retried(&done), "{point}: {done:?}");
        let mut client = client_of(&stage.tenant);
        assert_eq!(days(&mut client), stage.new, "{point}, {signal}");
        watcher.saw_only_whole_days();
    }
    let (mut retries, mut looks) = (0, 0);
    for round in 0..common::rounds(1) {
        let watcher = stage.restore();
        let run = stage.run().start();
        let moment = chance(round, stage.time.as_micros());
        std::thread::sleep(Duration::from_micros(moment as u64));
        server.signal(if round % 2 == 0 { "KILL" } else { "QUIT" });
        let done = run.done();
        // One that was away before it was reached at all is not waited for.
        if done.code != Some(0) {
            assert_eq!(done.code, Some(4), "{done:?}");
        }
        retries += u32::from(retried(&done));
        server.wait_until_ready();
        stage.goes_on(&format!("round {round}, server killed after {moment} µs"));
        looks += watcher.saw_only_whole_days();
    }
    println!("{retries} runs waited for the server, {looks} looks");
}

#[test]
fn a_connection_cut_anywhere_is_made_again() {
    let stage = Stage::new(server());
    let through = |proxy: &CutProxy| stage.run().with("db-port", proxy.port);
    let open = CutProxy::start(stage.tenant.port, Vec::new());
    let watcher = stage.restore();
    through(&open).done().succeeds();
    watcher.saw_only_whole_days();
    let all = u128::from(open.sent());
    let (mut retries, mut cuts, mut looks) = (0, 0, 0);
    for round in 0..common::rounds(4) {
        let watcher = stage.restore();
        // The first connection, and the second that stands in for it.
        let limits = [2 * round, 2 * round + 1].map(|seed| 1 + chance(seed, all) as u64);
        let proxy = CutProxy::start(stage.tenant.port, limits.to_vec());
        let done = through(&proxy).done();
        // Before the first day too.
        done.succeeds();
        retries += u32::from(retried(&done));
        cuts += proxy.cut();
        stage.goes_on(&format!("round {round}, cut after {limits:?} bytes"));
        looks += watcher.saw_only_whole_days();
    }
    println!("{cuts} cuts, {retries} runs went on by themselves, {looks} looks");
}
