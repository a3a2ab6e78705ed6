//! The cluster of the demo.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::DemoError;
use crate::cli::demo::GivenFlags;
use crate::generate::Plan;

/// October 2025 of a cluster of a dozen nodes; hourly files only.
pub fn plan(folder: &Path) -> Plan {
    Plan {
        days: 31,
        nodes: 12,
        namespaces: 30,
        pods: Some(600),
        daily: false,
        ..Plan::new(folder.to_owned())
    }
}

/// The first and the last day of `plan`.
pub fn range(plan: &Plan) -> (NaiveDate, NaiveDate) {
    let days = u64::from(plan.days.saturating_sub(1));
    (plan.from, plan.from.checked_add_days(chrono::Days::new(days)).unwrap_or(plan.from))
}

/// The flags with which `run` rolls `plan` up into `summary`.
///
/// Each row counts once, whatever labels change within a day: only then do the sums of the summary
/// equal those of the input.
pub fn flags(plan: &Plan, summary: &Path) -> GivenFlags {
    let (from, to) = range(plan);
    let sink = format!("parquet:{}", summary.to_string_lossy());
    GivenFlags::default()
        .with_path("source", &plan.out)
        .with("org-id", &plan.org_id)
        .with("provider-uuid", plan.provider_uuid.to_string())
        .with("cluster-id", plan.cluster_id())
        .with("cluster-alias", "demo")
        .with("from", from.to_string())
        .with("to", to.to_string())
        .with_path("lookups", &plan.out.join("lookups"))
        .with("sink", sink)
        .with("fan-out", "collapse")
}

/// The hourly pod files of `plan`, as they lie on disk.
///
/// # Errors
/// A folder that cannot be listed.
pub fn pod_files(plan: &Plan) -> Result<Vec<PathBuf>, DemoError> {
    let root = plan.out.join("data/parquet").join(&plan.org_id).join("OCP/pod_usage");
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let failed = |source| DemoError::Open { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
