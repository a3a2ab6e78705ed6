//! Synthetic hourly usage of an OpenShift cluster, in Koku's layout, of any size.
//!
//! The cluster has what real ones have: deployments that roll over, daemon sets, stateful sets
//! with claims, jobs of a few minutes, pods that wait for a node, labels that change in the
//! middle of a day. What is in a file depends on the seed, the source, the size and the day alone:
//! threads and the range of days do not matter, so a day is the same in every range.

mod calendar;
mod cluster;
mod error;
mod label_rows;
mod labels;
mod layout;
mod lookups;
mod names;
mod pod_usage;
mod pods;
mod random;
mod storage_usage;
mod summary;
mod usage;
mod workloads;

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use rayon::prelude::*;
use uuid::Uuid;

use crate::line_items::columns::{Grain, Report};
use crate::line_items::table_file::TableFile;
use crate::store::S3Store;

pub use self::error::GenerateError;
pub use self::summary::Summary;

use self::calendar::Day;
use self::cluster::{Cluster, Size};
use self::layout::Layout;
use self::pod_usage::{PodUsage, Texts};
use self::random::derive;
use self::storage_usage::StorageUsage;

/// Live pods a node in an average hour, where the number of pods is not given.
pub const PODS_PER_NODE: usize = 56;
/// The source, where none is given.
pub const PROVIDER_UUID: Uuid = Uuid::from_u128(0x6f63_7072_6f6c_4c75_9073_796e_7468_0001);

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The folder that is to hold `data/`, or the name of a store's.
    pub out: PathBuf,
    /// The folder that is to hold the lookups.
    pub lookups: PathBuf,
    pub seed: u64,
    pub from: NaiveDate,
    pub days: u32,
    pub nodes: usize,
    pub namespaces: usize,
    /// Live pods in an average hour; `None`: [`PODS_PER_NODE`] for every node.
    pub pods: Option<usize>,
    /// 1 to 24; the hours of a day are spread over them in order.
    pub files_per_day: u32,
    /// Rows after which a file begins another row group.
    pub rows_per_group: usize,
    /// The account part of the path.
    pub org_id: String,
    pub provider_uuid: Uuid,
    /// `None`: one that follows from the source.
    pub cluster_id: Option<String>,
    /// `None`: one for every processor.
    pub threads: Option<usize>,
    /// Give every pod row an enabled label with a value of its own, so that no two rows fall
    /// into one group.
    pub unique_groups: bool,
    /// Write the daily files too.
    pub daily: bool,
    /// Replace what the source has in `out`, instead of refusing.
    pub overwrite: bool,
}

impl Plan {
    /// October 2025 of a cluster of 250 nodes: about 10 million hourly pod rows.
    pub fn new(out: PathBuf) -> Self {
        Self {
            lookups: out.join("lookups"),
            out,
            seed: 1,
            from: NaiveDate::from_ymd_opt(2025, 10, 1).unwrap_or_default(),
            days: 30,
            nodes: 250,
            namespaces: 400,
            pods: None,
            files_per_day: 4,
            rows_per_group: 200_000,
            org_id: "org1234567".to_owned(),
            provider_uuid: PROVIDER_UUID,
            cluster_id: None,
            threads: None,
            unique_groups: false,
            daily: true,
            overwrite: false,
        }
    }

    /// The cluster id given, or the one that follows from the source.
    pub fn cluster_id(&self) -> String {
        self.cluster_id.clone().unwrap_or_else(|| {
            names::made(|out| names::push_uuid(out, self.source_seed(0x000c_105e)))
        })
    }

    /// A seed of the source alone, so that two sources in one tree are two clusters.
    fn source_seed(&self, salt: u64) -> u64 {
        let (high, low) = self.provider_uuid.as_u64_pair();
        derive(salt, &[high, low])
    }

    fn size(&self) -> Result<Size, GenerateError> {
        let size = Size {
            nodes: self.nodes,
            namespaces: self.namespaces,
            pods: self.pods.unwrap_or_else(|| self.nodes.saturating_mul(PODS_PER_NODE)),
        };
        require("--nodes", size.nodes, (1..=1_000_000).contains(&size.nodes), "1 to 1000000")?;
        let namespaces = (2..=1_000_000).contains(&size.namespaces);
        require("--namespaces", size.namespaces, namespaces, "2 to 1000000")?;
        let pods = (1..=50_000_000).contains(&size.pods);
        require("--pods (by default 56 a node)", size.pods, pods, "1 to 50000000")?;
        let files = self.files_per_day;
        require("--files-per-day", files, (1..=24).contains(&files), "1 to 24")?;
        require("--rows-per-group", self.rows_per_group, self.rows_per_group > 0, "at least 1")?;
        require("--days", self.days, (1..=3660).contains(&self.days), "1 to 3660")?;
        let org = &self.org_id;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let named = !org.is_empty() && org.chars().all(plain);
        require("--org-id", org, named, "letters, digits, '-' and '_' only")?;
        Ok(size)
    }
}

fn require(
    option: &'static str,
    value: impl ToString,
    holds: bool,
    must_be: &'static str,
) -> Result<(), GenerateError> {
    match holds {
        true => Ok(()),
        false => Err(GenerateError::Option { option, value: value.to_string(), must_be }),
    }
}

/// Writes the tree and its lookups; returns what was written.
///
/// Files appear complete under their names or not at all. After a failure those that were complete
/// stay, and the next attempt needs [`Plan::overwrite`].
///
/// # Errors
/// [`GenerateError`] if an option is out of range, the source has data already, or the file
/// system refuses.
pub fn run(plan: &Plan) -> Result<Summary, GenerateError> {
    run_in(plan, &plan.out, None)
}

/// Writes the tree into an object store: [`run`] where [`Plan::out`] is one, of which it is only
/// the name here. Each file lies in the system's folder for temporary files until it is there.
///
/// # Errors
/// As for [`run`], and what the store reports.
pub fn run_to_store(plan: &Plan, store: &S3Store) -> Result<Summary, GenerateError> {
    let staging = tempfile::Builder::new()
        .prefix("generate-")
        .tempdir()
        .map_err(|source| GenerateError::CreateFolder { path: std::env::temp_dir(), source })?;
    run_in(plan, staging.path(), Some(store))
}

fn run_in(plan: &Plan, root: &Path, store: Option<&S3Store>) -> Result<Summary, GenerateError> {
    let size = plan.size()?;
    let days = Day::range(plan.from, plan.days).ok_or_else(|| GenerateError::Option {
        option: "--days",
        value: plan.days.to_string(),
        must_be: "few enough to stay within the calendar",
    })?;
    let layout = Layout::new(root, &plan.org_id, plan.provider_uuid);
    match store {
        None => layout.make_room(plan.overwrite)?,
        Some(store) => layout.make_room_in(store, &plan.out, plan.overwrite)?,
    }
    let cluster = Cluster::new(plan.source_seed(plan.seed), size);
    lookups::write(&plan.lookups, &cluster, &plan.cluster_id())?;

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(plan.threads.unwrap_or(0))
        .build()
        .map_err(|source| GenerateError::Threads { source })?;
    let files: Vec<(&Day, u32)> =
        days.iter().flat_map(|day| (0..plan.files_per_day).map(move |file| (day, file))).collect();
    pool.install(|| {
        files
            .into_par_iter()
            .map(|(day, file)| {
                let written = write_file(plan, &layout, &cluster, day, file)?;
                if let Some(store) = store {
                    layout.upload(store, day, file)?;
                }
                Ok(written)
            })
            .try_reduce(Summary::default, |a, b| Ok(a.and(b)))
    })
}

/// Writes the files of all types for one part of a day.
fn write_file(
    plan: &Plan,
    layout: &Layout,
    cluster: &Cluster,
    day: &Day,
    file: u32,
) -> Result<Summary, GenerateError> {
    let from = 24 * file / plan.files_per_day;
    let to = 24 * (file + 1) / plan.files_per_day;
    let table = |report, grain| {
        let path = layout.file(report, grain, day, file);
        TableFile::new(path, report.columns(grain), plan.rows_per_group)
    };
    let tables =
        |report| (table(report, Grain::Hourly), plan.daily.then(|| table(report, Grain::Daily)));
    let pods = pods::living(cluster, day, from, to);
    let texts = Texts::of(cluster, &pods);

    let mut summary = Summary::default();
    let (hourly, daily) = tables(Report::PodUsage);
    let pod_usage = PodUsage {
        cluster,
        day,
        hours: from..to,
        pods: &pods,
        texts: &texts,
        unique: plan.unique_groups,
    };
    summary.count(Report::PodUsage, pod_usage.write(hourly, daily)?);

    let (hourly, daily) = tables(Report::StorageUsage);
    let storage_usage = StorageUsage { cluster, day, hours: from..to, pods: &pods, texts: &texts };
    summary.count(Report::StorageUsage, storage_usage.write(hourly, daily)?);

    for report in [Report::NodeLabels, Report::NamespaceLabels] {
        let (hourly, daily) = tables(report);
        let written = label_rows::write(report, cluster, day, from..to, hourly, daily)?;
        summary.count(report, written);
    }
    Ok(summary)
}
