//! Metrics in a file, for the textfile collector of node exporter.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::MetricsError;
use super::text::PREFIX;
use crate::sink::file::{FileError, PendingFile};

/// A file that is replaced as a whole, so that no reader sees half of it.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    /// Whether the last try failed: said once.
    failed: bool,
}

impl MetricsFile {
    pub fn new(path: PathBuf) -> Self {
        MetricsFile { path, failed: false }
    }

    /// When a run with this file last was a success, as the file says.
    pub fn last_success(&self) -> Option<f64> {
        last_success(&fs::read_to_string(&self.path).ok()?)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The folder or the disk does not take it.
    pub fn write(&mut self, text: &str) -> Result<(), MetricsError> {
        replace(&self.path, text).map_err(MetricsError::File)
    }

    /// The same, where nothing is to fail for it.
    pub fn try_write(&mut self, text: &str) {
        match self.write(text) {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!("the file of metrics stays behind: {:#}", anyhow::Error::new(error));
            }
            Err(_) => {}
        }
    }
}

fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    let mut file = PendingFile::create(path)?;
    file.write_all(text.as_bytes()).map_err(|source| file.error(source))?;
    file.commit()
}

fn last_success(text: &str) -> Option<f64> {
    let name = format!("{PREFIX}last_success_timestamp_seconds{{");
    let line = text.lines().find(|line| line.starts_with(&name))?;
    line.rsplit(' ').next()?.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_success_outlives_runs_that_fail() {
        let text = "# HELP ocp_rollup_last_success_timestamp_seconds x\n\
                    ocp_rollup_last_success_timestamp_seconds{schema=\"a b\"} 1764000000.25\n";
        assert_eq!(last_success(text), Some(1_764_000_000.25));
        assert_eq!(last_success("ocp_rollup_running{} 1\n"), None);
        assert_eq!(last_success("ocp_rollup_last_success_timestamp_seconds{} NaN\n"), None);
    }
}
