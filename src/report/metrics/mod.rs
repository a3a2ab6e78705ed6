//! Metrics in the text format of Prometheus.

mod error;
pub mod file;
pub mod listen;
mod text;

use std::time::Duration;

pub use error::MetricsError;
use text::{Kind, Text};

use super::ending::Ending;
use super::identity::Identity;
use crate::telemetry::{Figure, Snapshot};

/// What a version of the metrics says beside the figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When the run began, since 1970.
    pub started: Duration,
    /// When the last run with this file was a success, since 1970.
    pub last_success: Option<f64>,
    /// Of a run that is over, with when that was.
    pub ended: Option<(Ending, Duration)>,
}

/// The metrics of a run at one moment.
pub fn render(identity: &Identity, snapshot: &Snapshot, moment: &Moment) -> String {
    let mut text = Text::new(identity);
    of_the_run(&mut text, snapshot, moment);
    of_the_work(&mut text, snapshot);
    of_memory(&mut text, snapshot);
    of_time(&mut text, snapshot);
    text.finish()
}

fn of_the_run(text: &mut Text, snapshot: &Snapshot, moment: &Moment) {
    text.family("build_info", Kind::Gauge, "Version of the program.");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("running", Kind::Gauge, "1 while a run lasts, 0 after its end.");
    text.sample(&[], if moment.ended.is_some() { 0.0 } else { 1.0 });
    text.family("start_time_seconds", Kind::Gauge, "When the run began, since 1970.");
    text.sample(&[], moment.started.as_secs_f64());
    text.family("duration_seconds", Kind::Gauge, "How long the run lasts or lasted.");
    text.sample(&[], snapshot.time.as_secs_f64());
    if let Some((ending, at)) = &moment.ended {
        text.family("end_time_seconds", Kind::Gauge, "When the run ended, since 1970.");
        text.sample(&[], at.as_secs_f64());
        text.family("exit_code", Kind::Gauge, "Exit code of the run; 0 is success.");
        text.sample(&[], f64::from(ending.exit_code));
    }
    if let Some(last) = moment.last_success {
        let help = "When a run with this file or address last was a success, since 1970.";
        text.family("last_success_timestamp_seconds", Kind::Gauge, help);
        text.sample(&[], last);
    }
    text.family("warnings_total", Kind::Counter, "Warnings logged, whatever the level of the log.");
    text.sample(&[], snapshot.warnings as f64);
}

fn of_the_work(text: &mut Text, snapshot: &Snapshot) {
    let get = |figure| snapshot.get(figure) as f64;
    if let Some(planned) = snapshot.planned {
        text.family("planned_bytes", Kind::Gauge, "Compressed bytes of the columns to be read.");
        text.sample(&[], planned.bytes as f64);
        text.family("planned_rows", Kind::Gauge, "Line items to be read.");
        text.sample(&[], planned.rows as f64);
        text.family("planned_days", Kind::Gauge, "Days of sources to be replaced.");
        text.sample(&[], planned.days as f64);
        text.family("unchanged_days", Kind::Gauge, "Days of sources left as they are.");
        text.sample(&[], planned.unchanged as f64);
    }
    text.family("read_bytes_total", Kind::Counter, "Compressed bytes of columns read.");
    text.sample(&[], get(Figure::BytesRead));
    text.family("read_rows_total", Kind::Counter, "Line items read.");
    text.sample(&[], get(Figure::RowsRead));
    text.family("left_out_rows_total", Kind::Counter, "Line items read that count for no row.");
    for (reason, figure) in [
        ("other_day", Figure::RowsOfOtherDays),
        ("no_time", Figure::RowsWithoutTime),
        ("no_node", Figure::RowsWithoutNode),
    ] {
        text.sample(&[("reason", reason)], get(figure));
    }
    text.family("multiplied_rows_total", Kind::Counter, "Line items that count more than once.");
    for (cause, figure) in [
        ("labels", Figure::RowsMultipliedByLabels),
        ("cost_categories", Figure::RowsMultipliedByCategories),
        ("volumes", Figure::RowsMultipliedByVolumes),
    ] {
        text.sample(&[("cause", cause)], get(figure));
    }
    let help = "Pod rows of nodes that show no capacity on their day.";
    text.family("without_capacity_rows_total", Kind::Counter, help);
    text.sample(&[], get(Figure::RowsWithoutCapacity));
    text.family("written_days_total", Kind::Counter, "Days of sources that are in their places.");
    text.sample(&[], get(Figure::DaysWritten));
    text.family("written_rows_total", Kind::Counter, "Summary rows of those days.");
    for (kind, figure) in [
        ("pod", Figure::PodRowsWritten),
        ("storage", Figure::StorageRowsWritten),
        ("unallocated", Figure::UnallocatedRowsWritten),
    ] {
        text.sample(&[("kind", kind)], get(figure));
    }
    let help = "Days that were written again, by what had failed.";
    text.family("redone_days_total", Kind::Counter, help);
    for (kind, figure) in REDONE {
        text.sample(&[("kind", kind)], get(*figure));
    }
    let help = "Steps before the first day that were done again, since the database failed.";
    text.family("redone_preparations_total", Kind::Counter, help);
    text.sample(&[], get(Figure::RedonePreparations));
    if let Some((requests, bytes)) = snapshot.network {
        text.family("store_requests_total", Kind::Counter, "Requests to the object store.");
        text.sample(&[], requests as f64);
        text.family("store_bytes_total", Kind::Counter, "Bytes that the object store answered.");
        text.sample(&[], bytes as f64);
    }
    if !snapshot.retries.is_empty() {
        let help = "Requests that were tried again, by what had failed.";
        text.family("retries_total", Kind::Counter, help);
        for (kind, count) in &snapshot.retries {
            text.sample(&[("kind", kind)], *count as f64);
        }
    }
}

fn of_memory(text: &mut Text, snapshot: &Snapshot) {
    for (name, figure, help) in [
        ("chunk_rows", Figure::ChunkRows, "Rows of a chunk; fewer when memory is short."),
        ("memory_used_bytes", Figure::MemoryUsed, "Memory of this process, files not counted."),
        ("memory_budget_bytes", Figure::MemoryBudget, "Memory that the run may allocate."),
        ("memory_limit_bytes", Figure::MemoryLimit, "The limit that the budget is made from."),
        ("memory_others_bytes", Figure::MemoryOfOthers, "Memory of others in the same cgroup."),
    ] {
        text.family(name, Kind::Gauge, help);
        text.sample(&[], snapshot.get(figure) as f64);
    }
    let help = "Compressed bytes that went to disk for lack of memory.";
    text.family("spilled_bytes_total", Kind::Counter, help);
    text.sample(&[], snapshot.get(Figure::SpilledBytes) as f64);
}

fn of_time(text: &mut Text, snapshot: &Snapshot) {
    let help = "Time of each stage; aggregate and finish are those of all threads together.";
    text.family("stage_seconds_total", Kind::Counter, help);
    for (stage, figure) in STAGES {
        text.sample(&[("stage", stage)], snapshot.seconds(*figure));
    }
    let help = "Time of each step of a day in the database, or in the file that is written.";
    text.family("sink_seconds_total", Kind::Counter, help);
    for (step, figure) in STEPS {
        text.sample(&[("step", step)], snapshot.seconds(*figure));
    }
}

/// The stages of a run, in order.
pub const STAGES: &[(&str, Figure)] = &[
    ("lookups", Figure::LookupTime),
    ("plan", Figure::PlanTime),
    ("read", Figure::ReadTime),
    ("aggregate", Figure::AggregateTime),
    ("finish", Figure::FinishTime),
    ("write", Figure::WriteTime),
];

/// The steps of a day in the sink, in order.
pub const STEPS: &[(&str, Figure)] =
    &[("begin", Figure::BeginTime), ("copy", Figure::CopyTime), ("commit", Figure::CommitTime)];

/// Days that were written again, by what had failed.
pub const REDONE: &[(&str, Figure)] = &[
    ("deadlock", Figure::RedoneForDeadlock),
    ("serialization_failure", Figure::RedoneForSerialization),
    ("lost_connection", Figure::RedoneForConnection),
];
