//! Output files that appear whole or not at all.
//!
//! Everything is written to a hidden temporary file in the target's own folder, flushed to disk
//! and renamed over the target when complete. Whoever reads the target sees the old content or
//! the new one. Only a killed process can leave the temporary file behind, until the next run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::leftover;

/// Why an output file could not be written. Every message names the path and what to do; the
/// operating system's reason is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    #[error(
        "the output file {} cannot be made because the folder {} does not exist: create the folder \
         or choose another path",
        path.display(),
        folder.display()
    )]
    NoFolder { path: PathBuf, folder: PathBuf },

    #[error(
        "the output path {} is a folder: give the name of a file in it, e.g. {}",
        path.display(),
        path.join("summary.csv").display()
    )]
    IsFolder { path: PathBuf },

    #[error(
        "the output path {} has no file name: give the name of the file to write",
        path.display()
    )]
    NoName { path: PathBuf },

    #[error(
        "the output path {} is neither a regular file nor free (a device, pipe or socket): choose \
         another path",
        path.display()
    )]
    NotRegular { path: PathBuf },

    #[error(
        "no permission to make the output file {}: let this user write in the folder {} or choose \
         another path",
        path.display(),
        folder.display()
    )]
    NotPermitted {
        path: PathBuf,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "the folder {} of the output file {} is read-only: mount it writable or choose another path",
        folder.display(),
        path.display()
    )]
    ReadOnly {
        path: PathBuf,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("cannot make the output file {}: check the path or choose another one", path.display())]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "no space left for the output file {} after {written} bytes: free space in {} or choose a \
         path on another disk, then run again (the unfinished file is removed, an older {} is \
         untouched)",
        path.display(),
        folder.display(),
        path.display()
    )]
    Full {
        path: PathBuf,
        folder: PathBuf,
        /// Bytes taken before the disk, quota or file size limit was reached.
        written: u64,
        #[source]
        source: io::Error,
    },

    #[error(
        "writing the output file {} failed: check the disk it is on, then run again (the unfinished \
         file is removed)",
        path.display()
    )]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "the output file {} is complete as {} but cannot be renamed to its name: check that nothing \
         else uses the name, then run again (the temporary file is removed)",
        path.display(),
        temporary.display()
    )]
    Rename {
        path: PathBuf,
        temporary: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("the rows of {date} cannot be encoded as Parquet")]
    EncodeDay {
        date: chrono::NaiveDate,
        #[source]
        source: ::parquet::errors::ParquetError,
    },

    #[error("the rows for {} cannot be encoded as Parquet", path.display())]
    Encode {
        path: PathBuf,
        #[source]
        source: ::parquet::errors::ParquetError,
    },
}

/// The temporary files of this process that are there now.
static PENDING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn pending() -> MutexGuard<'static, Vec<PathBuf>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all temporary files of a process that ends at once. None appears under its final name
/// while the answer is there.
pub fn remove_pending() -> impl Drop {
    let mut all = pending();
    for temporary in all.drain(..) {
        if let Err(error) = fs::remove_file(&temporary) {
            tracing::warn!(path = %temporary.display(), %error, "unfinished output file not removed");
        }
    }
    all
}

/// A file on its way to its final name; removed on drop unless committed.
///
/// Unbuffered: callers write large pieces.
#[derive(Debug)]
pub struct PendingFile {
    target: PathBuf,
    folder: PathBuf,
    temporary: PathBuf,
    file: File,
    written: u64,
    committed: bool,
}

impl PendingFile {
    /// Opens a temporary file beside `target` (where a symbolic link leads, if it is one).
    ///
    /// # Errors
    /// The folder is missing or not writable, or `target` is something a file cannot replace.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let path = || target.to_path_buf();
        let Some(name) = target.file_name() else {
            return Err(FileError::NoName { path: path() });
        };
        let resolved = match fs::metadata(target) {
            Ok(found) if found.is_dir() => return Err(FileError::IsFolder { path: path() }),
            Ok(found) if !found.is_file() => return Err(FileError::NotRegular { path: path() }),
            // Renaming over a link would replace the link, not the file it stands for.
            Ok(_) => fs::canonicalize(target)
                .map_err(|source| FileError::Create { path: path(), source })?,
            Err(_) => path(),
        };
        let folder = match resolved.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let name = resolved.file_name().unwrap_or(name);
        leftover::remove(&folder, name);
        let temporary = folder.join(leftover::name(name));
        let mut all = pending();
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => {
                leftover::keep(&file);
                all.push(temporary.clone());
                Ok(PendingFile {
                    target: resolved,
                    folder,
                    temporary,
                    file,
                    written: 0,
                    committed: false,
                })
            }
            Err(source) => Err(match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    FileError::NoFolder { path: path(), folder }
                }
                io::ErrorKind::PermissionDenied => {
                    FileError::NotPermitted { path: path(), folder, source }
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    FileError::ReadOnly { path: path(), folder, source }
                }
                kind if is_full(kind) => {
                    FileError::Full { path: path(), folder, written: 0, source }
                }
                _ => FileError::Create { path: path(), source },
            }),
        }
    }

    /// Turns an error of writing to this file into one that says what to do.
    pub fn error(&self, source: io::Error) -> FileError {
        let path = self.target.clone();
        if is_full(source.kind()) {
            FileError::Full { path, folder: self.folder.clone(), written: self.written, source }
        } else {
            FileError::Write { path, source }
        }
    }

    /// The final path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes the content durable and gives it its final name.
    ///
    /// # Errors
    /// The disk refuses the content or the name; dropping `self` then removes the temporary file.
    pub fn commit(&mut self) -> Result<(), FileError> {
        // Some file systems report a full disk only here.
        self.file.sync_all().map_err(|e| self.error(e))?;
        let mut all = pending();
        fs::rename(&self.temporary, &self.target).map_err(|source| FileError::Rename {
            path: self.target.clone(),
            temporary: self.temporary.clone(),
            source,
        })?;
        self.committed = true;
        all.retain(|temporary| *temporary != self.temporary);
        drop(all);
        // The rename itself survives a power cut only once the folder is on disk.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|e| self.error(e))
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        let mut all = pending();
        all.retain(|temporary| *temporary != self.temporary);
        if let Err(error) = fs::remove_file(&self.temporary) {
            tracing::warn!(path = %self.temporary.display(), %error, "unfinished output file not removed");
        }
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_only_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.csv");
        fs::write(&target, "old").unwrap();
        let mut file = PendingFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(names(folder.path()).len(), 2);
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(names(folder.path()), ["out.csv"]);
    }

    #[test]
    fn dropping_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.csv");
        fs::write(&target, "old").unwrap();
        let mut file = PendingFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert_eq!(names(folder.path()), ["out.csv"]);
    }

    #[test]
    fn a_link_keeps_pointing() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.csv");
        let link = folder.path().join("link.csv");
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = PendingFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }

    #[test]
    fn bad_targets_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/out.csv");
        let error = PendingFile::create(&missing).unwrap_err();
        assert!(matches!(error, FileError::NoFolder { .. }), "{error:?}");
        assert!(error.to_string().contains("missing does not exist"), "{error}");
        let error = PendingFile::create(folder.path()).unwrap_err();
        assert!(matches!(error, FileError::IsFolder { .. }), "{error:?}");
        let error = PendingFile::create(Path::new("/dev/null")).unwrap_err();
        assert!(matches!(error, FileError::NotRegular { .. }), "{error:?}");
        let error = PendingFile::create(Path::new("..")).unwrap_err();
        assert!(matches!(error, FileError::NoName { .. }), "{error:?}");
        let error = PendingFile::create(Path::new("/proc/out.csv")).unwrap_err();
        assert!(error.to_string().contains("/proc"), "{error}");
    }
}
