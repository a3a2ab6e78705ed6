//! What is logged, and how. Logs go to stderr.

use clap::Args;

use super::{Flags, text};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Logging")]
pub struct LoggingFlags {
    /// Form of the log lines [default: auto, which is human on a terminal and JSON otherwise].
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "human", "json"])]
    pub log_format: Option<String>,

    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, or filter directives such as
    /// `info,ocp_rollup::read=debug` [default: info].
    #[arg(long, value_name = "LEVEL", value_parser = text())]
    pub log_level: Option<String>,
}

impl Flags for LoggingFlags {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "log-format" => self.log_format.clone(),
            "log-level" => self.log_level.clone(),
            _ => None,
        }
    }
}
