//! Giving the finished files their places.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::ConvertError;
use super::hourly::Staged;
use crate::line_items::columns::{Grain, Report};
use crate::line_items::place::{Name, SourceTree};

/// A finished file with its sidecar, and where they go.
struct Move<'a> {
    from: &'a Path,
    to: PathBuf,
    sidecar_from: PathBuf,
    sidecar_to: PathBuf,
}

/// Moves the files into the tree and removes what an earlier conversion of the same manifest has
/// there besides. `hours` counts the hours of each day, 0 for payloads that add to others.
///
/// A file never stands there without its sidecar, for it would be counted beside the files of
/// other uploads of the day.
///
/// # Errors
/// [`ConvertError::Write`] before anything in the tree has changed, [`ConvertError::Publish`] after.
pub fn publish(
    tree: &SourceTree,
    manifest_id: &str,
    staged: &[Staged],
    hours: &BTreeMap<NaiveDate, u32>,
) -> Result<(), ConvertError> {
    let mut moves = Vec::new();
    for file in staged {
        let name = Name { manifest: manifest_id, part: 0, chunk: file.chunk };
        let to = tree.file(file.report, file.grain, file.date, name);
        let sidecar_from = sidecar(&file.path);
        let hours = hours.get(&file.date).copied().unwrap_or_default();
        write_sidecar(&sidecar_from, manifest_id, file.date, hours)?;
        File::open(&file.path)
            .and_then(|file| file.sync_all())
            .map_err(|source| ConvertError::Write { path: file.path.clone(), source })?;
        moves.push(Move { from: &file.path, sidecar_to: sidecar(&to), to, sidecar_from });
    }
    for folder in moves.iter().filter_map(|file| file.to.parent()).collect::<BTreeSet<_>>() {
        fs::create_dir_all(folder)
            .map_err(|source| ConvertError::Write { path: folder.to_owned(), source })?;
    }
    let kept: BTreeSet<&Path> = moves.iter().map(|file| file.to.as_path()).collect();
    let mut stale = files_of(tree, manifest_id)?;
    stale.retain(|path| !kept.contains(path.as_path()));
    for path in stale {
        remove(&path).and_then(|()| remove(&sidecar(&path))).map_err(publishing(&path))?;
    }
    for Move { from, to, sidecar_from, sidecar_to } in &moves {
        fs::rename(sidecar_from, sidecar_to).map_err(publishing(sidecar_to))?;
        fs::rename(from, to).map_err(publishing(to))?;
    }
    Ok(())
}

fn publishing(path: &Path) -> impl Fn(io::Error) -> ConvertError {
    move |source| ConvertError::Publish { path: path.to_owned(), source }
}

fn sidecar(file: &Path) -> PathBuf {
    let mut name: OsString = file.into();
    name.push(".metadata.json");
    name.into()
}

/// What Koku's objects carry as user metadata, whose values are texts.
pub fn metadata(manifest_id: &str, date: NaiveDate, hours: u32) -> [(&'static str, String); 3] {
    [
        ("manifestid", manifest_id.to_owned()),
        ("reportdatestart", date.to_string()),
        ("reportnumhours", hours.to_string()),
    ]
}

fn write_sidecar(
    path: &Path,
    manifest_id: &str,
    date: NaiveDate,
    hours: u32,
) -> Result<(), ConvertError> {
    let text = serde_json::json!(BTreeMap::from(metadata(manifest_id, date, hours)));
    fs::write(path, format!("{text}\n"))
        .map_err(|source| ConvertError::Write { path: path.to_owned(), source })
}

/// Whether a file of the tree is Parquet of the manifest, by its name.
pub fn is_of(path: &Path, report: Report, manifest_id: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut parts = name.split('.');
    parts.next() == Some(report.as_str())
        && parts.nth(1) == Some(manifest_id)
        && parts.next_back() == Some("parquet")
}

/// The Parquet files of the manifest that are in the tree.
fn files_of(tree: &SourceTree, manifest_id: &str) -> Result<Vec<PathBuf>, ConvertError> {
    let mut found = Vec::new();
    for report in Report::ALL {
        for grain in [Grain::Hourly, Grain::Daily] {
            for year in entries(&tree.folder(report, grain))? {
                for month in entries(&year)? {
                    let files = entries(&month)?.into_iter();
                    found.extend(files.filter(|path| is_of(path, report, manifest_id)));
                }
            }
        }
    }
    Ok(found)
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let failed = |source| ConvertError::Write { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(failed(error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
