//! What this process uses, and what the host has.

use std::fs;

/// The most memory that was resident at once, in bytes; `None` where the kernel does not say.
pub fn peak_resident() -> Option<u64> {
    status("VmHWM:")
}

/// Memory that no file backs, in bytes.
pub fn anonymous() -> Option<u64> {
    status("RssAnon:")
}

fn status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The host's memory in bytes; as good as none where it cannot be told.
pub fn host() -> u64 {
    let Ok(mut system) = sysinfo::System::new() else {
        return u64::MAX;
    };
    system.refresh_memory();
    match system.total_memory() {
        0 => u64::MAX,
        bytes => bytes,
    }
}
