//! How the system's allocator gives memory back.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::settings::load;

/// By itself glibc keeps ever larger pieces for later once some were freed, in an arena of each
/// thread: a run then holds half as much again as it uses. With fixed thresholds what a finished
/// day held goes back to the system.
const SETTINGS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "16777216")];

/// Starts the program anew, with the allocator set: it looks for its settings in the environment,
/// and only once. Does nothing where someone has set it already. Returns only if that is so, or
/// with the reason why the program goes on as it is.
pub fn settle() -> Option<io::Error> {
    let is_set = |name: &str| load::env(name).is_some();
    if is_set("GLIBC_TUNABLES") || SETTINGS.iter().any(|(name, _)| is_set(name)) {
        return None;
    }
    let mut arguments = env::args_os();
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return Some(error),
    };
    let mut command = Command::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| program.into_os_string()));
    Some(command.args(arguments).envs(SETTINGS).exec())
}
