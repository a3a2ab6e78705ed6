//! The ends of files: footers, and which uploads they are of.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::discover::Candidate;
use super::footers::RowGroup;
use super::generations::{self, OddMark, Superseded, Upload, UploadedFile};
use super::{PlanError, footers, ranges};
use crate::decode::error::InputError;
use crate::decode::row_group::InputFile;
use crate::decode::schema::{Found, Part};
use crate::settings::Settings;
use crate::store::{PendingTail, Store};

/// Ends of files that are parsed together, while as many are on their way.
const AT_ONCE: usize = 128;

/// How much of a file's end is read at first: enough for a usual footer. Where footers are longer
/// more is read of the files that follow, up to the most.
const TAIL: u64 = 16 * 1024;
const MOST_TAIL: u64 = 1024 * 1024;

/// Reading many footers says how far it is each time it has passed this many.
const PROGRESS: usize = 10_000;

/// A candidate whose end was read: its footer, or what is wrong with it.
pub(super) struct OpenedFile {
    source: usize,
    part: Part,
    path: Arc<str>,
    upload: Result<Option<Upload>, OddMark>,
    file: Result<PlannedFile, InputError>,
}

/// A file that is read, with what a plan keeps of its row groups.
pub(super) struct PlannedFile {
    /// Index into the sources of the run.
    pub source: usize,
    pub file: InputFile,
    pub groups: Vec<(RowGroup, Box<[Range<u64>]>)>,
}

/// Reads the ends of all candidates, so many at once that an object store's answers overlap.
pub(super) fn all(
    store: &Store,
    settings: &Settings,
    candidates: &[Candidate],
    with_storage: &BTreeSet<usize>,
) -> Result<Vec<OpenedFile>, PlanError> {
    let all_columns = !settings.performance.column_filtering;
    let mut files = Vec::with_capacity(candidates.len());
    let mut known = KnownColumns::default();
    let mut tail = TAIL;
    let ask = |some: &[Candidate], tail| -> Vec<PendingTail> {
        some.iter().map(|c| store.tail(&c.object, tail)).collect()
    };
    let mut next = candidates.chunks(AT_ONCE);
    let mut asked = next.next().map(|some| (some, ask(some, tail)));
    while let Some((some, pending)) = asked {
        asked = next.next().map(|some| (some, ask(some, tail)));
        let mut opened: Vec<OpenedFile> = pending
            .into_par_iter()
            .zip(some)
            .map(|(pending, c)| {
                let opened = pending.wait()?;
                let pod_names = with_storage.contains(&c.source);
                let file = match footers::read(store, &opened, c.part, pod_names, c.days) {
                    Ok((file, metadata)) => {
                        let plan = |group| {
                            let ranges = ranges::of_columns(group, &file.columns, all_columns);
                            (RowGroup::of(group, &file.columns, all_columns), ranges)
                        };
                        let groups = metadata.row_groups().iter().map(plan).collect();
                        Ok(PlannedFile { source: c.source, file, groups })
                    }
                    // It may be of an upload that does not count.
                    Err(PlanError::Input(error)) => Err(error),
                    Err(error) => return Err(error),
                };
                let upload = Upload::read(&opened.metadata);
                let path = c.object.path.clone();
                Ok(OpenedFile { source: c.source, part: c.part, path, upload, file })
            })
            .collect::<Result<_, PlanError>>()?;
        for PlannedFile { file, .. } in opened.iter_mut().filter_map(|o| o.file.as_mut().ok()) {
            known.share(&mut file.columns);
            tail = tail.max(file.footer_length.next_power_of_two()).min(MOST_TAIL);
        }
        files.extend(opened);
        if candidates.len() > PROGRESS && files.len() % PROGRESS < some.len() {
            tracing::info!(files = files.len(), of = candidates.len(), "reading footers");
        }
    }
    Ok(files)
}

/// Columns as files have them, so that those of many files are kept once.
#[derive(Default)]
struct KnownColumns(Vec<Arc<[Found]>>);

impl KnownColumns {
    /// More ways to lay out the columns are not looked for.
    const MOST: usize = 64;

    fn share(&mut self, columns: &mut Arc<[Found]>) {
        match self.0.iter().find(|known| known[..] == columns[..]) {
            Some(known) => *columns = known.clone(),
            None if self.0.len() < Self::MOST => self.0.push(columns.clone()),
            None => {}
        }
    }
}

/// Which files count.
#[derive(Default)]
pub(super) struct Newest {
    pub files: Vec<PlannedFile>,
    /// Of superseded uploads.
    pub superseded: Vec<Superseded>,
    /// Files that count although what they say of their upload is odd.
    pub odd_marks: Vec<(Arc<str>, OddMark)>,
}

/// Leaves out the files of superseded uploads.
pub(super) fn newest(settings: &Settings, opened: Vec<OpenedFile>) -> Result<Newest, PlanError> {
    let uploaded: Vec<UploadedFile> = opened
        .iter()
        .map(|o| UploadedFile {
            path: o.path.clone(),
            source: settings.provider_uuids[o.source],
            part: o.part,
            upload: o.upload.clone().ok().flatten(),
        })
        .collect();
    let strict = settings.input.strict_duplicates;
    let mut newest = Newest::default();
    for (opened, superseded) in opened.into_iter().zip(generations::superseded(&uploaded)) {
        if let Err(odd) = opened.upload {
            if strict {
                return Err(PlanError::OddMark { path: opened.path, mark: odd });
            }
            newest.odd_marks.push((opened.path, odd));
        }
        match superseded {
            Some(superseded) => newest.superseded.push(superseded),
            None => newest.files.push(opened.file?),
        }
    }
    match newest.superseded.first() {
        Some(example) if strict => Err(PlanError::Duplicates {
            files: newest.superseded.len(),
            example: example.path.clone(),
            manifest: example.upload.manifest.clone(),
            hours: example.upload.hours,
            by: example.by.manifest.clone(),
            by_hours: example.by.hours,
        }),
        _ => Ok(newest),
    }
}
