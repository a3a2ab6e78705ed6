//! `completions` and `man`: what shells and manuals need to know of the command line.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print completions for a shell.
///
/// bash: `ocp-rollup completions bash > /etc/bash_completion.d/ocp-rollup`. zsh: into a file
/// `_ocp-rollup` in a folder of `$fpath`. fish: into `~/.config/fish/completions/ocp-rollup.fish`.
#[derive(Debug, Clone, Copy, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Print a manual page, or write those of all commands into a folder.
///
/// `ocp-rollup man run | man -l -` shows that of `run`. `ocp-rollup man --out
/// /usr/local/share/man/man1` installs all.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The command whose page it is [default: the program itself]
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,

    /// Folder for the pages of all commands
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}
