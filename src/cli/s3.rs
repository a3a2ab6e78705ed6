//! How to reach an object store that a subcommand writes to.

use clap::Args;

use super::{Flags, text};

/// Endpoint and keys come from the environment or the config file alone.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Object store")]
pub struct S3Flags {
    /// PEM file with the authorities to trust for an object store [default: those of the system].
    #[arg(long, value_name = "FILE", value_parser = text())]
    pub s3_ca: Option<String>,

    /// Where the bucket's name stands in a request: `path` (host/bucket) or `virtual`
    /// (bucket.host) [default: path].
    #[arg(long, value_name = "STYLE", value_parser = ["path", "virtual"])]
    pub s3_addressing: Option<String>,

    /// A request to an object store that is not answered for this long has failed [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub s3_timeout: Option<String>,

    /// A request to an object store that fails in passing is tried again for this long
    /// [default: 3min].
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub s3_retry_for: Option<String>,
}

impl Flags for S3Flags {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "s3-ca" => self.s3_ca.clone(),
            "s3-addressing" => self.s3_addressing.clone(),
            "s3-timeout" => self.s3_timeout.clone(),
            "s3-retry-for" => self.s3_retry_for.clone(),
            _ => None,
        }
    }
}
