//! Where line items lie: the presets, templates given by hand, and the proof of concept's paths.

use super::error::SettingsError;
use super::keys::{self, Key};
use super::sources::{Raw, Sources};
use super::{Layout, PodSource, TypePaths};

pub use super::path_matcher::PathMatcher;

const KOKU_HOURLY: &str =
    "data/parquet/{account}/OCP/{type}/source={uuid}/year={year}/month={month}/*.parquet";
const KOKU_DAILY: &str =
    "data/parquet/daily/{account}/OCP/{type}/source={uuid}/year={year}/month={month}/*.parquet";
const POC_HOURLY: &str = "data/{org}/OCP/source={uuid}/year={year}/month={month}/day={day}/\
                          openshift_{type}_line_items*/*.parquet";
const POC_DAILY: &str = "data/{org}/OCP/source={uuid}/year={year}/month={month}/day={day}/\
                         openshift_{type}_line_items_daily*/*.parquet";

/// What may stand in a template besides `{type}`, which is expanded first.
const PLACEHOLDERS: [&str; 6] = ["account", "org", "uuid", "year", "month", "day"];

/// Koku's own tree.
pub fn koku() -> Layout {
    Layout { hourly: by_type(KOKU_HOURLY), daily: Some(by_type(KOKU_DAILY)) }
}

/// The tree of the proof of concept.
pub fn poc() -> Layout {
    Layout { hourly: by_type(POC_HOURLY), daily: Some(by_type(POC_DAILY)) }
}

/// One template per report type, from one with `{type}`.
fn by_type(template: &str) -> TypePaths {
    let of = |name| template.replace("{type}", name);
    TypePaths {
        pod_usage: of("pod_usage"),
        storage_usage: of("storage_usage"),
        node_labels: of("node_labels"),
        namespace_labels: of("namespace_labels"),
    }
}

impl Layout {
    /// Whether a template holds the org id, as `{org}` or `{account}`.
    pub fn needs_org_id(&self) -> bool {
        let all = [Some(&self.hourly), self.daily.as_ref()];
        all.into_iter()
            .flatten()
            .flat_map(TypePaths::all)
            .any(|template| template.contains("{org}") || template.contains("{account}"))
    }
}

impl TypePaths {
    fn all(&self) -> [&str; 4] {
        [&self.pod_usage, &self.storage_usage, &self.node_labels, &self.namespace_labels]
    }
}

/// The layout, and an error if `pod_source` asks for daily files it does not know.
pub(crate) fn settle(
    sources: &mut Sources<'_>,
    pod_source: Option<(PodSource, String)>,
) -> Result<Layout, SettingsError> {
    let (mut layout, named_by) = read(sources)?;
    if let Some(daily) = sources.parse(&keys::LAYOUT_DAILY, with_type)? {
        layout.daily = Some(by_type(&daily));
    }
    match pod_source {
        Some((PodSource::Daily, origin)) if layout.daily.is_none() => {
            Err(SettingsError::NoDailyLayout {
                origin,
                layout: named_by,
                ways: keys::LAYOUT_DAILY.ways(),
            })
        }
        _ => Ok(layout),
    }
}

/// The layout, and who named it.
fn read(sources: &mut Sources<'_>) -> Result<(Layout, String), SettingsError> {
    const FILE_PATHS: &str = "`ocp.parquet_path_…`";
    let has_paths = PATHS.iter().any(|key| sources.is_in_file(key));
    match sources.read(&keys::LAYOUT)? {
        // A flag or a variable beats the file's paths, but within one file neither beats the other.
        Some(raw) if has_paths && raw.is_from_file() => Err(SettingsError::BothSet {
            first: raw.origin.to_string(),
            second: FILE_PATHS.to_owned(),
        }),
        Some(raw) => {
            let layout = match raw.text.as_str() {
                "koku" => koku(),
                "poc" => poc(),
                _ => Layout { hourly: by_type(&with_type(&raw)?), daily: None },
            };
            Ok((layout, raw.origin.to_string()))
        }
        None if has_paths => Ok((poc_paths(sources)?, FILE_PATHS.to_owned())),
        None => Ok((koku(), "the default layout".to_owned())),
    }
}

fn with_type(raw: &Raw) -> Result<String, SettingsError> {
    let template = raw.text.trim_start_matches('/');
    if !template.contains('/') && !template.contains('{') {
        return Err(raw.invalid("`koku`, `poc`, or a path template with `{type}` and `{uuid}`"));
    }
    if !template.contains("{type}") {
        return Err(fault(raw, "it must hold `{type}`, the report type, like `pod_usage`"));
    }
    check(raw, &template.replace("{type}", "pod_usage"))?;
    Ok(template.to_owned())
}

fn check(raw: &Raw, template: &str) -> Result<(), SettingsError> {
    if !template.contains("{uuid}") {
        return Err(fault(raw, "it must hold `{uuid}`, or other sources would be counted too"));
    }
    let mut rest = template;
    while let Some((_, inner)) = rest.split_once('{') {
        let name = inner.split_once('}').map(|(name, after)| {
            rest = after;
            name
        });
        match name {
            Some(name) if PLACEHOLDERS.contains(&name) => {}
            Some(name) => {
                let known: Vec<_> = PLACEHOLDERS.iter().map(|p| format!("{{{p}}}")).collect();
                return Err(fault(
                    raw,
                    format!("`{{{name}}}` is unknown; known are {{type}}, {}", known.join(", ")),
                ));
            }
            None => return Err(fault(raw, "a `}` is missing")),
        }
    }
    if !template.ends_with('/') && !template.ends_with(".parquet") {
        return Err(fault(
            raw,
            "it must end in `/` (every Parquet file below) or `.parquet` (files), like `…/*.parquet`",
        ));
    }
    let odd = |s: &str| s.is_empty() || s == "." || s == "..";
    if template.trim_end_matches('/').split('/').any(odd) || template.ends_with("//") {
        return Err(fault(raw, "it holds `//`, `/./` or `/../`; write the path without it"));
    }
    Ok(())
}

fn fault(raw: &Raw, fault: impl Into<String>) -> SettingsError {
    SettingsError::Template {
        origin: raw.origin.to_string(),
        template: raw.text.clone(),
        fault: fault.into(),
    }
}

const PATHS: [&Key; 6] = [
    &keys::PATH_POD,
    &keys::PATH_POD_HOURLY,
    &keys::PATH_STORAGE,
    &keys::PATH_STORAGE_DAILY,
    &keys::PATH_NODE_LABELS,
    &keys::PATH_NAMESPACE_LABELS,
];

/// The six `ocp.parquet_path_…` keys. The proof of concept kept hourly and daily files apart by
/// folder name only, and in some of its versions `parquet_path_pod` is the daily folder.
fn poc_paths(sources: &mut Sources<'_>) -> Result<Layout, SettingsError> {
    let pod = sources.parse(&keys::PATH_POD, poc_path)?;
    let pod_hourly = sources.parse(&keys::PATH_POD_HOURLY, poc_path)?;
    let storage = sources.parse(&keys::PATH_STORAGE, poc_path)?;
    let storage_daily = sources.parse(&keys::PATH_STORAGE_DAILY, poc_path)?;
    let node_labels = sources.parse(&keys::PATH_NODE_LABELS, poc_path)?;
    let namespace_labels = sources.parse(&keys::PATH_NAMESPACE_LABELS, poc_path)?;

    let pod_daily = pod.clone().filter(|path| is_daily(path));
    let pod = pod_hourly.or_else(|| pod.map(|path| to_hourly(&path)));
    let storage = storage.map(|path| to_hourly(&path));
    let need = |path: Option<String>, key: &Key| {
        path.ok_or_else(|| SettingsError::Missing {
            what: "path for one of the four report types",
            ways: format!(
                "`{}` beside the other `ocp.parquet_path_…` keys, or `{}` alone",
                key.path,
                keys::LAYOUT.path
            ),
        })
    };
    let hourly = TypePaths {
        pod_usage: need(pod, &keys::PATH_POD)?,
        storage_usage: need(storage, &keys::PATH_STORAGE)?,
        node_labels: need(node_labels, &keys::PATH_NODE_LABELS)?,
        namespace_labels: need(namespace_labels, &keys::PATH_NAMESPACE_LABELS)?,
    };
    let daily = pod_daily.map(|pod_usage| TypePaths {
        pod_usage,
        storage_usage: storage_daily.unwrap_or_else(|| hourly.storage_usage.clone()),
        ..hourly.clone()
    });
    Ok(Layout { hourly, daily })
}

const DAILY: &str = "_line_items_daily";

fn is_daily(path: &str) -> bool {
    path.contains(DAILY)
}

fn to_hourly(path: &str) -> String {
    path.replace(DAILY, "_line_items")
}

fn poc_path(raw: &Raw) -> Result<String, SettingsError> {
    let mut template = raw.text.trim_start_matches('/').replace("{provider_uuid}", "{uuid}");
    if !template.ends_with('/') && !template.ends_with(".parquet") {
        // There it is the beginning of an object's key, not the name of a folder.
        template.push_str("*/");
    }
    check(raw, &template)?;
    Ok(template)
}
