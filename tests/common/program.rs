//! The program itself, run as a user would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ocp_rollup::settings::Postgres;

use super::rows::SOURCE;
use super::tree::{ORG, Tree};

/// A tree, lookups, and a folder for the output.
pub struct Scene {
    pub tree: Tree,
    dir: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Scene { tree: Tree::new(), dir };
        std::fs::create_dir(scene.lookups()).unwrap();
        std::fs::create_dir(scene.output()).unwrap();
        scene.lookup("enabled_tag_keys.csv", "key,enabled,provider_type\napp,true,OCP\n");
        scene.lookup("cost_category_namespace.csv", "namespace,cost_category_id\nopen%,1\n");
        scene.lookup("nodes.csv", "node,resource_id,node_role\nnode-1,i-1,worker\n");
        scene
    }

    pub fn lookups(&self) -> PathBuf {
        self.dir.path().join("lookups")
    }

    /// Writes one of the files of lookups.
    pub fn lookup(&self, file: &str, text: &str) {
        std::fs::write(self.lookups().join(file), text).unwrap();
    }

    /// The folder where outputs belong.
    pub fn output(&self) -> PathBuf {
        self.dir.path().join("output")
    }

    /// Where [`Scene::run`] writes.
    pub fn csv(&self) -> PathBuf {
        self.output().join("out.csv")
    }

    /// `run` for October 2025 of [`SOURCE`] to a CSV file.
    pub fn run(&self) -> Run {
        Run::new()
            .with("source", self.tree.path().display())
            .with("org-id", ORG)
            .with("provider-uuid", SOURCE)
            .with("from", "2025-10-01")
            .with("to", "2025-10-31")
            .with("lookups", self.lookups().display())
            .with("sink", format!("csv:{}", self.csv().display()))
    }

    /// The same into a tenant's table, for report period 1; one day after the other, so that it is
    /// known which of them are done.
    pub fn run_into(&self, tenant: &Postgres) -> Run {
        self.run()
            .with("sink", "postgres")
            .with("report-period-id", 1)
            .with("connections", 1)
            .database(tenant)
    }

    /// The rows that a run without a fault writes, by the names in the header.
    pub fn rows(&self) -> Vec<BTreeMap<String, String>> {
        self.run().done().succeeds();
        read_csv(&self.csv())
    }

    /// Asserts that no file was made where outputs belong, not even a hidden one.
    #[track_caller]
    pub fn wrote_nothing(&self) {
        let found: Vec<_> = std::fs::read_dir(self.output()).unwrap().collect();
        assert!(found.is_empty(), "left behind: {found:?}");
    }
}

/// The records of a CSV file by the names in its header.
pub fn read_csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().into_deserialize().map(Result::unwrap).collect()
}

/// A run to be: flags by name, and the whole environment of the program.
#[derive(Debug, Clone)]
pub struct Run {
    subcommand: &'static str,
    switches: Vec<&'static str>,
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Run {
    pub fn new() -> Self {
        let (flags, environment) = (BTreeMap::new(), BTreeMap::new());
        Run { subcommand: "run", switches: Vec::new(), flags, environment }
    }

    /// Another subcommand with the same flags.
    pub fn subcommand(mut self, name: &'static str) -> Self {
        self.subcommand = name;
        self
    }

    /// Gives a flag that takes no value, with its dashes.
    pub fn switch(mut self, flag: &'static str) -> Self {
        self.switches.push(flag);
        self
    }

    /// Gives a flag, or another value to one that was given.
    pub fn with(mut self, flag: &str, value: impl ToString) -> Self {
        self.flags.insert(flag.to_owned(), value.to_string());
        self
    }

    pub fn without(mut self, flag: &str) -> Self {
        self.flags.remove(flag);
        self
    }

    pub fn environment(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Says how to connect.
    pub fn database(self, settings: &Postgres) -> Self {
        let password = settings.password.as_ref().map_or("", |secret| &secret.0);
        self.environment("DATABASE_SERVICE_HOST", &settings.host)
            .environment("DATABASE_SERVICE_PORT", settings.port)
            .environment("DATABASE_NAME", &settings.database)
            .environment("DATABASE_USER", &settings.user)
            .environment("DATABASE_PASSWORD", password)
            .environment("PGSSLMODE", "disable")
            .with("schema", &settings.schema)
    }

    /// The process to be, with its outputs to pipes.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command
            .arg(self.subcommand)
            .args(&self.switches)
            .args(self.flags.iter().map(|(name, value)| format!("--{name}={value}")))
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn start(&self) -> Running {
        Running(Some(self.command().spawn().unwrap()))
    }

    pub fn done(&self) -> Done {
        self.command().output().unwrap().into()
    }
}

/// A run under way; killed if a test fails before its end.
pub struct Running(Option<Child>);

/// A run that takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);

impl Running {
    /// Sends the signal `name`, such as `TERM`, and waits until the program has taken it: on a busy
    /// machine it may go on for a while before that.
    pub fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
        let deadline = Instant::now() + HANGS;
        let is_pending = || {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let pending = status.lines().filter_map(|line| {
                line.strip_prefix("ShdPnd:").or_else(|| line.strip_prefix("SigPnd:"))
            });
            // Who has ended takes no more.
            !status.contains("State:\tZ")
                && pending.into_iter().any(|mask| mask.trim().bytes().any(|digit| digit != b'0'))
        };
        while name != "KILL" && is_pending() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Taken is not yet handled.
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Closes the pipe that standard output goes to.
    pub fn close_stdout(&mut self) {
        drop(self.0.as_mut().unwrap().stdout.take());
    }

    /// Waits until `seen`; it must not end before.
    #[track_caller]
    pub fn until(&mut self, mut seen: impl FnMut() -> bool) {
        let deadline = Instant::now() + HANGS;
        while !seen() {
            assert!(Instant::now() < deadline, "waited in vain");
            if self.0.as_mut().unwrap().try_wait().unwrap().is_some() {
                let output = self.0.take().unwrap().wait_with_output().unwrap();
                panic!("ended too early: {:#?}", Done::from(output));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end; a run that does not end is a failure.
    #[track_caller]
    pub fn done(mut self) -> Done {
        let deadline = Instant::now() + HANGS;
        while self.0.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the run hangs");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.take().unwrap().wait_with_output().unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Done {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Done {
    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.does_not_panic();
    }

    /// Asserts that it failed with `code` and one message, which holds each of `parts` and no
    /// cause twice.
    #[track_caller]
    pub fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.does_not_panic();
        let messages: Vec<&str> =
            self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        let [message] = messages[..] else { panic!("not one message: {self:#?}") };
        for part in parts {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
        let causes: Vec<&str> = message.split(": ").filter(|cause| cause.len() > 20).collect();
        for (i, cause) in causes.iter().enumerate() {
            assert!(!causes[..i].contains(cause), "said twice: {message:?}");
        }
        assert_eq!(self.stdout, "", "a failed run has nothing to say on stdout");
    }

    /// Asserts that a warning holds each of `parts`.
    #[track_caller]
    pub fn warns(&self, parts: &[&str]) {
        let found = self.stderr.lines().any(|line| {
            line.contains("\"level\":\"WARN\"") && parts.iter().all(|part| line.contains(part))
        });
        assert!(found, "no warning with {parts:?}: {self:#?}");
    }

    #[track_caller]
    pub fn does_not_panic(&self) {
        for text in ["panicked", "RUST_BACKTRACE", "unwrap()", "unreachable"] {
            assert!(!self.stderr.contains(text), "{self:#?}");
        }
    }
}
