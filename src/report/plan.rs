//! A plan, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::settings::shown;
use super::summary::{sink_name, size};
use crate::decode::schema::Part;
use crate::memory::shares::Budget;
use crate::plan::Plan;
use crate::plan::shards::ShardWork;
use crate::settings::Settings;

/// How the work would be done.
pub struct Work {
    pub budget: Budget,
    /// As many as the memory allows.
    pub threads: usize,
    pub chunk_rows: usize,
    /// Whether chunks may shrink when memory runs short.
    pub adaptive: bool,
}

/// What `plan` prints.
pub struct PlanReport<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    work: Work,
    /// By unit and part.
    inputs: BTreeMap<(usize, Part), Input>,
    /// Row groups that may hold more than one day, counted under each.
    shared: usize,
    /// What each shard would do, where the run is shared.
    balance: &'a [ShardWork],
}

/// What may hold rows of one day and type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Input {
    files: BTreeSet<usize>,
    row_groups: usize,
    rows: usize,
    bytes: u64,
}

impl<'a> PlanReport<'a> {
    pub fn new(
        settings: &'a Settings,
        plan: &'a Plan,
        work: Work,
        balance: &'a [ShardWork],
    ) -> Self {
        let mut inputs: BTreeMap<(usize, Part), Input> = BTreeMap::new();
        let mut shared = 0;
        for group in &plan.groups {
            let (first, last) = group.units;
            shared += usize::from(first != last);
            for unit in first..=last {
                let input = inputs.entry((unit, group.file.part)).or_default();
                // The footer is shared by the groups of a file and by nothing else.
                input.files.insert(std::sync::Arc::as_ptr(&group.file) as usize);
                input.row_groups += 1;
                input.rows += group.group.rows;
                input.bytes += group.group.bytes;
            }
        }
        PlanReport { settings, plan, work, inputs, shared, balance }
    }

    fn inputs_of(&self, unit: usize) -> impl Iterator<Item = (Part, &Input)> {
        self.inputs
            .range((unit, Part::NodeLabels)..=(unit, Part::DailyPods))
            .map(|(&(_, part), input)| (part, input))
    }

    fn total_rows(&self) -> usize {
        self.plan.groups.iter().map(|group| group.group.rows).sum()
    }

    fn total_bytes(&self) -> u64 {
        self.plan.groups.iter().map(|group| group.group.bytes).sum()
    }

    /// The same as one object; keys stay as they are from version to version.
    pub fn json(&self) -> Value {
        let plan = self.plan;
        let settings: serde_json::Map<String, Value> =
            shown(self.settings).into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
        let days: Vec<Value> = plan
            .units
            .iter()
            .enumerate()
            .map(|(index, unit)| {
                let inputs: Vec<Value> = self
                    .inputs_of(index)
                    .map(|(part, input)| {
                        json!({
                            "type": part_name(part),
                            "files": input.files.len(),
                            "row_groups": input.row_groups,
                            "rows": input.rows,
                            "bytes": input.bytes,
                        })
                    })
                    .collect();
                json!({
                    "provider_uuid": unit.meta.source_uuid.to_string(),
                    "date": unit.meta.date.to_string(),
                    "input": inputs,
                })
            })
            .collect();
        let superseded: Vec<Value> = plan
            .superseded
            .iter()
            .map(|s| {
                json!({
                    "path": &*s.path,
                    "provider_uuid": s.source.to_string(),
                    "type": part_name(s.part),
                    "date": &*s.upload.day,
                    "manifest": &*s.upload.manifest,
                    "hours": s.upload.hours,
                    "by_manifest": &*s.by.manifest,
                    "by_hours": s.by.hours,
                })
            })
            .collect();
        let unread: Vec<&str> = plan.unread.iter().map(|path| &**path).collect();
        let odd_marks: Vec<Value> = plan
            .odd_marks
            .iter()
            .map(|(path, mark)| json!({"path": &**path, "mark": mark.to_string()}))
            .collect();
        let skipped: Vec<Value> = plan
            .skipped
            .iter()
            .map(|s| {
                json!({
                    "provider_uuid": s.source.to_string(),
                    "month": s.month.to_string(),
                    "other_files": s.other_files,
                })
            })
            .collect();
        let missing: Vec<Value> = plan
            .missing_columns
            .iter()
            .map(|(column, files)| json!({"column": column, "files": files}))
            .collect();
        let shards: Vec<Value> = self
            .balance
            .iter()
            .map(|work| json!({"days": work.days, "rows": work.rows, "bytes": work.bytes}))
            .collect();
        json!({
            "settings": settings,
            "days": days,
            "shards": shards,
            "total": {
                "days": plan.units.len(),
                "files": plan.files,
                "row_groups": plan.groups.len(),
                "rows": self.total_rows(),
                "bytes": self.total_bytes(),
                "row_groups_of_several_days": self.shared,
            },
            "left_out": {
                "superseded": superseded,
                "pruned": {"row_groups": plan.groups_pruned, "rows": plan.rows_pruned},
                "months": skipped,
                "unread": unread,
            },
            "odd_marks": odd_marks,
            "missing_columns": missing,
            "work": {
                "chunk_rows": self.work.chunk_rows,
                "chunks_may_shrink": self.work.adaptive,
                "threads": self.work.threads,
                "memory_limit": self.work.budget.limit.bytes,
                "memory_budget": self.work.budget.bytes,
            },
        })
    }

    fn write_days(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        writeln!(f, "\nDays to be replaced in {}", sink_name(self.settings))?;
        let mut source = None;
        for (index, unit) in plan.units.iter().enumerate() {
            if source != Some(unit.source) {
                source = Some(unit.source);
                writeln!(f, "  provider {}", unit.meta.source_uuid)?;
            }
            let date = unit.meta.date;
            let mut none = true;
            for (part, input) in self.inputs_of(index) {
                let date = if none { date.to_string() } else { String::new() };
                none = false;
                writeln!(
                    f,
                    "  {date:10}  {:22} {:5} files {:5} row groups {:10} rows {:>12}",
                    part_name(part),
                    input.files.len(),
                    input.row_groups,
                    input.rows,
                    size(input.bytes)
                )?;
            }
            if none {
                writeln!(f, "  {date:10}  no input: replaced by nothing")?;
            }
        }
        if plan.units.is_empty() {
            writeln!(f, "  none")?;
        }
        if self.settings.incremental {
            let note = "--incremental leaves out those that have not changed: see `status`";
            writeln!(f, "  {note}")?;
        }
        if self.shared > 0 {
            let shared = self.shared;
            writeln!(f, "  {shared} row groups may hold several days: counted under each")?;
        }
        writeln!(
            f,
            "  total       {} days, {} files, {} row groups, {} rows, {} to fetch",
            plan.units.len(),
            plan.files,
            plan.groups.len(),
            self.total_rows(),
            size(self.total_bytes())
        )
    }

    fn write_left_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        writeln!(f, "\nLeft out")?;
        for s in &plan.superseded {
            writeln!(
                f,
                "  {}: manifest {} has {} hours of {}, manifest {} has {}",
                s.path, s.upload.manifest, s.upload.hours, s.upload.day, s.by.manifest, s.by.hours
            )?;
        }
        for s in &plan.skipped {
            writeln!(
                f,
                "  {} of provider {}: no pod files ({} files of other types); --allow-empty \
                 replaces it all the same",
                s.month, s.source, s.other_files
            )?;
        }
        if plan.groups_pruned > 0 {
            writeln!(
                f,
                "  {} row groups with {} rows: of other days by their statistics",
                plan.groups_pruned, plan.rows_pruned
            )?;
        }
        for path in &plan.unread {
            writeln!(f, "  {path}: matches no template, so it is not read")?;
        }
        for (path, mark) in &plan.odd_marks {
            writeln!(f, "  nothing of {path}, whatever its upload: {mark}")?;
        }
        for (column, files) in &plan.missing_columns {
            writeln!(f, "  column {column}: missing in {files} files, null there")?;
        }
        let nothing = plan.superseded.is_empty()
            && plan.skipped.is_empty()
            && plan.groups_pruned == 0
            && plan.odd_marks.is_empty()
            && plan.unread.is_empty()
            && plan.missing_columns.is_empty();
        if nothing { writeln!(f, "  nothing") } else { Ok(()) }
    }
}

impl PlanReport<'_> {
    fn write_balance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.balance.iter().map(|work| work.rows).max().unwrap_or(0);
        if self.balance.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nShards")?;
        for (index, work) in self.balance.iter().enumerate() {
            let ShardWork { days, rows, bytes } = work;
            writeln!(f, "  {index:5}  {days:5} days {rows:12} rows {:>12}", size(*bytes))?;
        }
        let mean = self.balance.iter().map(|work| work.rows).sum::<u64>() as f64
            / self.balance.len() as f64;
        if mean > 0.0 {
            writeln!(f, "  the largest has {:.2} times the rows of the mean", most as f64 / mean)?;
        }
        Ok(())
    }
}

impl fmt::Display for PlanReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Settings")?;
        for (key, value) in shown(self.settings) {
            writeln!(f, "  {key:30} {value}")?;
        }
        self.write_days(f)?;
        self.write_left_out(f)?;
        self.write_balance(f)?;
        let Work { budget, threads, chunk_rows, adaptive } = &self.work;
        let may = if *adaptive { ", fewer when memory runs short" } else { "" };
        writeln!(f, "\nWork\n  {budget}")?;
        writeln!(f, "  {threads} threads, chunks of at most {chunk_rows} rows{may}")
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Capacity => "pod_usage (capacity)",
        Part::DailyPods => "pod_usage (daily)",
        part => part.report_type(),
    }
}
