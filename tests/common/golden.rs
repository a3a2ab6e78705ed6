//! The golden scenarios, and the program run on them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

/// A folder whose `iqe`, `poc` and `extra` hold more scenarios, where there is one.
const MORE: &str = "OCP_ROLLUP_GOLDEN";

/// One scenario.
#[derive(Debug)]
pub struct Scenario {
    /// The folder's last two parts.
    pub name: String,
    pub folder: PathBuf,
    /// What holds `data/`.
    pub tree: PathBuf,
    pub params: Params,
}

#[derive(Debug, Deserialize)]
pub struct Params {
    pub schema: String,
    pub source_uuid: String,
    pub cluster_id: String,
    pub cluster_alias: String,
    /// One per month, in order.
    pub runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub struct Run {
    pub report_period_id: i32,
    pub start_date: String,
    pub end_date: String,
}

/// The scenarios of the repository, and those beside it where they are there.
pub fn scenarios() -> Vec<Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own: Vec<Scenario> = ["tests/golden", "tests/golden_extra"]
        .iter()
        .flat_map(|set| read(&root.join(set)))
        .collect();
    assert_eq!(own.len(), 18 + 5, "the scenarios of the repository are complete");
    #[expect(clippy::disallowed_methods, reason = "where test data lie is no setting of a run")]
    let more = std::env::var_os(MORE).map_or_else(|| root.join("../shared/golden"), PathBuf::from);
    let more = ["iqe", "poc", "extra"].iter().flat_map(|set| read(&more.join(set)));
    own.into_iter().chain(more).collect()
}

fn read(folder: &Path) -> Vec<Scenario> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("params.json").is_file());
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let params = std::fs::read(folder.join("params.json")).unwrap();
            let part = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
            Scenario {
                name: format!("{}/{}", part(folder.parent().unwrap()), part(&folder)),
                params: serde_json::from_slice(&params).unwrap(),
                tree: folder.join("parquet"),
                folder,
            }
        })
        .collect()
}

impl Scenario {
    /// What upstream's SQL wrote, or `None` if the scenario has no such file.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|file| file.is_file())
    }

    /// `ocp-rollup run` over the days of the scenario with nothing else in its environment, and
    /// no log but warnings. Neither lookups nor cluster nor sink are given yet.
    pub fn run(&self) -> Command {
        let (first, last) = (&self.params.runs[0], &self.params.runs[self.params.runs.len() - 1]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocp-rollup"));
        command.env_clear().arg("run");
        command.arg("--source").arg(&self.tree);
        command.args(["--org-id", &self.params.schema]);
        command.args(["--provider-uuid", &self.params.source_uuid]);
        command.args(["--from", &first.start_date, "--to", &last.end_date]);
        command.args(["--log-level", "warn"]);
        command
    }

    /// The same with everything from files, into the CSV file `out`, with `more` flags.
    pub fn run_to_csv<S: AsRef<OsStr>>(&self, out: &Path, more: &[S]) -> Result<Vec<u8>, String> {
        let mut command = self.run();
        command.arg("--lookups").arg(&self.folder);
        command.args(["--cluster-id", &self.params.cluster_id]);
        command.args(["--cluster-alias", &self.params.cluster_alias]);
        command.arg("--sink").arg(format!("csv:{}", out.display()));
        succeed(command.args(more))?;
        std::fs::read(out).map_err(|e| format!("{}: {e}", out.display()))
    }
}

/// Runs a command that must end with code 0.
pub fn succeed(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|e| e.to_string())?;
    match output.status.code() {
        Some(0) => Ok(output),
        code => Err(format!(
            "{command:?}\nended with {code:?}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Fails the test with every failure there is.
pub fn report(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}
