//! How the system's allocator gives memory back.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::watch;
use crate::settings::load;

/// By itself glibc keeps ever larger pieces for later once some were freed, in an arena of each
/// thread: a run then holds half as much again as it uses. With fixed thresholds what a finished
/// day held goes back to the system.
const MMAP: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "1048576");
const TRIM: &str = "MALLOC_TRIM_THRESHOLD_";

/// In a cgroup smaller than this each arena keeps little, or a neighbour that takes memory would meet
/// what no one uses; elsewhere more, since to give it back and ask again takes a twentieth of the time.
const SMALL: u64 = 1024 * 1024 * 1024;

/// Bytes that each arena keeps, in a cgroup of `limit` bytes.
fn kept(limit: Option<u64>) -> &'static str {
    match limit {
        Some(limit) if limit < SMALL => "1048576",
        _ => "16777216",
    }
}

/// Starts the program anew, with the allocator set: it looks for its settings in the environment,
/// and only once. Does nothing where someone has set it already. Returns only if that is so, or
/// with the reason why the program goes on as it is.
pub fn settle() -> Option<io::Error> {
    let is_set = |name: &str| load::env(name).is_some();
    if is_set("GLIBC_TUNABLES") || is_set(MMAP.0) || is_set(TRIM) {
        return None;
    }
    let mut arguments = env::args_os();
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return Some(error),
    };
    let mut command = Command::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| program.into_os_string()));
    let limit = watch::own_cgroup().and_then(|cgroup| cgroup.limit(&watch::read_file));
    Some(command.args(arguments).envs([MMAP, (TRIM, kept(limit))]).exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_kept_where_memory_is_short() {
        assert!(kept(Some(SMALL - 1)).len() < kept(Some(SMALL)).len());
        assert_eq!(kept(None), kept(Some(u64::MAX)));
    }
}
