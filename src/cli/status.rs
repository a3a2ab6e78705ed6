//! Flags of `status`: those of `run`, and how to print.

use clap::Args;

use super::run::RunFlags;

pub(super) const ABOUT: &str = "\
Shows of each source and day whether its rows are those that `run` with the same flags would write: \
done, stale (what they were made of has changed since), missing (never written), or empty (no input). \
Reads listings, footers, lookups and the ledger, and changes nothing. `run --incremental` with the \
same flags does all days but those that are done.";

#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "The flags are those of `run`; see `ocp-rollup run --help` for examples.")]
pub struct StatusFlags {
    #[command(flatten)]
    pub run: RunFlags,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}
