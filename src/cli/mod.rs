//! The command line as typed: no defaults, no input or output.
//!
//! A flag that was not given stays `None`, so that [`crate::settings::settle`] can look for the
//! value in the environment and the config file before it takes the default.

pub mod bench;
pub mod convert;
pub mod demo;
pub mod generate;
pub mod logging;
pub mod observe;
pub mod plan;
pub mod postgres;
pub mod run;
pub mod s3;
pub mod shell;
pub mod status;
pub mod verify;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

const AFTER: &str = "\
Begin with:
  ocp-rollup demo            what it does, on made-up input; needs nothing else
  ocp-rollup plan ...        what `run` with the same flags would read and replace
  ocp-rollup run --help      all settings, by concern, with examples

Exit codes:
  0  done; also if there was nothing to do
  1  verify or a check of demo found differences
  2  usage or configuration
  3  input that cannot be read or contradicts itself
  4  the database, or an output or temporary file
  5  the memory limit is too small; the message names the least that would do
  6  interrupted: the day in progress was rolled back, finished days stay";

/// Colours of help and usage errors; on a terminal only, and not with `NO_COLOR`.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Hourly OpenShift usage in Parquet to the daily summary rows that Koku bills from.
#[derive(Debug, Parser)]
#[command(
    name = "ocp-rollup",
    version,
    styles = STYLES,
    propagate_version = true,
    after_help = AFTER
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Roll up a range of days and replace them in the summary.
    #[command(long_about = run::ABOUT)]
    Run(Box<run::RunFlags>),
    /// Show what `run` would read, replace and leave out.
    #[command(long_about = plan::ABOUT)]
    Plan(Box<plan::PlanFlags>),
    /// Show which days are done, stale or missing.
    #[command(long_about = status::ABOUT)]
    Status(Box<status::StatusFlags>),
    Verify(Box<verify::VerifyCommand>),
    Convert(Box<convert::ConvertCommand>),
    Generate(Box<generate::GenerateArgs>),
    Demo(demo::DemoArgs),
    /// A part of `run --processes`, not for use by hand.
    #[command(hide = true)]
    Worker,
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
    /// Compare the ways of saving, numbers of threads and chunk sizes on the same rows.
    #[command(long_about = bench::ABOUT)]
    Bench(Box<bench::BenchFlags>),
    /// A part of `bench`, not for use by hand.
    // Without a hyphen: the completions of bash would take it for `run` under `bench`.
    #[command(name = "measure", hide = true)]
    BenchRun(Box<bench::BenchRunFlags>),
}

/// The flag that names the config file; shared by every subcommand that settles settings.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "General")]
pub struct ConfigFlag {
    /// YAML file with settings; also `OCP_ROLLUP_CONFIG`. Without it no file is read. A flag
    /// beats an environment variable, which beats the file. A commented file with every key is
    /// `config/config.yaml`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Flags by name, so that one lookup serves flags, environment and file alike.
pub trait Flags {
    /// The text given for `--name` (without the dashes), or `None` if it was not given.
    fn value(&self, name: &str) -> Option<String>;
}

/// No flags at all, for settings that come from the environment and the file alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFlags;

impl Flags for NoFlags {
    fn value(&self, _: &str) -> Option<String> {
        None
    }
}

/// An empty flag is most often an unset variable in a script: better refused than ignored.
pub(crate) fn text() -> NonEmptyStringValueParser {
    NonEmptyStringValueParser::new()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_empty_flag_is_refused() {
        assert!(Cli::try_parse_from(["ocp-rollup", "run", "--from", ""]).is_err());
    }

    #[test]
    fn no_flag_takes_a_secret() {
        let command = Cli::command();
        for subcommand in command.get_subcommands() {
            for argument in subcommand.get_arguments() {
                let name = argument.get_long().unwrap_or_default();
                assert!(!name.contains("password") && !name.contains("secret"), "--{name}");
            }
        }
    }
}
