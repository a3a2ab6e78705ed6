//! Flags of `plan`: those of `run`, and how to print.

use clap::Args;

use super::run::RunFlags;

pub(super) const ABOUT: &str = "\
Shows what `run` with the same flags would do: the settled settings, what would be read of each day, \
which days would be replaced, and what is left out and why. Reads listings and footers only, and \
connects to no database.";

#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "The flags are those of `run`; see `ocp-rollup run --help` for examples.")]
pub struct PlanFlags {
    #[command(flatten)]
    pub run: RunFlags,

    /// Print one JSON object instead of text.
    #[arg(long, help_heading = "General")]
    pub json: bool,
}
