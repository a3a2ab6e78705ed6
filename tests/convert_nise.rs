//! koku-nise's CSV files, converted and rolled up: the totals are those that its YAML file asks for.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

use std::process::Command;

/// What the script ends with where koku-nise cannot be installed.
const SKIPPED: i32 = 77;

#[test]
fn the_totals_that_nise_was_asked_for() {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("bash")
        .arg("scripts/nise_round_trip.sh")
        .current_dir(root)
        .env("OCP_ROLLUP_BIN", env!("CARGO_BIN_EXE_ocp-rollup"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(SKIPPED) {
        eprintln!("SKIPPED the round trip through koku-nise: {errors}");
        return;
    }
    assert!(output.status.success(), "{said}{errors}");
    for scenario in ["storage", "two_months", "two_nodes"] {
        assert!(said.contains(&format!("ok {scenario}\n")), "{said}{errors}");
    }
}
