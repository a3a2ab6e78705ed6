//! Flags of `bench`: those of `run`, what to compare, and where to report.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::run::RunFlags;

pub(super) const ABOUT: &str = "\
Rolls the same rows up again and again, each time in a process of its own and by turns: with streaming, \
column filtering and categorical on and off in all combinations, with 1, 2, 4, ... threads, and with \
chunks of several sizes. Prints medians of time, CPU and peak memory, and what each way of saving saves \
beside what it was claimed to save. Checks that all of them write the same bytes.

Without --source (or its variable or key) the rows are made up: about a million, in a temporary folder. \
With it the flags are those of `run`, but rows go to a temporary Parquet file unless --sink is given on \
the command line: a table is replaced only where that is asked for.";

const EXAMPLES: &str = "\
Examples:
  On made-up rows, with a page of plots
    ocp-rollup bench --html bench.html
  On a month of a cluster, ten million rows or more
    ocp-rollup bench --source /srv/koku --org-id org1234567 --provider-uuid $UUID \\
                     --from 2025-10-01 --to 2025-10-31 --lookups ./lookups --runs 5 --json bench.json";

/// Flags of `run` that mean nothing here: its runs are many, short, and watched by `bench` itself.
pub const NOT_TAKEN: [&str; 6] =
    ["progress", "progress-interval", "metrics-file", "metrics-listen", "report", "incremental"];

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_args(|flag| {
    let is_taken = flag.get_long().is_none_or(|name| !NOT_TAKEN.contains(&name));
    if is_taken { flag } else { flag.hide(true) }
}))]
pub struct BenchFlags {
    #[command(flatten)]
    pub run: RunFlags,

    /// Runs of each variant, of which the median counts
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000),
          help_heading = "Comparison")]
    pub runs: usize,

    /// Chunk sizes to compare, in rows
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_values_t = [5_000usize, 50_000, 500_000],
          value_parser = RangedU64ValueParser::<usize>::new().range(1..), help_heading = "Comparison")]
    pub chunk_sizes: Vec<usize>,

    /// Days of made-up rows
    #[arg(long, value_name = "N", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=366), help_heading = "Comparison")]
    pub days: u32,

    /// Nodes of the made-up cluster, each about 1,350 pod rows a day
    #[arg(long, value_name = "N", default_value_t = 25,
          value_parser = RangedU64ValueParser::<usize>::new().range(3..=100_000),
          help_heading = "Comparison")]
    pub nodes: usize,

    /// Write all runs as JSON
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,

    /// Write a page with plots, which needs nothing else
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub html: Option<PathBuf>,
}

/// One run that says what it used: what `bench` starts again and again.
#[derive(Debug, Clone, Default, Args)]
pub struct BenchRunFlags {
    #[command(flatten)]
    pub run: RunFlags,

    /// Do not roll up, only read and decompress what a run would.
    #[arg(long)]
    pub floor: bool,
}
