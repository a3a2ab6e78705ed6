//! Real memory cgroups, version 1 or 2, where the test may make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A cgroup with a memory limit, removed on drop.
pub struct Cgroup {
    folder: PathBuf,
    processes: &'static str,
    oom_file: &'static str,
}

impl Cgroup {
    /// `None`, said loudly, where cgroups cannot be made.
    pub fn with_limit(name: &str, bytes: u64) -> Option<Cgroup> {
        let name = format!("ocp-rollup-test-{name}-{}", std::process::id());
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let v2 = Path::new("/sys/fs/cgroup");
        let (folder, limit_file, processes, oom_file) = if v1.join("memory.limit_in_bytes").exists()
        {
            (v1.join(&name), "memory.limit_in_bytes", "tasks", "memory.oom_control")
        } else {
            (v2.join(&name), "memory.max", "cgroup.procs", "memory.events")
        };
        let made = fs::create_dir(&folder)
            .and_then(|()| fs::write(folder.join(limit_file), bytes.to_string()));
        if let Err(error) = made {
            eprintln!("SKIPPED: no memory cgroup can be made here ({error}); needs root");
            let _ = fs::remove_dir(&folder);
            return None;
        }
        Some(Cgroup { folder, processes, oom_file })
    }

    /// Runs `program` inside, from its first page on.
    pub fn run(&self, program: &str, arguments: &[String]) -> Output {
        let enter = format!("echo $$ > {}/{}; exec \"$@\"", self.folder.display(), self.processes);
        Command::new("sh")
            .args(["-c", &enter, "sh", program])
            .args(arguments)
            .output()
            .expect("sh is everywhere")
    }

    /// How many processes the kernel killed for lack of memory.
    pub fn oom_kills(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(self.oom_file)).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
