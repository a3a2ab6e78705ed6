//! One run in a process of its own, timed and watched.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::BenchError;
use super::measure::Measured;

/// How often a child is looked at: the grain of its time and of its memory over time.
const LOOK: Duration = Duration::from_millis(2);
/// The end of a long message is what says what went wrong.
const MOST_SAID: usize = 4000;

/// What a child is to do.
pub struct Task<'a> {
    pub program: &'a Path,
    /// The hidden subcommand that measures itself.
    pub subcommand: &'static str,
    /// For messages.
    pub variant: &'a str,
    /// Read and decompress only.
    pub floor: bool,
    /// Names without dashes.
    pub flags: &'a [(&'static str, String)],
    /// For what the child says.
    pub folder: &'a Path,
}

/// Resident memory of a process at one time after its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub seconds: f64,
    pub bytes: u64,
}

/// One run as seen from outside and from inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// From the start of the process to its end.
    pub wall: f64,
    pub measured: Measured,
    pub memory: Vec<Sample>,
}

/// Runs a child to its end.
///
/// # Errors
/// It cannot be started, fails, or `cancelled` was set meanwhile, which ends it.
pub fn run(task: &Task<'_>, cancelled: &AtomicBool) -> Result<Run, BenchError> {
    let variant = || task.variant.to_owned();
    let started_failed = |source| BenchError::Start { variant: variant(), source };
    let (answer, said) = (task.folder.join("answer"), task.folder.join("said"));
    let mut command = Command::new(task.program);
    command
        .arg(task.subcommand)
        .args(task.floor.then_some("--floor"))
        .args(arguments(task.flags))
        .stdin(Stdio::null())
        .stdout(File::create(&answer).map_err(started_failed)?)
        .stderr(File::create(&said).map_err(started_failed)?);
    let started = Instant::now();
    let mut child = command.spawn().map_err(started_failed)?;
    let watched = watch(&mut child, started, cancelled);
    let wall = started.elapsed().as_secs_f64();
    let (status, memory) =
        watched.map_err(|source| BenchError::Watch { variant: variant(), source })?;
    if cancelled.load(Ordering::Relaxed) {
        return Err(BenchError::Interrupted);
    }
    if !status.success() {
        let said = tail(&read(&said));
        return Err(match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) => {
                BenchError::Failed { variant: variant(), code, flags: shown(task.flags), said }
            }
            None => BenchError::Killed { variant: variant() },
        });
    }
    let answer = read(&answer);
    let measured = serde_json::from_str(&answer).map_err(|source| BenchError::Answer {
        variant: variant(),
        said: tail(&answer),
        source,
    })?;
    Ok(Run { wall, measured, memory })
}

fn watch(
    child: &mut Child,
    started: Instant,
    cancelled: &AtomicBool,
) -> io::Result<(ExitStatus, Vec<Sample>)> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut memory = Vec::new();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, memory));
        }
        if cancelled.load(Ordering::Relaxed) {
            child.kill()?;
            return Ok((child.wait()?, memory));
        }
        if let Some(bytes) = resident(&status_file) {
            memory.push(Sample { seconds: started.elapsed().as_secs_f64(), bytes });
        }
        std::thread::sleep(LOOK);
    }
}

/// `None` once the process is gone.
fn resident(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// One word each, so that a value may begin with a hyphen.
fn arguments(flags: &[(&'static str, String)]) -> impl Iterator<Item = String> {
    flags.iter().map(|(name, value)| format!("--{name}={value}"))
}

fn shown(flags: &[(&'static str, String)]) -> String {
    arguments(flags).collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let skipped = text.chars().count().saturating_sub(MOST_SAID);
    text.chars().skip(skipped).collect()
}
