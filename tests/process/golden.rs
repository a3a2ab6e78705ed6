//! The golden scenarios, by worker processes.

use rayon::prelude::*;

use crate::common::golden::{report, scenarios};

/// One of so many combinations, unless told otherwise: every value of each flag occurs.
const STEP: usize = 53;

/// Every number of processes, with several values of each other flag: one of so many combinations as
/// `OCP_ROLLUP_WAYS` says, all of them if that is 1.
fn ways() -> Vec<Vec<&'static str>> {
    let mut ways = vec![Vec::new()];
    for (flag, values) in [
        ("--processes", &["1", "2", "3"][..]),
        ("--streaming", &["on", "off"]),
        ("--threads", &["1", "4"]),
        ("--chunk-rows", &["auto", "17"]),
        // The last is no flag: everything stays in memory.
        ("--force-spill", &["1000000", "1", "5", ""]),
        ("--categorical", &["on", "off"]),
        ("--column-filtering", &["on", "off"]),
    ] {
        ways = ways
            .iter()
            .flat_map(|way| {
                values.iter().map(move |&value| match value {
                    "" => way.clone(),
                    value => [&way[..], &[flag, value]].concat(),
                })
            })
            .collect();
    }
    // So that the flags do not turn in step.
    ways.into_iter().step_by(step().unwrap_or(STEP)).collect()
}

#[expect(clippy::disallowed_methods, reason = "how much is tested is no setting of a run")]
fn step() -> Option<usize> {
    std::env::var("OCP_ROLLUP_WAYS").ok().and_then(|text| text.parse().ok())
}

#[test]
fn the_same_bytes_as_in_one_process() {
    let ways = ways();
    let failures: Vec<String> = scenarios()
        .par_iter()
        .enumerate()
        .flat_map(|(at, scenario)| {
            // Each scenario in some ways, each way for some scenarios.
            let chosen = |way: usize| step().is_some() || (way + at).is_multiple_of(3);
            let folder = tempfile::tempdir().unwrap();
            let wanted = scenario.run_to_csv(&folder.path().join("out.csv"), &[""; 0]);
            let wanted = wanted.map_err(|error| error.to_string());
            let same = |way: &Vec<&str>| {
                let folder = tempfile::tempdir().unwrap();
                match scenario.run_to_csv(&folder.path().join("out.csv"), way) {
                    Ok(bytes) if Ok(&bytes) == wanted.as_ref() => None,
                    Ok(_) => Some(format!("{}: other bytes: {}", scenario.name, way.join(" "))),
                    Err(error) => Some(format!("{}: {error}", scenario.name)),
                }
            };
            let ways = ways.par_iter().enumerate().filter(|&(way, _)| chosen(way));
            ways.filter_map(|(_, way)| same(way)).collect::<Vec<_>>()
        })
        .collect();
    report(failures);
}

#[test]
fn the_ways_meet_every_value() {
    let met: std::collections::BTreeSet<_> = ways()
        .iter()
        .flat_map(|way| way.chunks(2).map(<[_]>::to_vec).collect::<Vec<_>>())
        .collect();
    assert_eq!(met.len(), 3 + 2 + 2 + 2 + 3 + 2 + 2, "{met:?}");
    assert!(ways().iter().any(|way| !way.contains(&"--force-spill")));
}
