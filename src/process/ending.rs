//! How a worker process ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How a worker that had work to do ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By a signal that the coordinator did not send.
    Signal {
        signal: i32,
        out_of_memory: bool,
    },
    Code(i32),
    /// It gave no sign of life for so long and was killed.
    Silent(Duration),
    /// It sent what is no answer and was killed.
    Garbled,
}

const SIGKILL: i32 = 9;

impl Ending {
    /// `oom_kills`: whether the kernel counted any in the cgroup meanwhile.
    pub fn of(status: ExitStatus, oom_kills: bool) -> Self {
        match (status.signal(), status.code()) {
            (Some(signal), _) => {
                Ending::Signal { signal, out_of_memory: signal == SIGKILL && oom_kills }
            }
            (None, code) => Ending::Code(code.unwrap_or_default()),
        }
    }

    /// Whether the kernel seems to have killed it for lack of memory.
    pub fn is_out_of_memory(self) -> bool {
        matches!(self, Ending::Signal { out_of_memory: true, .. })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Signal { signal, out_of_memory: false } => {
                write!(f, "was killed by signal {signal}")
            }
            Ending::Signal { signal, out_of_memory: true } => {
                write!(
                    f,
                    "was killed by signal {signal}, most likely by the kernel for lack of memory"
                )
            }
            Ending::Code(code) => write!(f, "ended with code {code}"),
            Ending::Silent(time) => {
                write!(f, "gave no sign of life for {} s and was killed", time.as_secs_f64())
            }
            Ending::Garbled => f.write_str("sent what is no answer and was killed"),
        }
    }
}
