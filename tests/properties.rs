//! The program's rows against those of a second, plain implementation of the rules.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod reference;

use std::path::Path;
use std::sync::OnceLock;

use chrono::{Days, NaiveDate};
use ocp_rollup::cli::run::RunFlags;
use ocp_rollup::commands::run::{open_store, roll_up};
use ocp_rollup::commands::signals::Signals;
use ocp_rollup::settings::settle;
use proptest::prelude::*;

use reference::cases::{Case, case};
use reference::input::{Items, Rules, Run};
use reference::output::{Row, Table, differences};
use reference::tree::{self, Draws};
use reference::{golden, rollup};

/// What the golden rows hold as a number. They keep 15 digits, rounded once more by PostgreSQL.
const GOLDEN_TOLERANCE: f64 = 1e-9;

fn is_measure(column: &str) -> bool {
    ["pod_usage", "pod_request", "pod_limit", "pod_effective", "node_capacity", "cluster_capacity"]
        .iter()
        .any(|start| column.starts_with(start))
        || column.starts_with("persistentvolumeclaim_")
        || column.starts_with("volume_request")
}

#[test]
fn the_reference_reproduces_the_golden_rows() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut scenarios = golden::scenarios(&tests.join("golden"));
    scenarios.extend(golden::scenarios(&tests.join("golden_extra")));
    assert!(!scenarios.is_empty(), "no golden scenario below {}", tests.display());
    let mut failures = Vec::new();
    let mut checked = 0;
    for scenario in &scenarios {
        let lookups = golden::lookups(scenario);
        for (file, trino) in [
            ("expected.csv", false),
            ("expected_f64.csv", false),
            ("expected_trino_emulated.csv", true),
        ] {
            let Ok(text) = std::fs::read_to_string(scenario.join(file)) else { continue };
            let expected = Table::parse(&text, is_measure);
            let mut actual: Vec<Row> = golden::runs(scenario)
                .iter()
                .flat_map(|(run, items)| {
                    rollup::rollup(run, items, &lookups, Rules { fan_out: true, trino })
                })
                .collect();
            for row in &mut actual {
                row.0.retain(|column, _| expected.columns.contains(*column));
            }
            checked += 1;
            let found = differences(&expected.rows, &actual, Some(GOLDEN_TOLERANCE));
            if !found.is_empty() {
                failures.push(format!("{}/{file}:\n{}", scenario.display(), found.join("\n")));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {checked}:\n{}", failures.len(), failures.join("\n\n"));
    assert!(checked >= 2 * scenarios.len(), "{checked} tables checked");
}

const ACCOUNT: &str = "org1234567";
const SOURCES: [&str; 2] =
    ["3c6e687d-eb43-4f1c-9d1c-1d2f3a4b5c6d", "0b9f6f4e-7a7b-4b8e-8f1e-6d5c4b3a2f1e"];

fn range(case: &Case) -> (NaiveDate, NaiveDate) {
    let first = NaiveDate::from_ymd_opt(2025, 10, 29).expect("a date");
    (first + Days::new(case.days.0), first + Days::new(case.days.1))
}

/// One run of the program into `out`, with settings that must not matter drawn from `seed`.
fn run_program(case: &Case, root: &Path, out: &Path, seed: u64) -> anyhow::Result<String> {
    let mut draws = Draws::new(seed);
    let mut draw = |choices: &[&str]| Some(choices[draws.below(choices.len())].to_owned());
    let (from, to) = range(case);
    let one = case.asked == 1;
    let flags = RunFlags {
        from: Some(from.to_string()),
        to: Some(to.to_string()),
        provider_uuid: SOURCES[..case.asked].iter().map(|s| (*s).to_owned()).collect(),
        cluster_id: one.then(|| "cluster-1".to_owned()),
        cluster_alias: one.then(|| "An \"alias\", with a comma".to_owned()),
        source: Some(root.display().to_string()),
        org_id: Some(ACCOUNT.to_owned()),
        lookups: Some(root.display().to_string()),
        sink: Some(format!("csv:{}", out.display())),
        allow_empty: Some("on".to_owned()),
        fan_out: Some(if case.rules.fan_out { "koku" } else { "collapse" }.to_owned()),
        null_rules: Some(if case.rules.trino { "trino" } else { "self_hosted" }.to_owned()),
        threads: draw(&["1", "2", "4"]),
        chunk_rows: draw(&["auto", "1", "3"]),
        streaming: draw(&["on", "off"]),
        categorical: draw(&["on", "off"]),
        column_filtering: draw(&["on", "off"]),
        ..RunFlags::default()
    };
    let today = NaiveDate::from_ymd_opt(2026, 1, 1).expect("a date");
    let mut settled = settle(&flags, &|_| None, None, today)?;
    settled.settings.performance.force_spill = [None, Some(1), Some(3)][draws.below(3)];
    settled.settings.performance.spill_dir = root.to_owned();
    // Once for all cases: a process listens only once.
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    let signals = SIGNALS.get_or_init(|| Signals::listen().expect("signals"));
    let store = open_store(&settled.settings, signals)?;
    roll_up(&settled.settings, &store, signals)?;
    Ok(std::fs::read_to_string(out)?)
}

fn run_reference(case: &Case) -> Vec<Row> {
    let one = case.asked == 1;
    let (from, to) = range(case);
    let november = NaiveDate::from_ymd_opt(2025, 11, 1).expect("a date");
    let mut months = Vec::new();
    if from < november {
        months.push((from, to.min(november - Days::new(1))));
    }
    if to >= november {
        months.push((from.max(november), to));
    }
    let of_source = |(source, items): (&&str, &Items)| {
        let of_month = |(index, days): (usize, &(NaiveDate, NaiveDate))| {
            let run = Run {
                source: (*source).to_owned(),
                report_period_id: index as i32 + 1,
                cluster_id: one.then(|| "cluster-1".to_owned()),
                cluster_alias: one.then(|| "An \"alias\", with a comma".to_owned()),
                days: *days,
            };
            rollup::rollup(&run, items, &case.lookups, case.rules)
        };
        months.iter().enumerate().flat_map(of_month).collect::<Vec<_>>()
    };
    SOURCES[..case.asked].iter().zip(&case.sources).flat_map(of_source).collect()
}

fn write_tree(case: &Case, root: &Path, seed: u64) {
    let none = Items::default();
    for (i, (source, items)) in SOURCES.iter().zip(&case.sources).enumerate() {
        let strays = if i == 0 { &case.strays } else { &none };
        let months = [(2025, 10), (2025, 11)];
        tree::write(root, ACCOUNT, source, (items, strays), &months, seed + i as u64);
    }
    tree::write_lookups(root, &case.lookups);
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let failed = |error: anyhow::Error| TestCaseError::fail(format!("{error:#}"));
    // In memory where that is possible: each file is synced, and there are thousands of them.
    let memory = Path::new("/dev/shm");
    let temp = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let temp = temp.expect("a folder");
    let tree = |name: &str, seed| {
        let root = temp.path().join(name);
        write_tree(case, &root, seed);
        root
    };
    let first_tree = tree("first", case.seed);
    let out = temp.path().join("out.csv");
    let first = run_program(case, &first_tree, &out, case.seed).map_err(failed)?;

    let actual = Table::parse(&first, is_measure);
    let found = differences(&run_reference(case), &actual.rows, None);
    prop_assert!(found.is_empty(), "not as the reference:\n{}", found.join("\n"));

    let again = run_program(case, &first_tree, &out, case.seed + 1).map_err(failed)?;
    let changed = changed_lines(&first, &again);
    prop_assert!(first == again, "settings that must not matter do:\n{changed}");
    let second_tree = tree("second", case.seed + 7);
    let again = run_program(case, &second_tree, &out, case.seed + 2).map_err(failed)?;
    let changed = changed_lines(&first, &again);
    prop_assert!(first == again, "files, row groups or order matter:\n{changed}");
    Ok(())
}

fn changed_lines(first: &str, again: &str) -> String {
    let only = |sign, of: &str, other: &str| {
        let lines = of.lines().filter(|line| !other.lines().any(|o| o == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only('-', first, again) + &only('+', again, first)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    /// `PROPTEST_CASES=10000` for a long run; 256 cases are the default.
    #[test]
    fn the_program_agrees_with_the_reference(case in case()) {
        check(&case)?;
    }
}
