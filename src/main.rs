use std::process::ExitCode;

use clap::Parser;
use ocp_rollup::cli::{Cli, Command};
use ocp_rollup::commands::{self, exit};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(flags) => commands::run::run(&flags),
        Command::Verify(command) => commands::verify::run(&command),
        Command::Convert(command) => commands::convert::run(*command),
        Command::Generate(args) => commands::generate::run(args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit::code(&error))
        }
    }
}
