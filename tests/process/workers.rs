//! A generated tree, runs of it by worker processes, and these processes as the kernel shows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ocp_rollup::generate::{self, Plan};
use tempfile::TempDir;

pub const DAYS: u32 = 6;

/// Days of usage of which one takes a worker about as long as it takes to start.
pub fn tree() -> &'static Path {
    static TREE: OnceLock<TempDir> = OnceLock::new();
    TREE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan {
            days: DAYS,
            nodes: 8,
            namespaces: 12,
            pods: Some(150),
            daily: false,
            ..Plan::new(folder.path().to_owned())
        };
        generate::run(&plan).unwrap();
        folder
    })
    .path()
}

/// `run` over the tree into `out`, with nothing of this process's environment.
pub fn command(out: &Path, more: &[&str]) -> Command {
    command_to(&format!("csv:{}", out.display()), DAYS, more)
}

/// The same of the first `days` days into any sink.
pub fn command_to(sink: &str, days: u32, more: &[&str]) -> Command {
    let tree = tree();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
    command.env_clear().arg("run").arg("--source").arg(tree);
    command.args(["--org-id", "org1234567"]);
    command.args(["--provider-uuid", &generate::PROVIDER_UUID.to_string()]);
    command.args(["--from", "2025-10-01", "--to", &format!("2025-10-{days:02}")]);
    command.arg("--lookups").arg(tree.join("lookups"));
    command.args(["--sink", sink]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The bytes of a run in one process.
pub fn wanted() -> &'static [u8] {
    static WANTED: OnceLock<Vec<u8>> = OnceLock::new();
    WANTED.get_or_init(|| {
        let (_folder, out) = out();
        let output = command(&out, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        fs::read(out).unwrap()
    })
}

pub fn out() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    (folder, out)
}

pub fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The processes whose parent is `parent`, ended ones that no one waited for too.
pub fn children(parent: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // The name in parentheses may hold anything; state and parent follow it.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        if after.split_whitespace().nth(1) == Some(&parent.to_string()) {
            children.push(pid);
        }
    }
    children.sort_unstable();
    children
}

/// Whether a process runs or could: one that has ended and was not waited for cannot.
pub fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().split_whitespace().next();
    state.is_some_and(|state| state != "Z" && state != "X")
}

pub fn signal(name: &str, pid: u32) {
    // It may have ended meanwhile.
    let _ =
        Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Waits for workers of a run that goes on: at least `count`.
pub fn workers(run: &mut Child, count: usize) -> Vec<u32> {
    let mut found = Vec::new();
    until("there are workers", || {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        found = children(run.id());
        found.len() >= count
    });
    found
}

#[track_caller]
pub fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the end of a run, and asserts that none of `workers` is left.
#[track_caller]
pub fn done(mut run: Child, workers: &[u32]) -> Output {
    until("the run ends", || run.try_wait().unwrap().is_some());
    for &worker in workers {
        until("no worker is left", || !is_there(worker));
    }
    run.wait_with_output().unwrap()
}
