use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ocp_rollup::cli::generate::GenerateArgs;
use ocp_rollup::generate;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(GenerateArgs),
}

fn main() -> ExitCode {
    let Command::Generate(args) = Cli::parse().command;
    match generate::run(&args.into()) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = if error.is_usage() { 2 } else { 3 };
            eprintln!("Error: {:#}", anyhow::Error::new(error));
            ExitCode::from(code)
        }
    }
}
