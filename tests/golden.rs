//! The program on the golden scenarios, from files to a CSV file.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::process::Command;

use common::golden::{Scenario, report, scenarios};
use common::multiset::{Rows, compare};
use rayon::prelude::*;

/// Columns that file sinks have beyond those of the table.
const EXTRA: [&str; 5] = ["csi_volume_handle", "source", "year", "month", "day"];

/// Does `check` on every scenario and fails with all that went wrong.
fn each(check: impl Fn(&Scenario) -> Result<(), String> + Sync) {
    let failures = scenarios()
        .par_iter()
        .filter_map(|scenario| check(scenario).err().map(|e| format!("{}: {e}", scenario.name)))
        .collect();
    report(failures);
}

fn csv(scenario: &Scenario, flags: &[&str]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let failed = |error| format!("{}: {error}", flags.join(" "));
    scenario.run_to_csv(&folder.path().join("out.csv"), flags).map_err(failed)
}

fn expected(scenario: &Scenario, file: &str) -> Rows {
    Rows::parse(&std::fs::read(scenario.folder.join(file)).unwrap())
}

#[test]
fn the_rows_are_those_that_upstream_wrote() {
    each(|scenario| {
        let (table, doubles) =
            (expected(scenario, "expected.csv"), expected(scenario, "expected_f64.csv"));
        for pods in ["hourly", "daily"] {
            let actual = Rows::parse(&csv(scenario, &["--pod-source", pods])?);
            let failed = |error| format!("{pods}: {error}");
            compare(&table, &actual).map_err(failed)?;
            compare(&doubles, &actual).map_err(failed)?;
            let columns: Vec<&str> =
                table.columns.iter().map(String::as_str).chain(EXTRA).collect();
            if actual.columns != columns {
                return Err(format!("the columns are {:?}", actual.columns));
            }
        }
        Ok(())
    });
}

#[test]
fn the_columns_of_the_staging_table_say_the_source_and_the_day() {
    each(|scenario| {
        let rows = Rows::parse(&csv(scenario, &[])?);
        let at = |name| rows.position(name);
        for row in &rows.rows {
            let date: Vec<u32> =
                row[at("usage_start")].split('-').map(|p| p.parse().unwrap()).collect();
            let date: Vec<String> = date.iter().map(u32::to_string).collect();
            assert_eq!(
                [&row[at("source")], &row[at("year")], &row[at("month")], &row[at("day")]],
                [&row[at("source_uuid")], &date[0], &date[1], &date[2]],
                "{}",
                scenario.name
            );
        }
        Ok(())
    });
}

#[test]
fn nulls_follow_trino_where_asked() {
    each(|scenario| {
        let Some(file) = scenario.file("expected_trino_emulated.csv") else { return Ok(()) };
        let expected = Rows::parse(&std::fs::read(file).unwrap());
        for pods in ["hourly", "daily"] {
            let flags = ["--null-rules", "trino", "--pod-source", pods];
            compare(&expected, &Rows::parse(&csv(scenario, &flags)?))?;
        }
        Ok(())
    });
}

/// Capacity comes from hourly files: without them it would be 0, and all usage too much.
#[test]
fn daily_pods_without_hourly_ones_are_refused() {
    let mut scenario = scenarios().swap_remove(0);
    let folder = tempfile::tempdir().unwrap();
    let tree = scenario.folder.join("parquet");
    let status = Command::new("cp").arg("-r").arg(tree).arg(folder.path()).status().unwrap();
    assert!(status.success());
    let account = &scenario.params.schema;
    let hourly = folder.path().join("parquet/data/parquet").join(account).join("OCP/pod_usage");
    std::fs::remove_dir_all(hourly).unwrap();
    scenario.tree = folder.path().join("parquet");
    let error = csv(&scenario, &["--pod-source", "daily"]).unwrap_err();
    for part in ["Some(3)", &scenario.params.source_uuid, "2025-10", "hourly"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

/// How a run is done, not what it does.
fn ways() -> Vec<Vec<&'static str>> {
    let mut ways = vec![Vec::new()];
    for (flag, values) in [
        ("--streaming", &["on", "off"][..]),
        ("--categorical", &["on", "off"]),
        ("--column-filtering", &["on", "off"]),
        ("--threads", &["1", "2", "7"]),
        ("--chunk-rows", &["auto", "17", "1000"]),
    ] {
        ways = ways
            .iter()
            .flat_map(|way| values.iter().map(move |value| [&way[..], &[flag, value]].concat()))
            .collect();
    }
    ways
}

/// Fails where a way gives other bytes than the first.
fn same_bytes<'a>(
    scenario: &Scenario,
    ways: impl IntoIterator<Item = &'a Vec<&'static str>>,
) -> Result<(), String> {
    let mut ways = ways.into_iter();
    let first = ways.next().expect("there are ways");
    let wanted = csv(scenario, first)?;
    for way in ways {
        if csv(scenario, way)? != wanted {
            return Err(format!("not the same bytes:\n  {}\n  {}", first.join(" "), way.join(" ")));
        }
    }
    Ok(())
}

/// Combinations in which every value of every flag occurs, with several of each other one's.
fn diagonal<'a>(ways: &'a [Vec<&'static str>]) -> impl Iterator<Item = &'a Vec<&'static str>> {
    // No factor of 72 in common, so that the flags do not turn in step.
    ways.iter().step_by(13)
}

#[test]
fn every_way_to_run_gives_the_same_bytes() {
    let ways = ways();
    each(|scenario| same_bytes(scenario, diagonal(&ways)));
}

#[test]
fn days_that_went_to_disk_give_the_same_bytes() {
    let spilled = [
        vec![],
        vec!["--force-spill", "1"],
        vec!["--force-spill", "1", "--threads", "7", "--chunk-rows", "17"],
        vec!["--force-spill", "3", "--threads", "2", "--chunk-rows", "17", "--categorical", "off"],
        vec!["--force-spill", "5", "--streaming", "off"],
    ];
    each(|scenario| same_bytes(scenario, &spilled));
}

#[test]
fn the_same_bytes_in_every_combination() {
    let ways = ways();
    assert_eq!(ways.len(), 72);
    // Two months; several nodes, claims and label changes; shared volumes.
    let full =
        ["golden/ocp_report_7", "golden/ocp_report_advanced", "golden_extra/adv_c_shared_pvc"];
    each(|scenario| {
        let full = full.contains(&scenario.name.as_str());
        if full { same_bytes(scenario, &ways) } else { Ok(()) }
    });
}

#[test]
fn the_diagonal_meets_every_value() {
    let ways = ways();
    let met: std::collections::BTreeSet<_> =
        diagonal(&ways).flat_map(|way| way.chunks(2).map(<[_]>::to_vec)).collect();
    assert_eq!(met.len(), 2 + 2 + 2 + 3 + 3, "{met:?}");
}

#[test]
fn the_comparison_notices() {
    let scenario = &scenarios()[0];
    let rows = expected(scenario, "expected.csv");
    compare(&rows, &rows).unwrap();
    let usage = rows.position("pod_usage_cpu_core_hours");
    let labels = rows.position("pod_labels");
    let counted = rows.rows.iter().position(|row| row[usage] == "48").unwrap();
    let changed = |change: &dyn Fn(&mut Vec<Vec<String>>)| {
        let mut other = rows.clone();
        change(&mut other.rows);
        compare(&rows, &other).is_err()
    };
    assert!(!changed(&|rows| rows.reverse()));
    assert!(!changed(&|rows| rows[counted][usage] = "48.00000000001".to_owned()));
    assert!(changed(&|rows| rows[counted][usage] = "48.0000001".to_owned()));
    assert!(changed(&|rows| rows[counted][usage] = "\\N".to_owned()));
    assert!(changed(&|rows| rows[counted][labels] = "{}".to_owned()));
    assert!(changed(&|rows| drop(rows.pop())));
    assert!(changed(&|rows| rows.push(rows[0].clone())));
    assert!(changed(&|rows| rows[0] = rows[1].clone()));
}
