//! Runs shared by several hosts: their parts put together are the whole.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::golden::{Scenario, report, scenarios, succeed};
use common::line_items::pod;
use common::postgres::{Partitions, client_of, database};
use common::program::Scene;
use common::tree::Table;
use ocp_rollup::generate;
use ocp_rollup::settings::Postgres;
use rayon::prelude::*;

/// Lines of a CSV file by source and day, in their order; and its head.
fn days(csv: &[u8]) -> (String, BTreeMap<(String, String), Vec<String>>) {
    let text = std::str::from_utf8(csv).unwrap();
    let head = text.lines().next().unwrap().to_owned();
    let at = |name| head.split(',').position(|column| column == name).unwrap();
    let (source, day) = (at("source_uuid"), at("usage_start"));
    let mut days: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut records = csv::Reader::from_reader(csv);
    for record in records.records().map(Result::unwrap) {
        let key = (record[source].to_owned(), record[day].to_owned());
        days.entry(key).or_default().push(record.iter().collect::<Vec<_>>().join("\u{1f}"));
    }
    (head, days)
}

/// One shard's rows; nothing where it has no days, which is no failure.
fn shard(
    scenario: &Scenario,
    (index, count): (usize, usize),
    flags: &[&str],
) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    let mut command = scenario.run();
    command.arg("--lookups").arg(&scenario.folder).args(flags);
    command.args(["--cluster-id", &scenario.params.cluster_id]);
    command.args(["--cluster-alias", &scenario.params.cluster_alias]);
    command.arg("--sink").arg(format!("csv:{}", out.display()));
    command.env("OCP_ROLLUP_SHARD_COUNT", count.to_string());
    command.env("JOB_COMPLETION_INDEX", index.to_string());
    succeed(&mut command)?;
    Ok(std::fs::read(out).unwrap_or_default())
}

/// Runs all shards, and compares what they write with what one run does.
fn parts_are_the_whole(scenario: &Scenario, count: usize, flags: &[&str]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let whole = days(&scenario.run_to_csv(&folder.path().join("whole.csv"), &[""; 0])?);
    let mut together = BTreeMap::new();
    for index in 0..count {
        let csv = shard(scenario, (index, count), flags)?;
        if csv.is_empty() {
            continue;
        }
        let (head, of_shard) = days(&csv);
        assert_eq!(head, whole.0);
        for (key, rows) in of_shard {
            if together.insert(key.clone(), rows).is_some() {
                return Err(format!("{key:?} is in two of {count} shards"));
            }
        }
    }
    if together == whole.1 { Ok(()) } else { Err(format!("{count} shards give other rows")) }
}

#[test]
fn the_parts_together_are_the_whole() {
    let failures: Vec<String> = scenarios()
        .par_iter()
        .flat_map(|scenario| {
            [(1, vec![]), (2, vec!["--threads", "1"]), (5, vec!["--chunk-rows", "17"])]
                .into_par_iter()
                .filter_map(move |(count, flags)| {
                    let failed = |error| format!("{}: {error}", scenario.name);
                    parts_are_the_whole(scenario, count, &flags).err().map(failed)
                })
        })
        .collect();
    report(failures);
}

/// A file whose row groups hold three days, and say so or not.
fn three_days_in_one_row_group(scene: &Scene) {
    let rows = (1..=3).flat_map(|day| {
        let row = pod().at(&format!("2025-10-{day:02} 00:00"));
        (0..day).map(move |i| row.clone().with("namespace", format!("n{i}").as_str()))
    });
    scene.tree.add(&Table::pods(rows));
}

#[test]
fn a_row_group_of_several_days_is_read_by_each_shard_that_does_one_of_them() {
    let scene = Scene::new();
    three_days_in_one_row_group(&scene);
    let run = scene.run().with("to", "2025-10-03");
    run.done().succeeds();
    let (head, whole) = days(&std::fs::read(scene.csv()).unwrap());
    assert_eq!(whole.len(), 3);
    let mut together = BTreeMap::new();
    for index in 0..2 {
        let done = run.clone().with("shard-count", 2).with("shard-index", index).done();
        done.succeeds();
        let (same_head, part) = days(&std::fs::read(scene.csv()).unwrap());
        assert_eq!(head, same_head);
        assert_eq!(part.len(), 2 - index);
        // Six rows lie there; the days 1 and 3 have four of them, day 2 has two.
        let others = [2, 4][index];
        assert!(done.stdout.contains(&format!("{others} rows of other days")), "{done:#?}");
        together.extend(part);
    }
    assert_eq!(together, whole);
}

#[test]
fn two_hosts_on_one_shard_and_a_second_run_leave_the_same_rows() {
    let scene = Scene::new();
    three_days_in_one_row_group(&scene);
    let tenant = database().tenant("org1234567", Partitions::Registry);
    let run = scene.run_into(&tenant).with("to", "2025-10-03").with("shard-count", 2);
    let mut client = client_of(&tenant);
    let mut rows = || -> Vec<String> {
        let query = "SELECT (to_jsonb(t) - 'uuid')::text \
                     FROM reporting_ocpusagelineitem_daily_summary t ORDER BY 1";
        client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    run.clone().without("shard-count").done().succeeds();
    let whole = rows();
    run.clone().with("shard-index", 0).done().succeeds();
    assert_eq!(rows(), whole, "a shard leaves the days of the others alone");
    let both = [run.clone().with("shard-index", 1).start(), run.with("shard-index", 1).start()];
    both.into_iter().for_each(|run| run.done().succeeds());
    assert_eq!(rows(), whole);
}

#[test]
fn plan_shows_how_the_days_are_shared() {
    let scene = Scene::new();
    three_days_in_one_row_group(&scene);
    let run = scene.run().with("to", "2025-10-03").with("shard-count", 2);
    let plan = |more: &[&str]| {
        let mut command = run.command();
        let arguments: Vec<_> = command.get_args().skip(1).map(ToOwned::to_owned).collect();
        command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command.env_clear().arg("plan").args(arguments).args(more);
        String::from_utf8(succeed(&mut command).unwrap().stdout).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let days = |shard: usize| json["shards"][shard]["days"].as_u64();
    assert_eq!((days(0), days(1), days(2)), (Some(2), Some(1), None));
    assert_eq!(json["days"].as_array().unwrap().len(), 3, "without an index, the whole");
    let of_one: serde_json::Value =
        serde_json::from_str(&plan(&["--json", "--shard-index=1"])).unwrap();
    assert_eq!(of_one["days"][0]["date"], "2025-10-02");
    assert_eq!(of_one["days"].as_array().unwrap().len(), 1);
    let text = plan(&[]);
    assert!(text.contains("Shards\n"), "{text}");
    assert!(text.contains("the largest has"), "{text}");
}

/// Days of 40, 10, 20 and 10 rows, each in a file of its own.
fn days_of_unequal_weight(scene: &Scene) {
    for (day, rows) in (1..).zip([40, 10, 20, 10]) {
        let at = format!("2025-10-{day:02} 00:00");
        let rows = (0..rows).map(|i| pod().at(&at).with("namespace", format!("n{i}").as_str()));
        scene.tree.add(&Table::pods(rows));
    }
}

/// Adds what one shard wrote; no other may have written any of its days.
#[track_caller]
fn put_together(
    whole: &mut BTreeMap<(String, String), Vec<String>>,
    part: BTreeMap<(String, String), Vec<String>>,
) {
    for (day, rows) in part {
        assert!(whole.insert(day, rows).is_none(), "a day of two shards");
    }
}

#[test]
fn weights_share_the_days_by_their_rows() {
    let scene = Scene::new();
    days_of_unequal_weight(&scene);
    let run = scene.run().with("to", "2025-10-05");
    run.done().succeeds();
    let (_, whole) = days(&std::fs::read(scene.csv()).unwrap());
    assert_eq!(whole.len(), 4);
    let plan = run.clone().subcommand("plan").without("sink");
    let weights = scene.lookups().join("weights.json");
    std::fs::write(&weights, plan.clone().switch("--json").done().stdout).unwrap();
    // Once they were weighed it no longer matters what comes: the second day would be the heaviest now.
    let late =
        (0..100).map(|i| pod().at("2025-10-02 00:00").with("node", format!("l{i}").as_str()));
    scene.tree.add(&Table::pods(late));
    run.done().succeeds();
    let (_, whole) = days(&std::fs::read(scene.csv()).unwrap());
    let run = run.with("shard-count", 2).with("shard-weights", weights.display());
    let shared = plan.with("shard-count", 2).with("shard-weights", weights.display());
    let text = shared.clone().done().stdout;
    // 40 rows against 140, which no deal by what is found now would leave so.
    assert!(text.contains("the largest has 1.56 times the rows of the mean"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&shared.clone().switch("--json").done().stdout).unwrap();
    // The first day outweighed the others; the fifth, which holds nothing, goes where fewer days are.
    assert_eq!((&json["shards"][0]["days"], &json["shards"][1]["days"]), (&2.into(), &3.into()));
    let mut together = BTreeMap::new();
    for index in 0..2 {
        run.clone().with("shard-index", index).done().succeeds();
        let (_, part) = days(&std::fs::read(scene.csv()).unwrap());
        assert_eq!(part.len(), [1, 3][index]);
        put_together(&mut together, part);
    }
    assert_eq!(together, whole);
}

#[test]
fn the_order_of_sources_changes_no_deal() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let small = generate::Plan { days: 4, nodes: 2, ..generate::Plan::new(tree.clone()) };
    let other = "0f637072-6f6c-4c75-9073-796e74680001".parse().unwrap();
    let large = generate::Plan { nodes: 6, provider_uuid: other, ..small.clone() };
    let sources = [&small, &large].map(|plan| plan.provider_uuid.to_string());
    for plan in [small, large] {
        generate::run(&plan).unwrap();
    }
    let out = folder.path().join("out");
    let run = |subcommand: &str, order: [usize; 2], more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command.env_clear().arg(subcommand).arg("--source").arg(&tree);
        command.args(["--org-id", "org1234567", "--from", "2025-10-01", "--to", "2025-10-04"]);
        for at in order {
            command.args(["--provider-uuid", &sources[at]]);
        }
        command.arg("--lookups").arg(tree.join("lookups")).args(more);
        succeed(command.arg("--sink").arg(format!("csv:{}", out.display()))).unwrap().stdout
    };
    run("run", [0, 1], &[]);
    let (_, whole) = days(&std::fs::read(&out).unwrap());
    assert_eq!(whole.len(), 8);
    let weights = folder.path().join("weights.json");
    std::fs::write(&weights, run("plan", [1, 0], &["--json"])).unwrap();
    let shared = format!("--shard-weights={}", weights.display());
    let mut together = BTreeMap::new();
    for (index, order) in ["0", "1", "2"].into_iter().zip([[0, 1], [1, 0], [0, 1]]) {
        run("run", order, &["--shard-count=3", "--shard-index", index, &shared]);
        let (_, part) = days(&std::fs::read(&out).unwrap());
        put_together(&mut together, part);
    }
    assert_eq!(together, whole);
}

#[test]
fn no_input_weighs_nothing_and_is_nothing_to_do() {
    let scene = Scene::new();
    days_of_unequal_weight(&scene);
    let run = scene.run().with("from", "2025-11-01").with("to", "2025-11-03");
    let weights = scene.lookups().join("weights.json");
    let plan = run.clone().subcommand("plan").without("sink").switch("--json");
    std::fs::write(&weights, plan.done().stdout).unwrap();
    let shard = run.with("shard-count", 2).with("shard-index", 1);
    let done = shard.with("shard-weights", weights.display()).done();
    done.succeeds();
    assert!(done.stdout.contains("nothing to do"), "{done:#?}");
}

#[test]
fn weights_must_be_a_plan_of_the_days_asked_for() {
    let scene = Scene::new();
    days_of_unequal_weight(&scene);
    let weights = scene.lookups().join("weights.json");
    let run = scene.run().with("shard-weights", weights.display());
    run.done().fails(2, &["--shard-weights", "no shard count", "--shard-count"]);
    let run = run.with("shard-count", 2).with("shard-index", 0);
    run.done().fails(2, &["cannot read the weights", "weights.json", "plan --json"]);
    std::fs::write(&weights, "{\"days\": [{}]}").unwrap();
    run.done().fails(2, &["weights.json is not what `ocp-rollup plan --json` prints"]);
    let plan = scene.run().subcommand("plan").without("sink").switch("--json").done().stdout;
    std::fs::write(&weights, plan.replace("2025-10", "2024-10")).unwrap();
    run.done().fails(2, &["weighs none of the days asked for", "give it to every shard"]);
    scene.wrote_nothing();
}

#[test]
fn a_shard_must_be_one_of_those_there_are() {
    let scene = Scene::new();
    three_days_in_one_row_group(&scene);
    let run = scene.run();
    let shared = run.clone().with("shard-count", 3);
    shared.done().fails(2, &["shared by 3 shards", "--shard-index", "JOB_COMPLETION_INDEX"]);
    shared.with("shard-index", 3).done().fails(2, &["`--shard-index` is `3`", "from 0 to 2"]);
    run.clone().with("shard-index", 0).done().fails(2, &["no shard count", "--shard-count"]);
    run.clone().with("shard-count", 0).done().fails(2, &["from 1 to 10000"]);
    scene.wrote_nothing();
    // An indexed Job may be indexed by something else.
    let done = run.environment("JOB_COMPLETION_INDEX", 2).done();
    done.succeeds();
    done.warns(&["JOB_COMPLETION_INDEX is set, but there is no shard count"]);
}

/// Days of a generated cluster, four for each of the eight parts of a Job.
const DAYS: usize = 30;

/// `run` of all days of a generated tree.
fn run_of(tree: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
    command.env_clear().arg("run").arg("--source").arg(tree);
    command.args(["--org-id", "org1234567", "--report-period-id", "1"]);
    command.args(["--provider-uuid", &generate::PROVIDER_UUID.to_string()]);
    command.args(["--from", "2025-10-01", "--to", &format!("2025-10-{DAYS:02}")]);
    command.arg("--lookups").arg(tree.join("lookups"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How to reach a tenant, for a command.
fn reach<'c>(command: &'c mut Command, tenant: &Postgres) -> &'c mut Command {
    let password = tenant.password.as_ref().map_or("", |secret| &secret.0);
    command
        .args(["--schema", &tenant.schema, "--db-sslmode", "disable"])
        .env("DATABASE_SERVICE_HOST", &tenant.host)
        .env("DATABASE_SERVICE_PORT", tenant.port.to_string())
        .env("DATABASE_NAME", &tenant.database)
        .env("DATABASE_USER", &tenant.user)
        .env("DATABASE_PASSWORD", password)
}

/// As the Job controller does it: eight indexes, three at a time, one killed midway and tried again.
#[test]
fn an_indexed_job_with_a_killed_pod_leaves_the_whole() {
    const INDEXES: usize = 8;
    const KILLED: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let plan = generate::Plan {
        days: DAYS as u32,
        nodes: 4,
        namespaces: 6,
        pods: Some(60),
        daily: false,
        ..generate::Plan::new(tree.clone())
    };
    generate::run(&plan).unwrap();
    let tenant = database().tenant("org1234567", Partitions::Registry);
    let mut client = client_of(&tenant);
    // The second day of that index waits for a lock that is held here, so that it is midway.
    let mut holder = client_of(&tenant);
    holder
        .batch_execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END'; \
             CREATE TRIGGER waits BEFORE INSERT ON reporting_ocpusagelineitem_daily_summary \
             FOR EACH ROW WHEN (NEW.usage_start = '2025-10-12') EXECUTE FUNCTION wait(); \
             SELECT pg_advisory_lock(42)",
        )
        .unwrap();
    let mut days_done = |index: usize| -> i64 {
        let query = "SELECT count(DISTINCT usage_start) \
                     FROM reporting_ocpusagelineitem_daily_summary \
                     WHERE (usage_start - DATE '2025-10-01') % 8 = $1";
        client.query_one(query, &[&(index as i32)]).unwrap().get(0)
    };
    let pod = |index: usize| -> Child {
        let mut command = run_of(&tree);
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        command.env("OCP_ROLLUP_SHARD_COUNT", INDEXES.to_string());
        reach(&mut command, &tenant).args(["--sink", "postgres"]).spawn().unwrap()
    };
    let mut waiting: Vec<usize> = (0..INDEXES).rev().collect();
    let mut running: Vec<(usize, Child)> = Vec::new();
    let mut killed = false;
    while !waiting.is_empty() || !running.is_empty() {
        let free = 3 - running.len();
        let next = waiting.split_off(waiting.len().saturating_sub(free));
        running.extend(next.into_iter().rev().map(|index| (index, pod(index))));
        std::thread::sleep(Duration::from_millis(1));
        let mut going_on = Vec::new();
        for (index, mut child) in running {
            if index == KILLED && !killed && days_done(index) > 0 {
                killed = true;
                child.kill().unwrap();
                holder.batch_execute("SELECT pg_advisory_unlock(42)").unwrap();
            }
            match child.try_wait().unwrap() {
                None => going_on.push((index, child)),
                Some(status) if status.success() => {}
                Some(status) => {
                    let output = child.wait_with_output().unwrap();
                    let text = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(index == KILLED && status.code().is_none(), "{status}: {text}");
                    assert!(days_done(index) < 4, "it was done already");
                    waiting.push(index);
                }
            }
        }
        running = going_on;
    }
    assert!(killed);

    let whole = folder.path().join("whole.csv");
    succeed(run_of(&tree).arg("--sink").arg(format!("csv:{}", whole.display()))).unwrap();
    let mut verify = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
    verify.env_clear().args(["verify", "--json", "postgres"]).arg(&whole);
    verify.args(["--from", "2025-10-01", "--to", &format!("2025-10-{DAYS:02}")]);
    let output = succeed(reach(&mut verify, &tenant)).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["equal_rows"].as_u64() > Some(1000), "{report:#}");
    assert_eq!(report["rows_only_left"].as_u64(), Some(0));
}
