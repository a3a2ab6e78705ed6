//! Why a comparison could not be made.

use std::io;
use std::path::PathBuf;

/// Each message names the variant or the file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(
        "bench does not take --{flag}: it runs the program many times and watches it by itself; leave \
         it out (--json and --html report what was measured), or give it to `run`"
    )]
    NotTaken { flag: &'static str },

    #[error("cannot make a temporary folder in {}; set TMPDIR to a folder that can be written", path.display())]
    Folder { path: PathBuf, source: io::Error },

    #[error("cannot start this program again for `{variant}`")]
    Start { variant: String, source: io::Error },

    #[error("cannot watch the process of `{variant}`")]
    Watch { variant: String, source: io::Error },

    /// `said` is what the child wrote to standard error.
    #[error("`{variant}` failed with exit code {code}; it ran with {flags} and said: {said}")]
    Failed { variant: String, code: u8, flags: String, said: String },

    #[error(
        "`{variant}` was ended by a signal; if the kernel ended it for lack of memory, give it less to do"
    )]
    Killed { variant: String },

    #[error("`{variant}` did not say what it used; it said: {said}")]
    Answer { variant: String, said: String, source: serde_json::Error },

    #[error("cannot read back {}, which `{variant}` wrote", path.display())]
    ReadBack { variant: String, path: PathBuf, source: io::Error },

    #[error(
        "`{variant}` wrote other bytes than `{first}`: settings of performance must not change \
         rows, so neither can be trusted; both are in {}",
        folder.display()
    )]
    Different { variant: String, first: String, folder: PathBuf },

    #[error("interrupted; nothing was reported")]
    Interrupted,
}
