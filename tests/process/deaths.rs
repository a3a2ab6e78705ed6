//! Workers that die, and coordinators that do.

use std::fs;
use std::time::{Duration, Instant};

use crate::workers::{children, command, done, out, signal, text, tree, until, wanted, workers};

/// How often a worker is killed; more with `OCP_ROLLUP_KILLS` in the environment.
#[expect(clippy::disallowed_methods, reason = "how much is tested is no setting of a run")]
fn kills() -> u32 {
    std::env::var("OCP_ROLLUP_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[test]
fn a_worker_killed_at_any_moment_changes_no_byte() {
    let (_folder, out) = out();
    let flags = ["--processes", "2", "--threads", "2"];
    let started = Instant::now();
    let output = command(&out, &flags).output().unwrap();
    let usual = started.elapsed();
    assert!(fs::read(&out).unwrap() == wanted(), "{}", text(&output));
    let kills = kills();
    let mut replaced = 0;
    for kill in 0..kills {
        fs::remove_file(&out).unwrap();
        let mut run = command(&out, &flags).spawn().unwrap();
        let seen = workers(&mut run, 1);
        // All moments from the first worker to the end of the run.
        std::thread::sleep(usual * kill / kills);
        let there = children(run.id());
        let victim = there.get(kill as usize % there.len().max(1)).copied();
        victim.into_iter().for_each(|victim| signal("KILL", victim));
        let output = done(run, &[seen, there].concat());
        let text = text(&output);
        assert_eq!(output.status.code(), Some(0), "kill {kill}: {text}");
        assert!(fs::read(&out).unwrap() == wanted(), "kill {kill}: other bytes: {text}");
        replaced += u32::from(text.contains("was killed by signal 9"));
    }
    // One that was done already is not replaced.
    assert!(replaced > 0, "of {kills} kills none met a worker at work");
    if kills > 4 {
        eprintln!("{replaced} of {kills} killed workers were at work");
    }
}

#[test]
fn a_worker_that_gives_no_sign_of_life_is_replaced() {
    let (_folder, out) = out();
    let flags = ["--processes", "2", "--worker-timeout", "3s", "--threads", "2"];
    let mut run = command(&out, &flags).spawn().unwrap();
    let seen = workers(&mut run, 1);
    signal("STOP", seen[0]);
    let output = done(run, &seen);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(fs::read(&out).unwrap() == wanted(), "other bytes: {text}");
    assert!(text.contains("gave no sign of life for 3 s"), "{text}");
}

#[test]
fn workers_do_not_outlive_the_coordinator() {
    for name in ["KILL", "TERM"] {
        let (folder, out) = out();
        let spill = tempfile::tempdir().unwrap();
        let spill_dir = spill.path().to_str().unwrap();
        let flags = ["--processes", "2", "--force-spill", "10", "--spill-dir", spill_dir];
        let mut run = command(&out, &flags).spawn().unwrap();
        let seen = workers(&mut run, 2);
        // Begun: what is stopped before it asked to die with its parent would not.
        let threads =
            |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        until("both are at work", || seen.iter().all(|&pid| threads(pid) > 1));
        // One that cannot even be asked to end.
        signal("STOP", seen[1]);
        signal(name, run.id());
        let output = done(run, &seen);
        let files = |folder: &tempfile::TempDir| fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(&spill), 0, "temporary files are left");
        if name == "TERM" {
            assert_eq!(output.status.code(), Some(6), "{}", text(&output));
            assert_eq!(files(&folder), 0, "an unfinished file is left");
        }
    }
}

#[test]
fn workers_of_an_interrupted_terminal_leave_the_end_to_the_coordinator() {
    let (_folder, out) = out();
    let mut run = command(&out, &["--processes", "2"]).spawn().unwrap();
    let seen = workers(&mut run, 1);
    let group = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(2).map(str::to_owned)
    };
    // A child is in its parent's group until it has begun.
    until("it has a group of its own", || group(seen[0]) != group(run.id()));
    signal("INT", run.id());
    let output = done(run, &seen);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
}

/// Points at which a worker dies each time that it gets there. Needs the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[test]
fn two_deaths_over_one_day_end_the_run_and_leave_the_day() {
    use crate::common::postgres::{Partitions, client_of, database};

    let tenant = database().tenant("org1234567", Partitions::Registry);
    let mut client = client_of(&tenant);
    let mut rows = || -> Vec<String> {
        let query = "SELECT (to_jsonb(t) - 'uuid')::text \
                     FROM reporting_ocpusagelineitem_daily_summary t ORDER BY 1";
        client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    let run = |more: &[&str], failpoint: &str| {
        let mut command = crate::workers::command_to("postgres", 2, more);
        command.args(["--report-period-id", "1"]);
        command.args(["--schema", &tenant.schema, "--db-sslmode", "disable"]);
        command.env("DATABASE_SERVICE_HOST", &tenant.host);
        command.env("DATABASE_SERVICE_PORT", tenant.port.to_string());
        command.env("DATABASE_NAME", &tenant.database).env("DATABASE_USER", &tenant.user);
        command.env("DATABASE_PASSWORD", &tenant.password.as_ref().unwrap().0);
        if !failpoint.is_empty() {
            command.env("OCP_ROLLUP_FAILPOINT", failpoint);
        }
        command.output().unwrap()
    };
    assert_eq!(run(&[], "").status.code(), Some(0));
    let old = rows();
    assert!(!old.is_empty());
    #[expect(clippy::disallowed_methods, reason = "how much is tested is no setting of a run")]
    let times = std::env::var("OCP_ROLLUP_KILLS").map_or(1, |_| 10);
    for _ in 0..times {
        for point in ["worker.begin=abort", "worker.before_done=abort"] {
            // Other rows, so that a day that was replaced would show.
            let output = run(&["--processes", "1", "--fan-out", "collapse"], point);
            let text = text(&output);
            assert_eq!(output.status.code(), Some(3), "{text}");
            for part in ["two worker processes in a row died", "signal 6", ".parquet", "2025-10-0"]
            {
                assert!(text.contains(part), "no {part:?} in {text}");
            }
            assert_eq!(rows(), old, "{point}");
        }
    }
}

#[test]
fn a_worker_that_is_killed_twice_over_one_day_ends_the_run() {
    let (folder, out) = out();
    let mut run = command(&out, &["--processes", "1"]).spawn().unwrap();
    let mut seen = Vec::new();
    // Until the run gives up, whichever day it is at.
    until("the run gives up", || {
        for worker in children(run.id()) {
            signal("KILL", worker);
            seen.push(worker);
        }
        run.try_wait().unwrap().is_some()
    });
    let output = done(run, &seen);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for part in
        ["two worker processes in a row died", "signal 9", ".parquet", "without --processes"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// By the kernel, in a real cgroup: a worker takes more than there is.
#[cfg(feature = "failpoints")]
#[test]
fn a_worker_that_the_kernel_kills_for_its_memory_is_replaced_once() {
    let Some(cgroup) = crate::common::cgroup::Cgroup::with_limit("worker", 256 << 20) else {
        return;
    };
    let (folder, out) = out();
    let run = |failpoint: &str| {
        let command = command(&out, &["--processes", "2"]);
        let arguments: Vec<String> = [&format!("OCP_ROLLUP_FAILPOINT={failpoint}")[..]]
            .into_iter()
            .map(str::to_owned)
            .chain(
                [command.get_program()]
                    .into_iter()
                    .chain(command.get_args())
                    .map(|part| part.to_str().unwrap().to_owned()),
            )
            .collect();
        cgroup.run("env", &[vec!["-i".to_owned()], arguments].concat())
    };
    let output = run(&format!("worker.begin=hoard:{}", folder.path().join("once").display()));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("most likely by the kernel for lack of memory"), "{said}");
    assert!(fs::read(&out).unwrap() == wanted(), "other bytes: {said}");
    assert_eq!(cgroup.oom_kills(), 1);

    let output = run("worker.before_done=hoard");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for part in ["two worker processes in a row died", "raise the memory limit", ".parquet"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(fs::read(&out).unwrap() == wanted(), "an earlier file was touched");
    assert!(cgroup.oom_kills() >= 3);
}

#[test]
fn a_coordinator_that_is_gone_ends_workers_within_a_second() {
    let (_folder, out) = out();
    let mut run = command(&out, &["--processes", "2"]).spawn().unwrap();
    let seen = workers(&mut run, 2);
    run.kill().unwrap();
    run.wait().unwrap();
    let ended = Instant::now();
    seen.iter()
        .for_each(|&worker| until("no worker is left", || !crate::workers::is_there(worker)));
    assert!(ended.elapsed() < Duration::from_secs(1));
    assert!(tree().exists());
}
