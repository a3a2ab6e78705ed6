//! Flags of `ocp-rollup convert`.

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::logging::LoggingFlags;
use super::s3::S3Flags;
use super::{ConfigFlag, Flags, text};
use crate::convert::Plan;

/// What to convert.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Payload and output")]
pub struct ConvertArgs {
    /// Payload to convert; give all archives of one that was split, each with --input
    #[arg(long, value_name = "PATH", required = true)]
    pub input: Vec<PathBuf>,

    /// Folder, or `s3://bucket[/prefix]`, that is to hold `data/`; it becomes the --source of `run`
    #[arg(long, value_name = "DIR|URI")]
    pub out: PathBuf,

    /// Account part of the path, e.g. `org1234567`
    #[arg(long, value_name = "ORG", value_parser = text())]
    pub org_id: String,

    /// Source (provider) the files belong to
    #[arg(long, value_name = "UUID")]
    pub provider_uuid: Uuid,

    /// Names the upload in the names of its files [default: date and uuid of the manifest;
    /// without a manifest, one that follows from the content of the CSV files]
    #[arg(long, value_name = "ID", value_parser = text())]
    pub manifest_id: Option<String>,

    /// Most that archives may unpack to, together: `500MiB`, `20GiB` or bytes
    #[arg(long, value_name = "SIZE", default_value = "20GiB", value_parser = parse_size)]
    pub max_unpacked: u64,
}

/// Turn what a cluster's metrics operator uploads into hourly and daily Parquet files in Koku's
/// layout.
///
/// An input is the .tar.gz payload, or a folder with its CSV files, or a CSV file. Files get their
/// places only when all of the payload was read well. Converting a payload again replaces its own
/// files. Exit code: 0 done, 2 wrong flags, 3 the payload is not what it must be, 4 the output
/// cannot be written, 6 interrupted.
#[derive(Debug, Clone, Args)]
pub struct ConvertCommand {
    #[command(flatten)]
    pub config: ConfigFlag,
    #[command(flatten)]
    pub args: ConvertArgs,
    #[command(flatten)]
    pub s3: S3Flags,
    #[command(flatten)]
    pub logging: LoggingFlags,
}

impl Flags for ConvertCommand {
    fn value(&self, name: &str) -> Option<String> {
        self.s3.value(name).or_else(|| self.logging.value(name))
    }
}

impl From<ConvertArgs> for Plan {
    fn from(args: ConvertArgs) -> Self {
        Self {
            inputs: args.input,
            out: args.out,
            org_id: args.org_id,
            provider_uuid: args.provider_uuid,
            manifest_id: args.manifest_id,
            max_unpacked: args.max_unpacked,
        }
    }
}

fn parse_size(text: &str) -> Result<u64, &'static str> {
    crate::settings::bytes(text).ok_or("give a size such as `500MiB`, `20GiB` or bytes")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::convert::MAX_UNPACKED;

    #[test]
    fn the_default_limit_is_the_documented_one() {
        let uuid = Uuid::nil().to_string();
        let flags = ["--input", "a", "--out", "b", "--org-id", "o", "--provider-uuid", &uuid];
        let all = ["ocp-rollup", "convert"].iter().chain(&flags);
        let Command::Convert(command) = Cli::try_parse_from(all).unwrap().command else {
            panic!("this is convert")
        };
        assert_eq!(Plan::from(command.args).max_unpacked, MAX_UNPACKED);
    }
}
