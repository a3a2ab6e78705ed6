//! What this process uses, and what the host has.

use std::fs;
use std::time::Duration;

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

/// CPU time of this process and of the children it has waited for, to a hundredth of a second;
/// `None` where the kernel does not say.
pub fn cpu_time() -> Option<Duration> {
    parse_cpu(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The kernel counts in hundredths of a second whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

fn parse_cpu(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold blanks and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    // utime, stime, cutime and cstime, the 14th to 17th of all fields; the third follows the name.
    let ticks: Option<Vec<u32>> =
        after_name.split_whitespace().skip(11).take(4).map(|field| field.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 4)?;
    Some(TICK * ticks.iter().fold(0, |sum: u32, &next| sum.saturating_add(next)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194560 1 2 3 4 250 50 20 5 20 0 3 0 99 8 9";
        assert_eq!(parse_cpu(stat), Some(Duration::from_millis(3250)));
        assert_eq!(parse_cpu("7 (name) R 1 7 7"), None);
        assert_eq!(parse_cpu(""), None);
    }
}
