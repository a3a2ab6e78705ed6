//! Where the report goes.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{RunReport, html};
use crate::sink::file::{FileError, PendingFile};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(
        "cannot make the folder {} for the report: choose another --report, or leave it out",
        path.display()
    )]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("cannot write the report; all else was done")]
    Write(#[source] FileError),
}

/// A folder that takes `report.json` and `report.html`, over those of an earlier run.
#[derive(Debug)]
pub struct ReportFolder(PathBuf);

impl ReportFolder {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or not written in.
    pub fn create(path: PathBuf) -> Result<Self, ReportError> {
        let made = fs::create_dir_all(&path).and_then(|()| {
            // Dropped at once: it tells whether files can be made here, before the work is done.
            tempfile::tempfile_in(&path).map(drop)
        });
        match made {
            Ok(()) => Ok(ReportFolder(path)),
            Err(source) => Err(ReportError::Folder { path, source }),
        }
    }

    /// Writes both files, each whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, report: &RunReport) -> Result<(), ReportError> {
        // It holds no map with other keys than texts, nor anything else that JSON cannot.
        let json = serde_json::to_string_pretty(report)
            .map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source));
        let path = self.0.join("report.json");
        let json = json.map_err(|source| FileError::Write { path: path.clone(), source });
        let written = json.and_then(|json| write(&path, &(json + "\n")));
        written
            .and_then(|()| write(&self.0.join("report.html"), &html::render(report)))
            .map_err(ReportError::Write)
    }
}

fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let mut file = PendingFile::create(path)?;
    file.write_all(text.as_bytes()).map_err(|source| file.error(source))?;
    file.commit()
}
