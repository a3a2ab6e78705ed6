//! The short summary at the end of a run, and the warnings that must not be overlooked.

use std::fmt;
use std::time::Duration;

use crate::memory::shares::mebibytes;
use crate::memory::usage;
use crate::pipeline::Outcome;
use crate::plan::Plan;
use crate::process::WorkerFigures;
use crate::settings::{Settings, SinkTo};
use crate::store::traffic::Traffic;

/// Says what a plan leaves out.
pub fn warn_of_plan(plan: &Plan) {
    for skipped in &plan.skipped {
        let (source, month, other_files) = (skipped.source, skipped.month, skipped.other_files);
        tracing::warn!(
            %source,
            %month,
            other_files,
            "nothing to do for {source} in {month}: no pod files; what the summary holds of it \
             stays as it is (--allow-empty replaces it all the same)"
        );
    }
    const MOST: usize = 20;
    for superseded in plan.superseded.iter().take(MOST) {
        let (path, source, upload, by) =
            (&superseded.path, superseded.source, &superseded.upload, &superseded.by);
        tracing::warn!(
            %source,
            %path,
            "left out {path}: manifest {} has {} hours of {}, manifest {} has {}",
            upload.manifest,
            upload.hours,
            upload.day,
            by.manifest,
            by.hours
        );
    }
    if plan.superseded.len() > MOST {
        let files = plan.superseded.len();
        tracing::warn!(files, "{files} files of superseded uploads left out in all: see `plan`");
    }
    if let [example, ..] = &plan.unread[..] {
        let files = plan.unread.len();
        tracing::warn!(
            files,
            "{files} files look like Parquet, but their paths match no template, so that they are not \
             read, such as {example}: see --layout"
        );
    }
    for (path, mark) in plan.odd_marks.iter().take(MOST) {
        tracing::warn!(
            %path,
            "{path} counts, but what its metadata says of its upload cannot be understood: {mark}; if \
             another file holds the same hours they count twice"
        );
    }
    if plan.odd_marks.len() > MOST {
        let files = plan.odd_marks.len();
        tracing::warn!(files, "{files} files with such metadata in all: see `plan --json`");
    }
    for (column, files) in &plan.missing_columns {
        tracing::warn!(column, files, "column {column} is missing in {files} files: null there");
    }
}

/// Says which rows were counted otherwise than one might think.
pub fn warn_of_outcome(outcome: &Outcome) {
    let counts = &outcome.counts;
    if counts.rows_without_time > 0 {
        let rows = counts.rows_without_time;
        tracing::warn!(rows, "{rows} rows have no interval_start and were not counted");
    }
    for (column, values) in &counts.odd_values {
        tracing::warn!(
            column,
            values,
            "{values} values of {column} are negative or above 1e18; they were counted as they are"
        );
    }
    let oddities = outcome.oddities;
    for (rows, cause) in [
        (oddities.label_rows, "the labels of their node or namespace changed within a day"),
        (oddities.category_rows, "several cost category patterns match their namespace"),
        (oddities.volume_rows, "their claim has several volumes on a day"),
    ] {
        if rows > 0 {
            tracing::warn!(
                rows,
                "{rows} rows count more than once, as in upstream, because {cause}; \
                 aggregation.fan_out: collapse counts each once"
            );
        }
    }
    let days = oddities.days_without_pods;
    if days > 0 {
        tracing::warn!(
            days,
            "{days} days have storage or capacity but no pods, so they got no pod rows; check that the \
             pod files of those days are there"
        );
    }
    let rows = oddities.rows_without_capacity;
    if rows > 0 {
        tracing::warn!(
            rows,
            "{rows} pod rows are of nodes that show no capacity on their day: it counts as 0, so that \
             unallocated usage is negative; check that the hourly files of those days are complete"
        );
    }
}

/// Renders to a few lines of text.
pub struct Summary<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    outcome: Option<&'a Outcome>,
    traffic: Option<&'a Traffic>,
    time: Duration,
    redone_preparations: u64,
}

impl<'a> Summary<'a> {
    pub fn new(
        settings: &'a Settings,
        plan: &'a Plan,
        outcome: Option<&'a Outcome>,
        traffic: Option<&'a Traffic>,
        time: Duration,
    ) -> Self {
        Summary { settings, plan, outcome, traffic, time, redone_preparations: 0 }
    }

    /// With how many steps before the first day were done again.
    pub fn with_redone_preparations(self, redone_preparations: u64) -> Self {
        Summary { redone_preparations, ..self }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for skipped in &self.plan.skipped {
            writeln!(
                f,
                "nothing to do for {} in {}: no pod files{}",
                skipped.source,
                skipped.month,
                match skipped.other_files {
                    0 => String::new(),
                    files => format!(" ({files} files of other types)"),
                }
            )?;
        }
        if self.plan.unchanged > 0 {
            writeln!(f, "unchanged {} days, left as they are", self.plan.unchanged)?;
        }
        if self.redone_preparations > 0 {
            let steps = self.redone_preparations;
            writeln!(
                f,
                "redone    {steps} × steps before the first day, after the database failed"
            )?;
        }
        if let Some(outcome) = self.outcome {
            let counts = &outcome.counts;
            writeln!(
                f,
                "read      {} rows in {} row groups of {} files",
                counts.rows,
                self.plan.groups.len(),
                self.plan.files
            )?;
            if !self.plan.superseded.is_empty() {
                let files = self.plan.superseded.len();
                writeln!(f, "left out  {files} files of superseded uploads")?;
            }
            let ignored = counts.rows_outside + self.plan.rows_pruned;
            if ignored + outcome.rows_without_node + counts.rows_without_time > 0 {
                writeln!(
                    f,
                    "not used  {ignored} rows of other days, {} pod rows without a node, {} rows \
                     without a time",
                    outcome.rows_without_node, counts.rows_without_time
                )?;
            }
            let changes = outcome.changes;
            if changes.shrunk > 0 {
                writeln!(
                    f,
                    "memory    chunks shrank {} times, to {} rows at least, and grew {} times",
                    changes.shrunk, changes.least_rows, changes.grown
                )?;
            }
            if tracing::enabled!(tracing::Level::DEBUG) && outcome.workers.is_none() {
                let (serial, all) = outcome.serial_time;
                let (serial, all) = (serial.as_secs_f64(), all.as_secs_f64());
                write!(f, "serial    {serial:.2} s of {all:.2} s: at most one thread had work")?;
                if let Some(cpu) = usage::cpu_time().filter(|cpu| !cpu.is_zero()) {
                    let cpu = cpu.as_secs_f64();
                    write!(f, ", {:.1} % of {cpu:.2} s of CPU", 100.0 * serial / cpu)?;
                }
                writeln!(f)?;
            }
            if let Some(workers) = outcome.workers {
                let WorkerFigures { processes, threads, died, peak } = workers;
                let peak = mebibytes(peak);
                writeln!(
                    f,
                    "workers   {processes} processes with {threads} threads each, {died} died, peak memory \
                     of the largest {peak}"
                )?;
            }
            let of_workers = outcome.spilled_by_workers;
            let spilled_bytes = outcome.spilled.0 + of_workers.0;
            let spilled_groups = outcome.spilled.1 + of_workers.1;
            if spilled_bytes > 0 {
                let bytes = mebibytes(spilled_bytes);
                // Of what workers sent, groups and rows are set aside as they came.
                let groups = match spilled_groups {
                    0 => String::new(),
                    groups => format!(" {groups} groups"),
                };
                writeln!(f, "spilled  {groups} for lack of memory, {bytes} on disk")?;
            }
            let open = self.plan.units_held_open();
            if open > 0 {
                writeln!(
                    f,
                    "held open {open} days, since row groups hold or may hold several days"
                )?;
            }
            let written = &outcome.written;
            writeln!(f, "groups    {}", outcome.groups)?;
            writeln!(
                f,
                "written   {} pod, {} storage and {} unallocated rows of {} days to {}",
                written.pod_rows,
                written.storage_rows,
                written.unallocated_rows,
                written.days,
                sink_name(self.settings)
            )?;
            for remark in &written.remarks {
                writeln!(f, "loaded    {remark}")?;
            }
            let redone: Vec<String> =
                written.redone.iter().map(|(why, times)| format!("{times} × {why}")).collect();
            if !redone.is_empty() {
                writeln!(f, "redone    days after {}", redone.join(", "))?;
            }
        }
        if let Some(traffic) = self.traffic {
            self.write_traffic(f, traffic)?;
        }
        write!(f, "time      {:.2} s", self.time.as_secs_f64())?;
        if let Some(peak) = usage::peak_resident() {
            write!(f, ", peak memory {}", mebibytes(peak))?;
        }
        writeln!(f)
    }
}

impl Summary<'_> {
    fn write_traffic(&self, f: &mut fmt::Formatter<'_>, traffic: &Traffic) -> fmt::Result {
        let needed: u64 = self.plan.groups.iter().map(|group| group.group.bytes).sum();
        write!(f, "fetched   {} in {} requests", size(traffic.bytes()), traffic.requests())?;
        if needed > 0 {
            let ratio = traffic.bytes() as f64 / needed as f64;
            write!(f, ", {ratio:.2} times the {} of the columns", size(needed))?;
        }
        writeln!(f)?;
        let faults: Vec<String> =
            traffic.faults().map(|(fault, count)| format!("{count} × {fault}")).collect();
        if !faults.is_empty() {
            writeln!(f, "retried   {}", faults.join(", "))?;
        }
        Ok(())
    }
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    match bytes as f64 {
        b if b < KIB => format!("{bytes} bytes"),
        b if b < KIB * KIB => format!("{:.1} KiB", b / KIB),
        b if b < KIB * KIB * KIB => format!("{:.1} MiB", b / (KIB * KIB)),
        b => format!("{:.1} GiB", b / (KIB * KIB * KIB)),
    }
}

/// Where the rows go.
pub fn sink_name(settings: &Settings) -> String {
    match &settings.sink {
        SinkTo::Postgres => format!(
            "PostgreSQL {}:{}/{}, schema {}",
            settings.postgres.host,
            settings.postgres.port,
            settings.postgres.database,
            settings.postgres.schema
        ),
        SinkTo::Csv(path) | SinkTo::Parquet(path) => path.display().to_string(),
    }
}
