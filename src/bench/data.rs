//! The rows that are compared on where none are given.

use std::path::Path;

use chrono::{Days, NaiveDate};

use super::error::BenchError;
use crate::generate::Plan;

/// A cluster of `nodes` nodes in `days` days of October 2025 and on; hourly files only.
pub fn plan(folder: &Path, days: u32, nodes: usize) -> Plan {
    Plan {
        days,
        nodes,
        // As many for each node as where the size is not chosen.
        namespaces: (nodes * 8 / 5).max(4),
        daily: false,
        ..Plan::new(folder.to_owned())
    }
}

/// The flags of `run` that roll it up.
pub fn flags(plan: &Plan) -> Vec<(&'static str, String)> {
    vec![
        ("source", plan.out.to_string_lossy().into_owned()),
        ("org-id", plan.org_id.clone()),
        ("provider-uuid", plan.provider_uuid.to_string()),
        ("cluster-id", plan.cluster_id()),
        ("cluster-alias", "bench".to_owned()),
        ("from", plan.from.to_string()),
        ("to", last(plan).to_string()),
        ("lookups", plan.out.join("lookups").to_string_lossy().into_owned()),
    ]
}

fn last(plan: &Plan) -> NaiveDate {
    let days = u64::from(plan.days.saturating_sub(1));
    plan.from.checked_add_days(Days::new(days)).unwrap_or(plan.from)
}

/// A folder that goes when the value does.
pub fn folder() -> Result<tempfile::TempDir, BenchError> {
    tempfile::Builder::new()
        .prefix("ocp-rollup-bench-")
        .tempdir()
        .map_err(|source| BenchError::Folder { path: std::env::temp_dir(), source })
}
