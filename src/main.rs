use std::process::ExitCode;

use clap::Parser;
use ocp_rollup::cli::{Cli, Command};
use ocp_rollup::commands::{self, exit, output};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(flags) => commands::run::run(&flags),
        Command::Plan(flags) => commands::plan::run(&flags),
        Command::Status(flags) => commands::status::run(&flags),
        Command::Verify(command) => commands::verify::run(&command),
        Command::Convert(command) => commands::convert::run(*command),
        Command::Generate(args) => commands::generate::run(*args),
        Command::Demo(args) => commands::demo::run(args),
        Command::Worker => commands::worker::run(),
        Command::Completions(args) => commands::shell::completions(args),
        Command::Man(args) => commands::shell::man(&args),
        Command::Bench(flags) => commands::bench::run(&flags),
        Command::BenchRun(flags) => commands::bench::one_run(&flags),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(format_args!("{error:#}"));
            ExitCode::from(exit::code(&error))
        }
    }
}
