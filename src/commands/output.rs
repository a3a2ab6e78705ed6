//! Standard output and error, either of which may be closed or full: no reason to panic.

use std::fmt::Display;
use std::io::{self, Write};

/// Why what was asked for could not be printed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: check where it is directed; all else was done")]
pub struct OutputError {
    #[from]
    source: io::Error,
}

/// Prints what was asked for. Whoever reads it may have seen enough and gone: not an error.
pub fn print(text: impl Display) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says why there is nothing to print. Where that is not possible, the exit code alone says it.
pub fn error(message: impl Display) {
    let _ = writeln!(io::stderr(), "error: {message}");
}
