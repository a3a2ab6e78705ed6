//! The kind of a CSV file, told by its header.

use crate::line_items::columns::{Grain, Kind, Report};

/// What a CSV file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    LineItems(Mapping),
    /// A report that the summary does not count, by its name.
    Other(&'static str),
}

/// Where the columns of a line item stand in a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub report: Report,
    /// In the order of the Parquet file.
    pub columns: Vec<Column>,
    /// Columns of the CSV file that are no line item's.
    pub ignored: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub from: From,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The field with this index.
    Field(usize),
    /// The larger of two fields.
    Larger(usize, usize),
}

/// Columns that older operators do not have.
const OPTIONAL: [&str; 3] = ["node", "csi_driver", "csi_volume_handle"];
/// A column of pods that newer operators have.
const NODE_ROLE: &str = "node_role";

/// Columns of reports that the summary does not count.
const OTHERS: [(&str, &str); 6] = [
    ("vm_name", "VM report"),
    ("vm_uptime_total_seconds", "VM report"),
    ("gpu_uuid", "GPU report"),
    ("gpu_vendor_name", "GPU report"),
    ("container_name", "resource optimization report"),
    ("cpu_usage_namespace_avg", "resource optimization report"),
];

/// What a file with this header holds.
///
/// # Errors
/// If no report has such a header: a hint at the nearest, as a message.
pub fn content<'a>(header: impl Iterator<Item = &'a str>) -> Result<Content, String> {
    let header: Vec<&str> = header.map(str::trim).collect();
    let place = |name: &str| header.iter().position(|found| *found == name);
    if let Some((_, name)) = OTHERS.iter().find(|(column, _)| place(column).is_some()) {
        return Ok(Content::Other(name));
    }
    if let Some((_, twice)) =
        header.iter().enumerate().find(|(index, name)| place(name) != Some(*index))
    {
        return Err(format!("the column {twice:?} is there twice"));
    }
    let Some(nearest) = Report::ALL
        .map(|report| Candidate::of(report, &place))
        .into_iter()
        .min_by_key(Candidate::percent_missing)
    else {
        return Err("there are no report types".to_owned());
    };
    if !nearest.missing.is_empty() {
        return Err(nearest.hint(&header));
    }
    let report = nearest.report;
    let columns = columns(report, &place);
    let used = |name: &str| columns.iter().any(|column| column.name == name);
    let ignored = header.iter().filter(|name| !used(name)).map(|name| (*name).to_owned()).collect();
    Ok(Content::LineItems(Mapping { report, columns, ignored }))
}

/// A report with the columns that a header lacks for it.
struct Candidate {
    report: Report,
    needed: usize,
    missing: Vec<&'static str>,
}

impl Candidate {
    fn of(report: Report, place: &dyn Fn(&str) -> Option<usize>) -> Self {
        let is_needed = |name: &&str| {
            let optional = report == Report::StorageUsage && OPTIONAL.contains(name);
            !optional && larger_of(name).is_none()
        };
        let columns = report.columns(Grain::Hourly).iter().map(|(name, _)| *name);
        let needed: Vec<&'static str> = columns.filter(is_needed).collect();
        Self {
            report,
            needed: needed.len(),
            missing: needed.into_iter().filter(|name| place(name).is_none()).collect(),
        }
    }

    fn percent_missing(&self) -> usize {
        100 * self.missing.len() / self.needed.max(1) + usize::from(!self.missing.is_empty())
    }

    fn hint(&self, header: &[&str]) -> String {
        // All reports have the four times, which tell none from another.
        if self.percent_missing() < 33 {
            return format!(
                "nearest is {}, without {}",
                self.report.as_str(),
                self.missing.join(", ")
            );
        }
        let mut start = header.join(",");
        if start.chars().count() > 100 {
            start = start.chars().take(100).chain(['…']).collect();
        }
        format!("it begins with {start:?}; the first line must name the columns of a report")
    }
}

/// The columns of the Parquet file, with their places.
fn columns(report: Report, place: &dyn Fn(&str) -> Option<usize>) -> Vec<Column> {
    let mut columns = Vec::new();
    for (name, kind) in report.columns(Grain::Hourly).iter().copied() {
        let from = match larger_of(name) {
            Some([one, other]) => match (place(one), place(other)) {
                (Some(one), Some(other)) => Some(From::Larger(one, other)),
                _ => None,
            },
            None => place(name).map(From::Field),
        };
        columns.extend(from.map(|from| Column { name, kind, from }));
        if name == "pod_labels" {
            let role = place(NODE_ROLE).map(From::Field);
            columns.extend(role.map(|from| Column { name: NODE_ROLE, kind: Kind::Text, from }));
        }
    }
    columns
}

/// The columns whose larger value a column is, if it is none of the operator's.
fn larger_of(name: &str) -> Option<[&'static str; 2]> {
    match name {
        "pod_effective_usage_cpu_core_seconds" => {
            Some(["pod_usage_cpu_core_seconds", "pod_request_cpu_core_seconds"])
        }
        "pod_effective_usage_memory_byte_seconds" => {
            Some(["pod_usage_memory_byte_seconds", "pod_request_memory_byte_seconds"])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: &str = "report_period_start,report_period_end,interval_start,interval_end";
    const PODS: &str = "node,namespace,pod,pod_usage_cpu_core_seconds,\
        pod_request_cpu_core_seconds,pod_limit_cpu_core_seconds,pod_usage_memory_byte_seconds,\
        pod_request_memory_byte_seconds,pod_limit_memory_byte_seconds,node_capacity_cpu_cores,\
        node_capacity_cpu_core_seconds,node_capacity_memory_bytes,\
        node_capacity_memory_byte_seconds,node_role,resource_id,pod_labels";

    fn of(columns: &str) -> Result<Content, String> {
        let header = format!("{TIMES},{columns}");
        content(header.split(','))
    }

    #[test]
    fn the_operators_order_becomes_the_order_of_the_files() {
        let Ok(Content::LineItems(mapping)) = of(&format!("{PODS},extra")) else {
            panic!("these are pods")
        };
        assert_eq!(mapping.report, Report::PodUsage);
        assert_eq!(mapping.ignored, ["extra"]);
        let names: Vec<_> = mapping.columns.iter().map(|column| column.name).collect();
        assert_eq!(names[4..8], ["pod", "namespace", "node", "resource_id"]);
        assert_eq!(mapping.columns[4].from, From::Field(6));
        assert_eq!(
            names[18..],
            [
                "pod_labels",
                "node_role",
                "pod_effective_usage_cpu_core_seconds",
                "pod_effective_usage_memory_byte_seconds"
            ]
        );
        assert_eq!(mapping.columns[20].from, From::Larger(7, 8));
    }

    #[test]
    fn older_storage_lacks_columns() {
        let old = "namespace,pod,persistentvolumeclaim,persistentvolume,storageclass,\
            persistentvolumeclaim_capacity_bytes,persistentvolumeclaim_capacity_byte_seconds,\
            volume_request_storage_byte_seconds,persistentvolumeclaim_usage_byte_seconds,\
            persistentvolume_labels,persistentvolumeclaim_labels";
        let Ok(Content::LineItems(mapping)) = of(old) else { panic!("this is storage") };
        assert_eq!(mapping.report, Report::StorageUsage);
        assert_eq!(mapping.columns.len(), 15);
    }

    #[test]
    fn others_are_named() {
        for (columns, name) in [
            ("node,vm_name,vm_labels", "VM report"),
            ("node,pod,gpu_uuid", "GPU report"),
            ("pod,container_name", "resource optimization report"),
        ] {
            assert_eq!(of(columns), Ok(Content::Other(name)));
        }
    }

    #[test]
    fn an_unknown_header_gets_a_hint() {
        let few = PODS.replace(",pod_labels", "").replace(",node_capacity_cpu_cores", "");
        assert_eq!(
            of(&few).unwrap_err(),
            "nearest is pod_usage, without node_capacity_cpu_cores, pod_labels"
        );
        assert_eq!(of("node").unwrap_err(), "nearest is node_labels, without node_labels");
        assert!(of("a,b").unwrap_err().contains("begins with"));
        assert!(content("a,b".split(',')).unwrap_err().contains("\"a,b\""));
        assert!(content("".split(',')).is_err());
        assert!(of("node,node,node_labels").unwrap_err().contains("twice"));
    }
}
