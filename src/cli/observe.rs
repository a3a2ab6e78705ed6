//! How a run can be watched.

use clap::Args;

use super::{Flags, text};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Watching")]
pub struct ObserveFlags {
    /// How to show progress on stderr: `bar`s, `json` lines, or `off` [default: auto, which is
    /// bars on a terminal and lines otherwise].
    #[arg(long, value_name = "FORM", value_parser = ["auto", "bar", "json", "off"])]
    pub progress: Option<String>,

    /// How often lines of progress and the file of metrics are written [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub progress_interval: Option<String>,

    /// Keep metrics in this file for the textfile collector of node exporter; it needs the ending
    /// `.prom`, and a file for each job.
    #[arg(long, value_name = "FILE", value_parser = text())]
    pub metrics_file: Option<String>,

    /// Serve metrics at http://ADDRESS/metrics while the run lasts: `127.0.0.1:9187`, or `:9187`
    /// for this machine alone.
    #[arg(long, value_name = "ADDRESS", value_parser = text())]
    pub metrics_listen: Option<String>,

    /// Write `report.json` and `report.html` into this folder at the end, also if the run fails.
    #[arg(long, value_name = "DIR", value_parser = text())]
    pub report: Option<String>,
}

impl Flags for ObserveFlags {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "progress" => self.progress.clone(),
            "progress-interval" => self.progress_interval.clone(),
            "metrics-file" => self.metrics_file.clone(),
            "metrics-listen" => self.metrics_listen.clone(),
            "report" => self.report.clone(),
            _ => None,
        }
    }
}
