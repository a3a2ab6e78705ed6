//! Standard output and error, either of which may be closed or full: no reason to panic.
//!
//! Every command prints through this module, so that all of them meet a pipe that was closed, a
//! full disk and progress bars in the same way.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use crate::report::terminal;

/// Why what was asked for could not be printed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: check where it is directed; all else was done")]
pub struct OutputError {
    #[from]
    source: io::Error,
}

/// Prints what was asked for. Whoever reads it may have seen enough and gone: not an error.
///
/// # Errors
/// Standard output does not take it.
pub fn print(text: impl Display) -> Result<(), OutputError> {
    write(|out| write!(out, "{text}"))
}

/// The same for what is written piece by piece.
///
/// # Errors
/// As for [`print()`].
pub fn write(
    render: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
) -> Result<(), OutputError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = render(&mut out).and_then(|()| out.flush());
    // What is left of it must not be tried again.
    drop(out.into_parts());
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says why there is nothing to print. Where that is not possible, the exit code alone says it.
pub fn error(message: impl Display) {
    let line = format!("error: {message}\n");
    let _ = terminal::Lines.write_all(line.as_bytes());
}
