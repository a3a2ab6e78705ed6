//! `demo`, which takes no flags: it gives its own to the run that it shows.

use std::path::Path;

use clap::Args;

use super::Flags;

/// Roll up a month of a small made-up cluster on this machine; nothing else is needed.
///
/// Makes the input in a new temporary folder, rolls it up into a Parquet file there as `run` does,
/// reads that file back, checks its sums against the input, and shows them. The folder is kept.
/// Exit code: 0 all checks passed, 1 a check failed, 3 or 4 a file could not be read or written.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DemoArgs {}

/// Flags given by the program itself instead of a command line.
#[derive(Debug, Clone, Default)]
pub struct GivenFlags(Vec<(&'static str, String)>);

impl GivenFlags {
    /// Adds `--name value`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds `--name path`. A path that is not Unicode gets replacement characters, so that it
    /// fails where it is used.
    #[must_use]
    pub fn with_path(self, name: &'static str, path: &Path) -> Self {
        self.with(name, path.to_string_lossy())
    }

    /// Name (without dashes) and value of each, in the order given.
    pub fn all(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

impl Flags for GivenFlags {
    fn value(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.clone())
    }
}
