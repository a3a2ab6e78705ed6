//! Flags of `ocp-rollup generate`.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;
use uuid::Uuid;

use super::ConfigFlag;
use super::s3::S3Flags;
use crate::generate::{PROVIDER_UUID, Plan};

/// Write a synthetic tree of hourly usage in Koku's layout, with its lookups, of any size.
///
/// The defaults make about 10 million hourly pod rows. The same flags make the same files, byte
/// for byte, whatever --threads.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// Folder that is to hold `data/` and `lookups/`, or `s3://bucket[/prefix]` for `data/`
    #[arg(long, value_name = "DIR|URI", help_heading = "Place")]
    pub out: PathBuf,
    /// Folder for the lookups [default: lookups in --out; needed where that is no folder]
    #[arg(long, value_name = "DIR", help_heading = "Place")]
    pub lookups: Option<PathBuf>,
    /// Another seed is another cluster of the same size
    #[arg(long, default_value_t = 1, help_heading = "Size and content")]
    pub seed: u64,
    /// First day, UTC
    #[arg(
        long,
        value_name = "DATE",
        default_value = "2025-10-01",
        help_heading = "Size and content"
    )]
    pub from: NaiveDate,
    /// Number of days
    #[arg(long, default_value_t = 30, help_heading = "Size and content")]
    pub days: u32,
    /// Nodes of the cluster; without --pods, pods grow with them
    #[arg(long, default_value_t = 250, help_heading = "Size and content")]
    pub nodes: usize,
    /// Namespaces of the cluster
    #[arg(long, default_value_t = 400, help_heading = "Size and content")]
    pub namespaces: usize,
    /// Live pods in an average hour [default: 56 for every node]
    #[arg(long, help_heading = "Size and content")]
    pub pods: Option<usize>,
    /// Files of each type a day, 1 to 24
    #[arg(long, default_value_t = 4, help_heading = "Files")]
    pub files_per_day: u32,
    /// Rows after which a file begins another row group
    #[arg(long, value_name = "ROWS", default_value_t = 200_000, help_heading = "Files")]
    pub rows_per_group: usize,
    /// Account part of the path
    #[arg(long, value_name = "ORG", default_value = "org1234567", help_heading = "Place")]
    pub org_id: String,
    /// Source the files belong to; another source is another cluster
    #[arg(long, value_name = "UUID", default_value_t = PROVIDER_UUID, help_heading = "Place")]
    pub provider_uuid: Uuid,
    /// Cluster named in the node lookup [default: one that follows from the source]
    #[arg(long, value_name = "ID", help_heading = "Place")]
    pub cluster_id: Option<String>,
    /// Worker threads [default: one for every processor]
    #[arg(long, help_heading = "Performance")]
    pub threads: Option<usize>,
    /// Give every pod row an enabled label with a value of its own: as many groups as rows
    #[arg(long, help_heading = "Size and content")]
    pub unique_groups: bool,
    /// Leave out the daily files
    #[arg(long, help_heading = "Files")]
    pub no_daily: bool,
    /// Replace the data this source already has in DIR (other sources are left alone)
    #[arg(long, help_heading = "Place")]
    pub overwrite: bool,
    #[command(flatten)]
    pub config: ConfigFlag,
    #[command(flatten)]
    pub s3: S3Flags,
}

impl From<GenerateArgs> for Plan {
    fn from(args: GenerateArgs) -> Self {
        Self {
            lookups: args.lookups.unwrap_or_else(|| args.out.join("lookups")),
            out: args.out,
            seed: args.seed,
            from: args.from,
            days: args.days,
            nodes: args.nodes,
            namespaces: args.namespaces,
            pods: args.pods,
            files_per_day: args.files_per_day,
            rows_per_group: args.rows_per_group,
            org_id: args.org_id,
            provider_uuid: args.provider_uuid,
            cluster_id: args.cluster_id,
            threads: args.threads,
            unique_groups: args.unique_groups,
            daily: !args.no_daily,
            overwrite: args.overwrite,
        }
    }
}
