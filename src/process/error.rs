//! Why the work of worker processes failed.

use std::fmt;
use std::io;

use super::Ending;
use crate::failpoint::FailpointError;

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(
        "cannot start a worker process; ask for fewer with --processes, or leave it out to work in \
         one process"
    )]
    Start { source: io::Error },

    #[error(
        "a worker process speaks another version of the protocol than this program: do not replace \
         the program while it runs; run again"
    )]
    Version,

    #[error(
        "a worker process sent what does not fit together; run without --processes, and report this with \
         the log"
    )]
    Garbled,

    /// What would have failed in one process too, in the same words.
    #[error("{message}")]
    Failed { message: String, code: u8 },

    #[error(
        "two worker processes in a row died over {task}: the first {first}, the second {second}; {}; \
         its days were left as they were",
        advice(*second)
    )]
    Died { task: TaskName, first: Ending, second: Ending },

    #[error(transparent)]
    Failpoint(#[from] FailpointError),
}

fn advice(ending: Ending) -> &'static str {
    if ending.is_out_of_memory() {
        "raise the memory limit, or ask for fewer --processes, which share it"
    } else {
        "run this day alone without --processes to see what is wrong with it"
    }
}

/// What a task was about, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// `2025-10-01 of source …`, or from the first to the last day.
    pub days: String,
    pub files: Vec<String>,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 3;
        write!(f, "{} ({}", self.days, self.files[..self.files.len().min(MOST)].join(", "))?;
        match self.files.len().saturating_sub(MOST) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more files)"),
        }
    }
}
