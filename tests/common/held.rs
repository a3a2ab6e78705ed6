//! Runs that are held at a failpoint. Needs the feature `failpoints`.

use super::program::{Done, Run, Running};

/// A run that stops at a point of the PostgreSQL sink, where it first gets there, until it is let go.
pub struct Held {
    pub run: Running,
    folder: tempfile::TempDir,
}

impl Held {
    /// Starts `run` and waits until it is at `point`.
    pub fn at(point: &str, run: &Run) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        let setting = format!("sink.postgres.{point}=wait:{}", gate.display());
        let mut run = run.clone().environment("OCP_ROLLUP_FAILPOINT", setting).start();
        let reached = gate.with_file_name("gate.reached");
        run.until(|| reached.exists());
        Held { run, folder }
    }

    pub fn let_go(&self) {
        std::fs::write(self.folder.path().join("gate"), "").unwrap();
    }

    pub fn done(self) -> Done {
        self.run.done()
    }
}
