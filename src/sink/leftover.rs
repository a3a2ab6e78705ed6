//! Temporary files that killed runs left beside an output: the next run to it removes them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

/// A run makes its file before it locks it: younger ones may be of one that is about to.
const YOUNG: Duration = Duration::from_secs(60);

const RANDOM: usize = 8;

/// A name for a temporary file of this process, for an output called `target`.
pub fn name(target: &OsStr) -> OsString {
    let random = Uuid::new_v4().simple().to_string();
    let mut hidden = OsString::from(".");
    hidden.push(target);
    hidden.push(format!(".{}-{}.tmp", std::process::id(), &random[..RANDOM]));
    hidden
}

/// Tells other runs that `file` is being written. Where the file system has no locks they leave all such files.
pub fn keep(file: &File) {
    if let Err(error) = file.try_lock() {
        tracing::debug!(%error, "the unfinished output file is not locked");
    }
}

/// Removes those of `target` in `folder` that no living run holds.
pub fn remove(folder: &Path, target: &OsStr) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if !is_of(&entry.file_name(), target) || !is_dead(&path) {
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed what a killed run left"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what a killed run left is not removed");
            }
        }
    }
}

/// Whether [`name`] may have made `found`.
fn is_of(found: &OsStr, target: &OsStr) -> bool {
    let own = || {
        let rest = found.as_encoded_bytes().strip_prefix(b".")?;
        let rest = rest.strip_prefix(target.as_encoded_bytes())?.strip_prefix(b".")?;
        let rest = std::str::from_utf8(rest.strip_suffix(b".tmp")?).ok()?;
        let (process, random) = rest.split_once('-')?;
        let is_hex = random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_hexdigit());
        Some(is_hex && process.parse::<u32>().is_ok())
    };
    own().unwrap_or(false)
}

fn is_dead(path: &Path) -> bool {
    // Anything but a file may not be opened without waiting.
    let is_old = || {
        let found = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(found.modified().ok()?.elapsed().ok()? > YOUNG)
    };
    is_old().unwrap_or(false) && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_old_files_that_nobody_holds_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = OsStr::new("out.csv");
        let old = FileTimes::new().set_modified(SystemTime::now() - 2 * YOUNG);
        let make = |name: &OsStr, is_old: bool| {
            let file = File::create(folder.path().join(name)).unwrap();
            if is_old {
                file.set_times(old).unwrap();
            }
            file
        };
        let (held, young, dead) = (name(target), name(target), name(target));
        let holder = make(&held, true);
        keep(&holder);
        let others = ["out.csv", ".out.csv.tmp", ".out.csv.7-12.tmp", ".other.csv.7-12345678.tmp"];
        others.iter().for_each(|other| drop(make(OsStr::new(other), true)));
        make(&young, false);
        make(&dead, true);
        remove(folder.path(), target);
        let is_there = |name: &OsStr| folder.path().join(name).exists();
        assert!(!is_there(&dead));
        assert!(is_there(&held) && is_there(&young));
        assert!(others.iter().all(|other| is_there(OsStr::new(other))));
        drop(holder);
        remove(folder.path(), target);
        assert!(!is_there(&held));
    }
}
