//! From settings to a plan: list, match, read footers, prune, order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::open::PlannedFile;
use super::units::{Skipped, Unit, UnitDays, days};
use super::{Plan, PlanError, PlannedGroup, open};
use crate::decode::schema::Part;
use crate::decode::times::day_number;
use crate::settings::{Month, PathMatcher, PodSource, Settings};
use crate::store::{Object, Store, StoreError};
use crate::summary::row::DayMeta;

/// An object with what it is read for.
pub(super) struct Candidate {
    pub object: Object,
    pub part: Part,
    /// Index into the sources of the run.
    pub source: usize,
    /// Days since 1970-01-01 that it may be counted for: asked, and of its folder's month.
    pub days: (i64, i64),
}

/// Plans a run. `meta` gives the facts of a source's month that its rows carry.
pub fn plan(
    settings: &Settings,
    store: &Store,
    meta: &dyn Fn(Uuid, Month) -> MonthMeta,
) -> Result<Plan, PlanError> {
    let mut units = Vec::new();
    let mut skipped = Vec::new();
    let mut candidates = Vec::new();
    let mut unread = BTreeSet::new();
    for (source, &provider) in settings.provider_uuids.iter().enumerate() {
        let found = candidates_of(settings, store, source, provider, &mut unread)?;
        if found.is_empty() && !is_known(settings, store, provider)? {
            return Err(unknown_provider(settings, store, provider)?);
        }
        for month in settings.months() {
            let of_month = |c: &&Candidate| {
                c.days.0 <= day_number(month.last_day())
                    && c.days.1 >= day_number(month.first_day())
            };
            let other_files = found.iter().filter(of_month).count();
            let has_pods = found.iter().filter(of_month).any(|c| c.part.has_pods());
            if !has_pods && !settings.allow_empty {
                skipped.push(Skipped { source: provider, month, other_files });
                continue;
            }
            let has = |part| found.iter().filter(of_month).any(|c| c.part == part);
            if has(Part::DailyPods) && !has(Part::Capacity) {
                return Err(PlanError::NoCapacity { provider, month });
            }
            let facts = meta(provider, month);
            let from = settings.from.max(month.first_day());
            for date in days(from, settings.to.min(month.last_day())) {
                let meta = DayMeta {
                    date,
                    source_uuid: provider,
                    report_period_id: facts.report_period_id,
                    cluster_id: facts.cluster_id.clone(),
                    cluster_alias: facts.cluster_alias.clone(),
                };
                units.push(Unit { source, meta: Arc::new(meta) });
            }
        }
        candidates.extend(found);
    }
    let unit_days: Vec<UnitDays> =
        (0..settings.provider_uuids.len()).map(|source| UnitDays::new(&units, source)).collect();
    // Pods need names only where there is storage to join them with.
    let with_storage: BTreeSet<usize> =
        candidates.iter().filter(|c| c.part == Part::Storage).map(|c| c.source).collect();
    candidates.retain(|c| unit_days[c.source].between(c.days.0, c.days.1).is_some());
    let opened = open::all(store, settings, &candidates, &with_storage)?;
    let open::Newest { files, superseded, odd_marks } = open::newest(settings, opened)?;

    let mut plan = Plan {
        units,
        groups: Vec::new(),
        skipped,
        files: files.len(),
        groups_pruned: 0,
        rows_pruned: 0,
        superseded,
        odd_marks,
        unread: unread.into_iter().collect(),
        unchanged: 0,
        missing_columns: missing_columns(&files),
    };
    for file in files {
        add_groups(&mut plan, &unit_days[file.source], file);
    }
    // Labels and storage are few and are there when the pods of the day come.
    plan.groups.sort_by_key(|g| (g.units, g.file.part));
    Ok(plan)
}

/// What the rows of a source's month carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonthMeta {
    pub report_period_id: Option<i32>,
    pub cluster_id: Option<String>,
    pub cluster_alias: Option<String>,
}

fn add_groups(plan: &mut Plan, units: &UnitDays, file: PlannedFile) {
    let PlannedFile { source, file, groups } = file;
    let file = Arc::new(file);
    for (row_group, (group, ranges)) in groups.into_iter().enumerate() {
        let (first, last) = group.promised_days.unwrap_or(file.days);
        let possible = units.between(first.max(file.days.0), last.min(file.days.1));
        let Some(possible) = possible.filter(|_| group.rows > 0) else {
            plan.groups_pruned += 1;
            plan.rows_pruned += group.rows as u64;
            continue;
        };
        let file = file.clone();
        plan.groups.push(PlannedGroup { file, source, row_group, group, ranges, units: possible });
    }
}

fn missing_columns(files: &[PlannedFile]) -> Vec<(String, usize)> {
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    for PlannedFile { file, .. } in files {
        for found in file.columns.iter().filter(|f| f.leaf.is_none()) {
            let name = format!("{}.{}", file.part.report_type(), found.wanted.name);
            *missing.entry(name).or_default() += 1;
        }
    }
    missing.into_iter().collect()
}

/// The templates of the run, with what their files are read for.
fn templates(settings: &Settings) -> Vec<(&str, Part)> {
    let hourly = &settings.input.layout.hourly;
    let mut templates = vec![
        (hourly.node_labels.as_str(), Part::NodeLabels),
        (hourly.namespace_labels.as_str(), Part::NamespaceLabels),
        (hourly.storage_usage.as_str(), Part::Storage),
    ];
    match (settings.aggregation.pod_source, &settings.input.layout.daily) {
        (PodSource::Daily, Some(daily)) => {
            templates.push((hourly.pod_usage.as_str(), Part::Capacity));
            templates.push((daily.pod_usage.as_str(), Part::DailyPods));
        }
        _ => templates.push((hourly.pod_usage.as_str(), Part::Pods)),
    }
    templates
}

fn candidates_of(
    settings: &Settings,
    store: &Store,
    source: usize,
    provider: Uuid,
    unread: &mut BTreeSet<Arc<str>>,
) -> Result<Vec<Candidate>, PlanError> {
    let mut candidates = Vec::new();
    let is_known = known_paths(settings, provider);
    for (template, part) in templates(settings) {
        let mut found: BTreeMap<Arc<str>, Candidate> = BTreeMap::new();
        for month in settings.months() {
            let matcher = PathMatcher::new(template, &settings.input.org_id, provider, &[month]);
            let first = day_number(settings.from.max(month.first_day()));
            let last = day_number(settings.to.min(month.last_day()));
            for prefix in matcher.prefixes() {
                for object in store.list(prefix)? {
                    if !matcher.matches(&object.path) {
                        if looks_like_parquet(&object.path) && !is_known(&object.path) {
                            unread.insert(object.path);
                        }
                        continue;
                    }
                    // A template without a month gives each file for all of them.
                    let known = found.entry(object.path.clone()).or_insert(Candidate {
                        object,
                        part,
                        source,
                        days: (first, last),
                    });
                    known.days = (known.days.0.min(first), known.days.1.max(last));
                }
            }
        }
        candidates.extend(found.into_values());
    }
    Ok(candidates)
}

/// Tells the paths of any report type, be they read in this run or not.
fn known_paths(settings: &Settings, provider: Uuid) -> impl Fn(&str) -> bool {
    let layout = &settings.input.layout;
    let types = [Some(&layout.hourly), layout.daily.as_ref()];
    let paths = types.into_iter().flatten().flat_map(|paths| {
        [&paths.pod_usage, &paths.storage_usage, &paths.node_labels, &paths.namespace_labels]
    });
    let (org, months) = (&settings.input.org_id, settings.months());
    let matchers: Vec<PathMatcher> =
        paths.map(|template| PathMatcher::new(template, org, provider, &months)).collect();
    move |path| matchers.iter().any(|matcher| matcher.matches(path))
}

/// Whether someone may believe that a file is read: `x.PARQUET`, `x.parquet.gz`, `x.parquet/part-0`.
fn looks_like_parquet(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.to_ascii_lowercase().contains(".parquet")
        && !name.starts_with(['.', '_'])
        && !name.ends_with(".metadata.json")
}

/// Whether the tree holds anything of a provider, be it of other months.
fn is_known(settings: &Settings, store: &Store, provider: Uuid) -> Result<bool, StoreError> {
    let name = provider.to_string();
    for (template, _) in templates(settings) {
        let folders = store.folders(&folder_of_sources(settings, template, provider))?;
        if folders.iter().any(|folder| folder.contains(&name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The folder whose next part names the provider; the topmost if none does.
fn folder_of_sources(settings: &Settings, template: &str, provider: Uuid) -> String {
    let matcher = PathMatcher::new(template, &settings.input.org_id, provider, &settings.months());
    let prefix = matcher.prefixes().first().map_or("", |prefix| prefix.as_str());
    let before = prefix.find(&provider.to_string()).map_or("", |at| &prefix[..at]);
    before.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned()
}

fn unknown_provider(
    settings: &Settings,
    store: &Store,
    provider: Uuid,
) -> Result<PlanError, StoreError> {
    let parent = folder_of_sources(settings, &settings.input.layout.hourly.pod_usage, provider);
    let mut others = store.folders(&parent)?;
    others.retain(|name| name.contains('='));
    let hint = if others.is_empty() {
        format!(
            "there is no source at all there: check --source, --org-id ({:?}) and --layout",
            settings.input.org_id
        )
    } else {
        let more = if others.len() > 5 { ", …" } else { "" };
        format!(
            "there are {}{more}: check --provider-uuid and the dates",
            others[..others.len().min(5)].join(", ")
        )
    };
    Ok(PlanError::UnknownProvider {
        provider,
        looked_in: format!("{}/{parent}", settings.input.source.trim_end_matches('/')),
        hint,
    })
}
