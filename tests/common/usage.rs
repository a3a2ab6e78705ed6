//! Small synthetic trees, and the program on them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use ocp_rollup::generate::{self, Plan};
use tempfile::TempDir;

use super::s3::{ACCESS, BUCKET, SECRET};

/// Two days of a small cluster, in several files of each type a day, with their lookups.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// Another seed is another cluster whose files have the same names.
    pub fn new(seed: u64) -> Self {
        Self::of(|plan| Plan { seed, nodes: 4, namespaces: 8, pods: Some(40), ..plan })
    }

    /// Of so many pods that a row group takes a few MiB; each file of a day is one.
    pub fn large() -> Self {
        let size = |plan| Plan { nodes: 60, namespaces: 200, pods: Some(3000), ..plan };
        Self::of(|plan| Plan { daily: false, files_per_day: 1, ..size(plan) })
    }

    /// Of so many files of each type a day.
    pub fn of_files(files_per_day: u32) -> Self {
        let size = |plan| Plan { nodes: 4, namespaces: 8, pods: Some(40), ..plan };
        Self::of(|plan| Plan { daily: false, files_per_day, ..size(plan) })
    }

    fn of(size: impl FnOnce(Plan) -> Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(folder.path().join("tree"));
        let plan = Plan { days: 2, files_per_day: 2, threads: Some(1), ..plan };
        generate::run(&size(plan)).unwrap();
        Tree { folder }
    }

    /// What holds `data/` and `lookups/`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// The keys of the hourly pod files of a day of October 2025.
    pub fn pod_files(&self, day: u32) -> Vec<String> {
        let day = format!("2025-10-{day:02}");
        let files = super::files::below(&self.path()).into_keys();
        let hourly = "data/parquet/org1234567/OCP/pod_usage/";
        files.filter(|name| name.starts_with(hourly) && name.contains(&day)).collect()
    }

    pub fn bytes(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.path().join(key)).unwrap()
    }
}

/// A run of the program, or another subcommand with its flags.
pub struct Program {
    command: Command,
    csv: PathBuf,
    _out: TempDir,
}

/// What became of it.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The rows, if any were written.
    pub csv: Option<Vec<u8>>,
    /// Whether anything at all lies where the rows were to go.
    pub left_behind: bool,
}

impl Program {
    /// Both days of `tree` from `source` into a CSV file. Nothing of the environment of the tests
    /// reaches it.
    pub fn new(subcommand: &str, tree: &Tree, source: &str) -> Self {
        let out = tempfile::tempdir().unwrap();
        let csv = out.path().join("out.csv");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command
            .env_clear()
            .arg(subcommand)
            .args(["--source", source, "--org-id", "org1234567"])
            .args(["--provider-uuid", &generate::PROVIDER_UUID.to_string()])
            .args(["--from", "2025-10-01", "--to", "2025-10-02"])
            .args(["--cluster-id", "c", "--report-period-id", "1", "--log-format", "human"])
            .arg("--lookups")
            .arg(tree.path().join("lookups"))
            .arg("--sink")
            .arg(format!("csv:{}", csv.display()));
        Program { command, csv, _out: out }
    }

    pub fn run(tree: &Tree, source: &str) -> Self {
        Self::new("run", tree, source)
    }

    /// On the test bucket at `url`, with its keys.
    pub fn on_s3(subcommand: &str, tree: &Tree, url: &str) -> Self {
        Self::new(subcommand, tree, &format!("s3://{BUCKET}"))
            .env("S3_ENDPOINT", url)
            .env("S3_ACCESS_KEY", ACCESS)
            .env("S3_SECRET", SECRET)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn flag(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    pub fn switch(mut self, name: &str) -> Self {
        self.command.arg(name);
        self
    }

    /// Without a flag that takes a value.
    pub fn without(mut self, name: &str) -> Self {
        let old =
            std::mem::replace(&mut self.command, Command::new(env!("CARGO_BIN_EXE_ocp-rollup")));
        self.command.env_clear();
        self.command.envs(old.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut arguments = old.get_args();
        while let Some(argument) = arguments.next() {
            if argument == name {
                arguments.next();
            } else {
                self.command.arg(argument);
            }
        }
        self
    }

    pub fn end(self) -> Ended {
        self.start().end()
    }

    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().unwrap();
        Running { child, program: self }
    }
}

/// A program on its way.
pub struct Running {
    child: Child,
    program: Program,
}

impl Running {
    /// Asks it to end, as Kubernetes does.
    pub fn terminate(self) -> Ended {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.end()
    }

    pub fn end(self) -> Ended {
        let Output { status, stdout, stderr } = self.child.wait_with_output().unwrap();
        let csv = &self.program.csv;
        Ended {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            csv: std::fs::read(csv).ok(),
            left_behind: std::fs::read_dir(csv.parent().unwrap()).unwrap().next().is_some(),
        }
    }
}

impl Ended {
    /// The rows of a run that went well.
    #[track_caller]
    pub fn rows(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.csv.unwrap()
    }

    /// A run that failed for its input, said why and left nothing behind.
    #[track_caller]
    pub fn refused(&self, why: &str) {
        assert_eq!(self.code, Some(3), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(why), "no {why:?} in: {}", self.stderr);
        assert!(!self.left_behind, "a file was left behind");
        let secrets = [SECRET, ACCESS];
        for secret in secrets {
            assert!(!self.stderr.contains(secret) && !self.stdout.contains(secret));
        }
    }
}

/// The rows that the program makes of a folder on disk.
pub fn local_rows(tree: &Tree, source: &Path) -> Vec<u8> {
    Program::run(tree, source.to_str().unwrap()).end().rows()
}
