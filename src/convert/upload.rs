//! Giving the finished files their places in an object store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use chrono::NaiveDate;

use super::ConvertError;
use super::hourly::Staged;
use super::publish::{is_of, metadata};
use crate::line_items::columns::{Grain, Report};
use crate::line_items::place::{Name, SourceTree};
use crate::store::{PendingPut, S3Store};

/// Files on their way at once, each of which is in memory, or 16 MiB of it.
const AT_ONCE: usize = 4;

/// Puts the files where `tree` says, each with what Koku keeps as metadata of its objects, after
/// what an earlier conversion of the same manifest has there besides is removed. `tree` is that of
/// an empty path: of the store's folder.
///
/// A store knows no way to change several objects at once: a run that lists them meanwhile may
/// find some of them only.
///
/// # Errors
/// [`ConvertError::Upload`].
pub fn upload(
    store: &S3Store,
    tree: &SourceTree,
    manifest_id: &str,
    staged: &[Staged],
    hours: &BTreeMap<NaiveDate, u32>,
) -> Result<(), ConvertError> {
    let place = |file: &Staged| {
        let name = Name { manifest: manifest_id, part: 0, chunk: file.chunk };
        key(&tree.file(file.report, file.grain, file.date, name))
    };
    let kept: BTreeSet<String> = staged.iter().map(place).collect();
    for path in objects_of(store, tree, manifest_id)? {
        if !kept.contains(&path) {
            store.remove(&path).map_err(uploading(&path))?;
        }
    }
    let mut pending: VecDeque<(String, PendingPut)> = VecDeque::new();
    for file in staged {
        if pending.len() == AT_ONCE {
            wait_for_first(&mut pending)?;
        }
        let hours = hours.get(&file.date).copied().unwrap_or_default();
        let metadata = metadata(manifest_id, file.date, hours);
        let path = place(file);
        let put = store.put(&path, file.path.clone(), metadata.into());
        pending.push_back((path, put));
    }
    while !pending.is_empty() {
        wait_for_first(&mut pending)?;
    }
    Ok(())
}

fn wait_for_first(pending: &mut VecDeque<(String, PendingPut)>) -> Result<(), ConvertError> {
    match pending.pop_front() {
        Some((path, put)) => put.wait().map_err(uploading(&path)),
        None => Ok(()),
    }
}

fn uploading(path: &str) -> impl Fn(crate::store::StoreError) -> ConvertError {
    move |source| ConvertError::Upload { path: path.to_owned(), source }
}

/// The objects of the manifest that are in the store.
fn objects_of(
    store: &S3Store,
    tree: &SourceTree,
    manifest_id: &str,
) -> Result<Vec<String>, ConvertError> {
    let mut found = Vec::new();
    for report in Report::ALL {
        for grain in [Grain::Hourly, Grain::Daily] {
            let folder = format!("{}/", key(&tree.folder(report, grain)));
            let listed = store.list(&folder).map_err(uploading(&folder))?;
            let names = listed.iter().map(|object| &*object.path);
            found.extend(
                names.filter(|p| is_of(Path::new(p), report, manifest_id)).map(str::to_owned),
            );
        }
    }
    Ok(found)
}

/// A path below a store: all its parts are ASCII.
fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
