//! The report of one run: `report.json`, and `report.html` for people.

mod chart;
mod folder;
mod html;
mod tables;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

pub use folder::{ReportError, ReportFolder};

use super::ending::Ending;
use super::metrics::{REDONE, STAGES, STEPS};
use super::settings::shown;
use super::summary::sink_name;
use super::timeline::{Sample, Timeline};
use crate::memory::usage;
use crate::settings::{Settings, SinkTo};
use crate::telemetry::totals::Sums;
use crate::telemetry::{Figure, Planned, Snapshot, Telemetry, Warning};

/// Namespaces that are named.
const TOP: usize = 20;

/// Everything that a report says.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    pub program: String,
    pub state: &'static str,
    pub exit_code: u8,
    /// Why the run failed.
    pub error: Option<String>,
    /// When it began and ended, UTC.
    pub started: String,
    pub ended: String,
    pub seconds: f64,
    pub sources: Vec<String>,
    pub from: String,
    pub to: String,
    pub sink: String,
    /// `None`: the run ended before anything was planned.
    pub input: Option<Input>,
    pub counts: Counts,
    pub warnings: Vec<Warning>,
    /// Further ones that are in the log only.
    pub more_warnings: u64,
    /// Of what was written for good.
    pub totals: Sums,
    pub days: Vec<Day>,
    pub namespaces: Vec<Namespace>,
    pub more_namespaces: usize,
    pub other_namespaces: Sums,
    pub memory: Memory,
    pub stages: Vec<Stage>,
    /// Parts of the stage `write`.
    pub sink_steps: Vec<Stage>,
    pub network: Option<Network>,
    /// What was tried again, by what had failed; only what happened.
    pub retries: BTreeMap<&'static str, u64>,
    pub skipped: Skipped,
    pub timeline: Vec<Sample>,
    pub settings: BTreeMap<&'static str, String>,
}

/// What was planned to be read.
#[derive(Debug, Clone, Serialize)]
pub struct Input {
    pub files: usize,
    pub row_groups: usize,
    pub rows: u64,
    /// Compressed, of the columns that are needed.
    pub bytes: u64,
}

/// What was read and written, and what counts otherwise than one might think.
#[derive(Debug, Clone, Serialize)]
pub struct Counts {
    pub rows_read: u64,
    pub bytes_read: u64,
    pub chunks: u64,
    /// Rows of days that were not asked for: late or early ones in a file of another day.
    pub rows_of_other_days: u64,
    pub rows_without_time: u64,
    pub rows_without_node: u64,
    pub rows_multiplied_by_labels: u64,
    pub rows_multiplied_by_cost_categories: u64,
    pub rows_multiplied_by_volumes: u64,
    pub rows_without_capacity: u64,
    pub superseded_files: usize,
}

/// A day of a source.
#[derive(Debug, Clone, Serialize)]
pub struct Day {
    pub date: String,
    pub source: String,
    /// Whether its rows are in the sink for good.
    pub written: bool,
    #[serde(flatten)]
    pub sums: Sums,
    /// In the sink.
    pub seconds: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Namespace {
    pub namespace: String,
    #[serde(flatten)]
    pub sums: Sums,
}

/// In bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    pub limit: u64,
    pub budget: u64,
    /// The most at any moment that was looked at, files not counted.
    pub peak: u64,
    /// The most that was resident, files included.
    pub peak_resident: Option<u64>,
    pub spilled: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    pub stage: &'static str,
    pub seconds: f64,
}

/// To and from an object store.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    pub requests: u64,
    pub bytes: u64,
}

/// What was left alone or left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Skipped {
    pub row_groups: usize,
    pub rows: u64,
    /// Days left as they are, since nothing they are made of has changed.
    pub unchanged_days: u64,
    /// Months of sources that have no pod files.
    pub months: Vec<String>,
    /// The first files of superseded uploads, with what superseded them.
    pub files: Vec<String>,
    /// Columns that some files lack, with how many do.
    pub missing_columns: BTreeMap<String, usize>,
}

impl RunReport {
    pub fn new(
        settings: &Settings,
        telemetry: &Telemetry,
        timeline: &Timeline,
        ending: &Ending,
        started: DateTime<Utc>,
    ) -> Self {
        let snapshot = telemetry.snapshot();
        let planned = telemetry.planned();
        let mut report = RunReport {
            program: format!("ocp-rollup {}", env!("CARGO_PKG_VERSION")),
            state: ending.state.as_str(),
            exit_code: ending.exit_code,
            error: ending.error.clone(),
            started: started.to_rfc3339_opts(SecondsFormat::Secs, true),
            ended: (started + snapshot.time).to_rfc3339_opts(SecondsFormat::Secs, true),
            seconds: snapshot.time.as_secs_f64(),
            sources: settings.provider_uuids.iter().map(ToString::to_string).collect(),
            from: settings.from.to_string(),
            to: settings.to.to_string(),
            sink: sink_name(settings),
            input: planned.as_ref().map(Input::of),
            counts: Counts::of(&snapshot, planned.as_ref()),
            warnings: telemetry.warnings.first(),
            more_warnings: 0,
            totals: Sums::default(),
            days: Vec::new(),
            namespaces: Vec::new(),
            more_namespaces: 0,
            other_namespaces: Sums::default(),
            memory: Memory::of(&snapshot, timeline),
            stages: stages(STAGES, &snapshot),
            sink_steps: stages(STEPS, &snapshot),
            network: snapshot.network.map(|(requests, bytes)| Network { requests, bytes }),
            retries: retries(&snapshot),
            skipped: planned.as_ref().map(Skipped::of).unwrap_or_default(),
            timeline: timeline.samples().to_vec(),
            settings: shown(settings).into_iter().collect(),
        };
        report.more_warnings = snapshot.warnings.saturating_sub(report.warnings.len() as u64);
        // A file appears as a whole or not at all.
        let is_kept = settings.sink == SinkTo::Postgres || ending.state.is_success();
        report.add_totals(telemetry, planned.as_ref(), is_kept);
        report
    }

    fn add_totals(&mut self, telemetry: &Telemetry, planned: Option<&Planned>, is_kept: bool) {
        let totals = telemetry.totals();
        let done = totals.as_ref().filter(|_| is_kept).map_or(&[][..], |totals| &totals.days);
        let done: HashMap<_, _> = done.iter().map(|day| ((day.source, day.date), day)).collect();
        let all = planned.map_or(&[][..], |planned| &planned.days);
        for (source, date) in all {
            let day = done.get(&(*source, *date));
            let sums = day.map_or_else(Sums::default, |day| day.sums);
            self.totals.add(&sums);
            self.days.push(Day {
                date: date.to_string(),
                source: source.to_string(),
                written: day.is_some(),
                sums,
                seconds: day.map_or(0.0, |day| day.time.as_secs_f64()),
            });
        }
        if let Some(totals) = totals.as_ref().filter(|_| is_kept) {
            let (top, more, others) = totals.top(TOP);
            let name = |(namespace, sums): (&str, Sums)| Namespace {
                namespace: namespace.to_owned(),
                sums,
            };
            self.namespaces = top.into_iter().map(name).collect();
            self.more_namespaces = more;
            self.other_namespaces = others;
        }
    }
}

impl Input {
    fn of(planned: &Planned) -> Self {
        Input {
            files: planned.files,
            row_groups: planned.row_groups,
            rows: planned.volume.rows,
            bytes: planned.volume.bytes,
        }
    }
}

impl Counts {
    fn of(snapshot: &Snapshot, planned: Option<&Planned>) -> Self {
        let get = |figure| snapshot.get(figure);
        Counts {
            rows_read: get(Figure::RowsRead),
            bytes_read: get(Figure::BytesRead),
            chunks: get(Figure::Chunks),
            rows_of_other_days: get(Figure::RowsOfOtherDays),
            rows_without_time: get(Figure::RowsWithoutTime),
            rows_without_node: get(Figure::RowsWithoutNode),
            rows_multiplied_by_labels: get(Figure::RowsMultipliedByLabels),
            rows_multiplied_by_cost_categories: get(Figure::RowsMultipliedByCategories),
            rows_multiplied_by_volumes: get(Figure::RowsMultipliedByVolumes),
            rows_without_capacity: get(Figure::RowsWithoutCapacity),
            superseded_files: planned.map_or(0, |planned| planned.superseded_files),
        }
    }
}

impl Memory {
    fn of(snapshot: &Snapshot, timeline: &Timeline) -> Self {
        Memory {
            limit: snapshot.get(Figure::MemoryLimit),
            budget: snapshot.get(Figure::MemoryBudget),
            peak: timeline.peak(),
            peak_resident: usage::peak_resident(),
            spilled: snapshot.get(Figure::SpilledBytes),
        }
    }
}

impl Skipped {
    fn of(planned: &Planned) -> Self {
        let months = planned.skipped.iter().map(|skipped| {
            let (source, month) = (skipped.source, skipped.month);
            format!("{month} of {source}: no pod files, {} of other types", skipped.other_files)
        });
        let files = planned.superseded.iter().map(|file| {
            let (upload, by) = (&file.upload, &file.by);
            format!(
                "{}: manifest {} has {} hours of {}, manifest {} has {}",
                file.path, upload.manifest, upload.hours, upload.day, by.manifest, by.hours
            )
        });
        Skipped {
            row_groups: planned.row_groups_pruned,
            rows: planned.rows_pruned,
            unchanged_days: planned.volume.unchanged,
            months: months.collect(),
            files: files.collect(),
            missing_columns: planned.missing_columns.iter().cloned().collect(),
        }
    }
}

fn stages(stages: &[(&'static str, Figure)], snapshot: &Snapshot) -> Vec<Stage> {
    let stage = |&(stage, figure)| Stage { stage, seconds: snapshot.seconds(figure) };
    stages.iter().map(stage).collect()
}

fn retries(snapshot: &Snapshot) -> BTreeMap<&'static str, u64> {
    let redone = REDONE.iter().map(|&(kind, figure)| (kind, snapshot.get(figure)));
    let before =
        ("database_failure_before_the_first_day", snapshot.get(Figure::RedonePreparations));
    let all = snapshot.retries.iter().copied().chain(redone).chain([before]);
    all.filter(|(_, count)| *count > 0).collect()
}
