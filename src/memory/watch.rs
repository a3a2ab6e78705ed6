//! What the cgroup and this process use, as it changes.

use std::fs;
use std::path::Path;

use super::limit::{Cgroup, CgroupVersion};
use super::usage;

/// A reader of the figures that matter.
#[derive(Debug)]
pub struct Watch {
    /// With its limit in bytes; the host's memory if it has none.
    cgroup: Option<(Cgroup, u64)>,
}

/// Memory in use, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InUse {
    /// Of this process.
    pub own: u64,
    /// Of the other processes of the cgroup, caches not counted: the kernel takes those back.
    pub others: u64,
    /// What they leave of its limit to this process.
    pub left: u64,
}

impl Watch {
    pub fn new(cgroup: Option<Cgroup>) -> Self {
        let host = usage::host();
        let limit = |cgroup: &Cgroup| cgroup.limit(&read_file).unwrap_or(host).min(host);
        Watch { cgroup: cgroup.map(|cgroup| (cgroup.clone(), limit(&cgroup))) }
    }

    pub fn sample(&self) -> InUse {
        let own = usage::anonymous().unwrap_or(0);
        let of_cgroup = self.cgroup.as_ref().and_then(|(cgroup, limit)| {
            let others = anonymous_of(cgroup)?.saturating_sub(own);
            Some((others, limit.saturating_sub(others)))
        });
        let (others, left) = of_cgroup.unwrap_or((0, u64::MAX));
        InUse { own, others, left }
    }
}

fn anonymous_of(cgroup: &Cgroup) -> Option<u64> {
    let (key, file) = match cgroup.version {
        CgroupVersion::V1 => ("total_rss", "memory.stat"),
        CgroupVersion::V2 => ("anon", "memory.stat"),
    };
    let stat = fs::read_to_string(cgroup.folder.join(file)).ok()?;
    stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

/// Reads a file of the cgroup file system.
pub fn read_file(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The cgroup of this process.
pub fn own_cgroup() -> Option<Cgroup> {
    let proc_cgroup = fs::read_to_string("/proc/self/cgroup").ok()?;
    Cgroup::find(&proc_cgroup, Path::new("/sys/fs/cgroup"), &read_file)
}
