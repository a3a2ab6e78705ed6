//! The program's rows against those of a second, plain implementation of the rules.

mod reference;

use std::path::PathBuf;

use reference::input::Rules;
use reference::output::{Row, Table, differences};
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
    let dir = std::env::var_os("OCP_ROLLUP_GOLDEN").map_or("tests/golden".into(), PathBuf::from);
    let scenarios = golden::scenarios(&dir);
    if scenarios.is_empty() {
        eprintln!("SKIPPED: no golden scenario below {}", dir.display());
        return;
    }
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
