//! What the coordinator tells a worker: one JSON line to begin with, then one for each task.
//!
//! The lines go through a pipe, since they hold secrets: a command line is for everyone to read.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tasks::Task;
use crate::decode::row_group::InputFile;
use crate::decode::schema::{Direct, Found, Part, wanted};
use crate::lookups::Lookups;
use crate::plan::footers::RowGroup;
use crate::plan::{Plan, PlannedGroup, Unit};
use crate::settings::{Addressing, Aggregation, S3, Secret};
use crate::store::Object;
use crate::summary::row::DayMeta;

/// What holds for all tasks of a worker. Not to be printed: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hello {
    /// The coordinator's process.
    pub parent: u32,
    pub source: String,
    pub s3: Option<StoreAccess>,
    pub lookups: Lookups,
    pub rules: Aggregation,
    pub categorical: bool,
    pub all_columns: bool,
    /// The memory that this worker may take, in bytes, and that of the whole run in terms of it.
    pub memory: u64,
    pub part: u64,
    /// Bytes that decoding takes at a time.
    pub decode_bytes: u64,
    pub threads: usize,
    pub spill_dir: PathBuf,
    pub force_spill: Option<usize>,
    /// For hashes of texts.
    pub seed: u64,
    /// A sign of life is due this often, in milliseconds.
    pub alive_every: u64,
    pub log_level: String,
}

/// [`S3`] as it goes through the pipe.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoreAccess {
    endpoint: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
    session_token: Option<String>,
    region: String,
    use_ssl: bool,
    verify_ssl: bool,
    ca_bundle: Option<PathBuf>,
    addressing: Addressing,
    timeout: std::time::Duration,
    retry_for: std::time::Duration,
}

impl From<&S3> for StoreAccess {
    fn from(s3: &S3) -> Self {
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0.clone());
        StoreAccess {
            endpoint: s3.endpoint.clone(),
            access_key: text(&s3.access_key),
            secret_key: text(&s3.secret_key),
            session_token: text(&s3.session_token),
            region: s3.region.clone(),
            use_ssl: s3.use_ssl,
            verify_ssl: s3.verify_ssl,
            ca_bundle: s3.ca_bundle.clone(),
            addressing: s3.addressing,
            timeout: s3.timeout,
            retry_for: s3.retry_for,
        }
    }
}

impl From<StoreAccess> for S3 {
    fn from(access: StoreAccess) -> Self {
        S3 {
            endpoint: access.endpoint,
            access_key: access.access_key.map(Secret),
            secret_key: access.secret_key.map(Secret),
            session_token: access.session_token.map(Secret),
            region: access.region,
            use_ssl: access.use_ssl,
            verify_ssl: access.verify_ssl,
            ca_bundle: access.ca_bundle,
            addressing: access.addressing,
            timeout: access.timeout,
            retry_for: access.retry_for,
        }
    }
}

/// A task: row groups, and the days whose rows they can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Rows of a chunk while memory is no concern, and whether there may be fewer when it is.
    pub chunk_rows: usize,
    pub adaptive: bool,
    /// Whether no other task has rows of its days, so that they can be finished.
    pub whole: bool,
    units: Vec<OrderedUnit>,
    files: Vec<OrderedFile>,
    groups: Vec<OrderedGroup>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OrderedUnit {
    source: usize,
    source_uuid: (u64, u64),
    /// Days since 1970-01-01.
    day: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OrderedFile {
    path: String,
    size: u64,
    /// Seconds since 1970-01-01, and nanoseconds.
    modified: Option<(i64, u32)>,
    e_tag: Option<String>,
    footer_length: u64,
    part: Part,
    pod_names: bool,
    /// Where the columns of the part are, in their order.
    columns: Vec<(Option<usize>, Option<Direct>)>,
    days: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OrderedGroup {
    /// Index into the files.
    file: usize,
    source: usize,
    row_group: usize,
    group: RowGroup,
    ranges: Vec<(u64, u64)>,
    /// Indices into the units.
    units: (usize, usize),
}

impl Order {
    /// A task of `plan`, whose days are to be finished if `whole`.
    pub fn new(plan: &Plan, task: &Task, chunk_rows: usize, adaptive: bool, whole: bool) -> Self {
        let (groups, units) = (task.groups.clone(), task.units);
        let ordered = |unit: &Unit| OrderedUnit {
            source: unit.source,
            source_uuid: unit.meta.source_uuid.as_u64_pair(),
            day: unit.meta.date.to_epoch_days(),
        };
        let mut order = Order {
            chunk_rows,
            adaptive,
            whole,
            units: plan.units[units.0..=units.1].iter().map(ordered).collect(),
            files: Vec::new(),
            groups: Vec::new(),
        };
        let mut last: Option<&Arc<InputFile>> = None;
        for planned in &plan.groups[groups] {
            // The row groups of a file stand side by side.
            if !last.is_some_and(|file| Arc::ptr_eq(file, &planned.file)) {
                order.files.push(OrderedFile::new(&planned.file));
                last = Some(&planned.file);
            }
            let (first, end) = planned.units;
            order.groups.push(OrderedGroup {
                file: order.files.len() - 1,
                source: planned.source,
                row_group: planned.row_group,
                group: planned.group,
                ranges: planned.ranges.iter().map(|range| (range.start, range.end)).collect(),
                units: (first - units.0, end - units.0),
            });
        }
        order
    }

    /// The plan of this task alone, whose units count from 0. `None` if no coordinator of this version
    /// wrote it.
    pub fn into_plan(self) -> Option<Plan> {
        let count = self.files.len();
        let mut plan = Plan { files: count, ..Plan::default() };
        for OrderedUnit { source, source_uuid, day } in self.units {
            let date = NaiveDate::from_epoch_days(day)?;
            // What rows carry besides is the coordinator's concern.
            let meta = DayMeta {
                date,
                source_uuid: Uuid::from_u64_pair(source_uuid.0, source_uuid.1),
                report_period_id: None,
                cluster_id: None,
                cluster_alias: None,
            };
            plan.units.push(Unit { source, meta: Arc::new(meta) });
        }
        let files: Option<Vec<Arc<InputFile>>> =
            self.files.into_iter().map(|file| file.into_input().map(Arc::new)).collect();
        let files = files?;
        for ordered in self.groups {
            if ordered.units.0 > ordered.units.1 || ordered.units.1 >= plan.units.len() {
                return None;
            }
            plan.groups.push(PlannedGroup {
                file: files.get(ordered.file)?.clone(),
                source: ordered.source,
                row_group: ordered.row_group,
                group: ordered.group,
                ranges: ordered.ranges.into_iter().map(|(start, end)| start..end).collect(),
                units: ordered.units,
            });
        }
        Some(plan)
    }
}

impl OrderedFile {
    fn new(file: &InputFile) -> Self {
        let Object { path, size, modified, e_tag } = &file.stored;
        OrderedFile {
            path: path.to_string(),
            size: *size,
            modified: modified.map(|time| (time.timestamp(), time.timestamp_subsec_nanos())),
            e_tag: e_tag.as_deref().map(str::to_owned),
            footer_length: file.footer_length,
            part: file.part,
            pod_names: file.columns.iter().any(|found| found.wanted.name == "pod"),
            columns: file.columns.iter().map(|found| (found.leaf, found.direct)).collect(),
            days: file.days,
        }
    }

    fn into_input(self) -> Option<InputFile> {
        let wanted = wanted(self.part, self.pod_names);
        let modified = match self.modified {
            Some((seconds, nanos)) => Some(DateTime::from_timestamp(seconds, nanos)?),
            None => None,
        };
        let path: Arc<str> = self.path.into();
        let found = |(wanted, (leaf, direct))| Found { wanted, leaf, direct };
        (wanted.len() == self.columns.len()).then(|| InputFile {
            object: path.clone(),
            stored: Object { path, size: self.size, modified, e_tag: self.e_tag.map(Into::into) },
            footer_length: self.footer_length,
            part: self.part,
            columns: wanted.into_iter().zip(self.columns).map(found).collect(),
            days: self.days,
        })
    }
}

/// Writes one line.
///
/// # Errors
/// The reader is gone.
pub fn send(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)?;
    out.flush()
}

/// Reads one line; `None` at the end.
///
/// # Errors
/// A line that the other side did not [`send`].
pub fn receive<T: DeserializeOwned>(input: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
