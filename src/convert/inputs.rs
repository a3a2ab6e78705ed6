//! The CSV files of a payload, wherever they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::archive::Unpacker;
use super::csv_file::{self, Source};
use super::header::{Content, Mapping};
use super::manifest::{Manifest, base_name};
use super::{ConvertError, Plan, go_on};

/// Bytes a manifest may have.
pub const LONGEST_MANIFEST: u64 = 16 << 20;

/// What the inputs hold, together.
#[derive(Debug)]
pub struct Payload {
    /// `None` for CSV files without one.
    pub manifest: Option<Manifest>,
    /// Sorted by name.
    pub files: Vec<Found>,
    pub left_out: Vec<LeftOut>,
}

/// A CSV file with line items.
#[derive(Debug)]
pub struct Found {
    pub source: Source,
    pub mapping: Mapping,
}

/// A file that is not converted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub file: String,
    pub why: &'static str,
}

/// What one input holds: its manifest and its other files by their names.
#[derive(Debug, Default)]
pub struct Opened {
    pub manifest: Option<Manifest>,
    pub files: BTreeMap<String, Source>,
}

/// Opens the inputs of a plan; archives are unpacked into `staging`.
///
/// # Errors
/// If an input cannot be read, is no payload, or is not the whole payload.
pub fn open(plan: &Plan, staging: &Path, cancelled: &AtomicBool) -> Result<Payload, ConvertError> {
    let mut unpacker = Unpacker::new(staging, plan.max_unpacked, cancelled);
    let mut payload: Option<Opened> = None;
    let mut optimization = BTreeSet::new();
    for path in &plan.inputs {
        go_on(cancelled)?;
        let opened = open_one(path, &mut unpacker)?;
        let listed = opened.manifest.iter().flat_map(Manifest::for_optimization);
        optimization.extend(listed.map(str::to_owned));
        payload = Some(match payload {
            None => opened,
            Some(known) => together(plan, path, known, opened)?,
        });
    }
    let Opened { manifest, files } = payload.unwrap_or_default();
    sort_out(plan, manifest, files, &optimization)
}

/// What the first inputs hold with what `path` holds.
fn together(
    plan: &Plan,
    path: &Path,
    mut known: Opened,
    own: Opened,
) -> Result<Opened, ConvertError> {
    known.manifest = match (known.manifest, own.manifest) {
        (None, None) => None,
        (Some(known), Some(own)) if known.uuid == own.uuid => Some(known.with_files_of(own)),
        (known, own) => {
            let id = |manifest: Option<Manifest>| {
                manifest.map_or_else(|| "(no manifest)".to_owned(), |manifest| manifest.uuid)
            };
            let first = plan.inputs.first().map(|path| path.display().to_string());
            return Err(ConvertError::OtherPayload {
                first: first.unwrap_or_default(),
                first_id: id(known),
                second: path.display().to_string(),
                second_id: id(own),
            });
        }
    };
    for (name, source) in own.files {
        if known.files.contains_key(&name) {
            return Err(ConvertError::Twice { file: source.name });
        }
        known.files.insert(name, source);
    }
    Ok(known)
}

/// Keeps the files with line items.
fn sort_out(
    plan: &Plan,
    manifest: Option<Manifest>,
    mut files: BTreeMap<String, Source>,
    optimization: &BTreeSet<String>,
) -> Result<Payload, ConvertError> {
    let mut left_out = Vec::new();
    if let Some(manifest) = &manifest {
        let listed: BTreeSet<&str> = manifest.files().collect();
        let missing = listed.iter().filter(|name| !files.contains_key(**name));
        let missing: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
        if !missing.is_empty() {
            return Err(ConvertError::MissingFiles { payload: manifest.uuid.clone(), missing });
        }
        files.retain(|name, source| {
            let why = if listed.contains(name.as_str()) {
                return true;
            } else if optimization.contains(name) {
                "resource optimization report"
            } else {
                "not in the manifest"
            };
            left_out.push(LeftOut { file: source.name.clone(), why });
            false
        });
    }
    let mut found = Vec::new();
    for source in files.into_values() {
        match csv_file::content(&source)? {
            Content::LineItems(mapping) => found.push(Found { source, mapping }),
            Content::Other(why) => left_out.push(LeftOut { file: source.name, why }),
        }
    }
    if found.is_empty() {
        let inputs: Vec<_> = plan.inputs.iter().map(|path| path.display().to_string()).collect();
        return Err(ConvertError::NothingToConvert { inputs: inputs.join(", ") });
    }
    for LeftOut { file, why } in &left_out {
        tracing::warn!(file, why, "left out");
    }
    Ok(Payload { manifest, files: found, left_out })
}

fn open_one(path: &Path, unpacker: &mut Unpacker<'_>) -> Result<Opened, ConvertError> {
    let failed = |source| ConvertError::Open { path: path.to_owned(), source };
    let found = fs::metadata(path).map_err(failed)?;
    if found.is_dir() {
        return open_folder(path);
    }
    if !found.is_file() {
        return Err(ConvertError::NotAPayload { path: path.to_owned() });
    }
    let mut magic = Vec::new();
    File::open(path).and_then(|file| file.take(2).read_to_end(&mut magic)).map_err(failed)?;
    if magic == [0x1f, 0x8b] {
        return unpacker.unpack(path);
    }
    if is_csv(path) {
        let files = source(path).into_iter().collect();
        return Ok(Opened { manifest: None, files });
    }
    Err(ConvertError::NotAPayload { path: path.to_owned() })
}

/// The CSV files right in a folder, and its manifest.
fn open_folder(folder: &Path) -> Result<Opened, ConvertError> {
    let failed = |source| ConvertError::Open { path: folder.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !is_csv(&path) {
            continue;
        }
        let found = fs::metadata(&path)
            .map_err(|source| ConvertError::Open { path: path.clone(), source })?;
        if found.is_file() {
            files.extend(source(&path));
        } else if !found.is_dir() {
            return Err(ConvertError::NotAPayload { path });
        }
    }
    let path = folder.join("manifest.json");
    let manifest = match File::open(&path) {
        Ok(file) => Some(read_manifest(file, &path)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(ConvertError::Open { path, source }),
    };
    Ok(Opened { manifest, files })
}

fn read_manifest(file: File, path: &Path) -> Result<Manifest, ConvertError> {
    let mut text = Vec::new();
    file.take(LONGEST_MANIFEST)
        .read_to_end(&mut text)
        .map_err(|source| ConvertError::Open { path: path.to_owned(), source })?;
    Manifest::parse(&text, &path.display().to_string())
}

fn source(path: &Path) -> Option<(String, Source)> {
    let name = path.display().to_string();
    let key = base_name(&path.file_name()?.to_string_lossy()).to_owned();
    Some((key, Source { name, path: PathBuf::from(path) }))
}

/// Whether a file is a CSV file by its name.
pub fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}
