//! `completions` and `man`.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{exit, output};
use crate::cli::Cli;
use crate::cli::shell::{CompletionsArgs, ManArgs};

/// Why there are no manual pages.
#[derive(Debug, thiserror::Error)]
pub enum ManError {
    #[error("there is no command `{name}`: give one of {known}")]
    NoCommand { name: String, known: String },

    #[error(
        "cannot write manual pages into {}: give a folder that is there and can be written",
        path.display()
    )]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub fn completions(args: CompletionsArgs) -> Result<u8> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    // In what bash gets, a program with a hyphen in its name goes by two names, and nothing below
    // a subcommand is found.
    let script = String::from_utf8_lossy(&script).replace("ocp__subcmd__rollup", "ocp__rollup");
    output::print(script)?;
    Ok(exit::DONE)
}

pub fn man(args: &ManArgs) -> Result<u8> {
    let mut command = Cli::command();
    if let Some(folder) = &args.out {
        clap_mangen::generate_to(command, folder)
            .map_err(|source| ManError::Write { path: folder.clone(), source })?;
        return Ok(exit::DONE);
    }
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            ManError::NoCommand { name: name.clone(), known: known.join(", ") }
        })?,
    };
    let program = format!("ocp-rollup {}", env!("CARGO_PKG_VERSION"));
    output::write(|out| Man::new(page).source(program).render(out))?;
    Ok(exit::DONE)
}
