//! What others see of a run that is held, killed or interrupted at any point of a day, through the
//! program itself. Runs with the feature `failpoints`.
#![cfg(feature = "failpoints")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use common::held::Held;
use common::line_items::pod;
use common::postgres::{Partitions, client_of, database};
use common::program::{Run, Running, Scene};
use common::tree::Table;
use ocp_rollup::settings::Postgres;
use postgres::Client;

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";
/// Points of a day before its commit.
const BEFORE: [&str; 6] =
    ["after_begin", "after_lock", "after_delete", "in_copy", "before_ledger", "before_commit"];

/// Three days of usage, and a tenant where they have been rolled up from other usage.
struct Stage {
    before: Scene,
    scene: Scene,
    tenant: Postgres,
    client: Client,
    /// The table as it was, and as an undisturbed run makes it.
    old: Vec<String>,
    new: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let tenant = database().tenant("org1234567", Partitions::Registry);
        let mut client = client_of(&tenant);
        let [before, scene] = [1800.0, 3600.0].map(|seconds| {
            let scene = Scene::new();
            let day = |day: u32| {
                let row = pod().at(&format!("2025-10-{day:02} 00:00"));
                row.with("pod_usage_cpu_core_seconds", seconds)
            };
            scene.tree.add(&Table::pods((1..=3).map(day)));
            scene
        });
        let roll_up = |scene: &Scene| days(scene.run_into(&tenant)).done().succeeds();
        roll_up(&scene);
        let new = rows(&mut client);
        roll_up(&before);
        let old = rows(&mut client);
        assert_ne!(old, new);
        Stage { before, scene, tenant, client, old, new }
    }

    fn run(&self) -> Run {
        days(self.scene.run_into(&self.tenant))
    }

    /// Makes the table what it was.
    fn restore(&mut self) {
        days(self.before.run_into(&self.tenant)).done().succeeds();
        assert_eq!(self.rows(), self.old);
    }

    fn rows(&mut self) -> Vec<String> {
        rows(&mut self.client)
    }

    /// Waits until no connection but this holds anything.
    fn alone(&mut self) {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                      AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while !self.client.query(others, &[]).unwrap().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// The rows of the first `days` days after the run, and the old ones of the others.
    fn mixed(&self, days: usize) -> Vec<String> {
        let of = |rows: &[String], skip: usize, take: usize| -> Vec<String> {
            // Two rows a day: the pod, and what is left of its node.
            rows.iter().skip(2 * skip).take(2 * take).cloned().collect()
        };
        [of(&self.new, 0, days), of(&self.old, days, 3)].concat()
    }
}

fn days(run: Run) -> Run {
    run.with("to", "2025-10-03")
}

/// Every row but for its uuid, by day.
fn rows(client: &mut Client) -> Vec<String> {
    let query =
        format!("SELECT (to_jsonb(t) - 'uuid')::text FROM {TABLE} t ORDER BY usage_start, 1");
    client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn others_see_the_old_rows_until_the_new_ones_are_there() {
    let mut stage = Stage::new();
    for point in BEFORE {
        let held = Held::at(point, &stage.run());
        assert_eq!(stage.rows(), stage.old, "held {point}");
        held.let_go();
        held.done().succeeds();
        assert_eq!(stage.rows(), stage.new, "let go {point}");
        stage.restore();
    }
}

#[test]
fn a_killed_run_leaves_whole_days_and_the_next_run_makes_it_right() {
    let mut stage = Stage::new();
    for point in BEFORE.into_iter().chain(["after_commit"]) {
        let held = Held::at(point, &stage.run());
        held.run.signal("KILL");
        let done = held.done();
        assert_eq!(done.code, None, "{done:?}");
        stage.alone();
        let left = if point == "after_commit" { stage.mixed(1) } else { stage.old.clone() };
        assert_eq!(stage.rows(), left, "killed {point}");
        stage.run().done().succeeds();
        assert_eq!(stage.rows(), stage.new, "after the next run, killed {point}");
        stage.restore();
    }
}

#[test]
fn an_interrupted_day_is_rolled_back_and_those_before_it_stay() {
    let mut stage = Stage::new();
    for point in BEFORE.into_iter().chain(["after_commit"]) {
        let held = Held::at(point, &stage.run());
        held.run.signal("TERM");
        held.let_go();
        held.done().fails(6, &["interrupted", "run the same range again"]);
        let left = if point == "after_commit" { stage.mixed(1) } else { stage.old.clone() };
        assert_eq!(stage.rows(), left, "interrupted {point}");
        stage.restore();
    }
}

#[test]
fn of_two_runs_of_one_source_the_second_waits_for_the_first() {
    let mut stage = Stage::new();
    for point in ["after_delete", "before_commit"] {
        let first = Held::at(point, &stage.run());
        let mut second = stage.run().start();
        let query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        second.until(|| !stage.client.query(query, &[]).unwrap().is_empty());
        assert_eq!(stage.rows(), stage.old);
        first.let_go();
        first.done().succeeds();
        second.done().succeeds();
        assert_eq!(stage.rows(), stage.new, "{point}");
        stage.restore();
    }
}

#[test]
fn runs_that_race_for_a_tenant_without_partitions_leave_one_set_of_rows() {
    for partitions in [Partitions::Plain, Partitions::Registry] {
        let tenant = database().tenant("org1234567", partitions);
        let stage = Stage::new();
        let run = days(stage.scene.run_into(&tenant));
        let racing: Vec<Running> = (0..4).map(|_| run.start()).collect();
        racing.into_iter().for_each(|run| run.done().succeeds());
        assert_eq!(rows(&mut client_of(&tenant)), stage.new);
    }
}
