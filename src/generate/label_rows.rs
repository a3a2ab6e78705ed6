//! The label rows of nodes and namespaces: one of each in every hour.

use std::collections::BTreeSet;
use std::ops::Range;

use super::calendar::Day;
use super::cluster::Cluster;
use super::{GenerateError, labels};
use crate::line_items::columns::Report;
use crate::line_items::table_file::{TableFile, Written};

/// Writes the hourly rows of `report` (nodes or namespaces), and for a daily file the distinct
/// (name, labels) among them.
///
/// # Errors
/// If a file cannot be written.
pub fn write(
    report: Report,
    cluster: &Cluster,
    day: &Day,
    hours: Range<u32>,
    mut hourly: TableFile,
    daily: Option<TableFile>,
) -> Result<[Option<Written>; 2], GenerateError> {
    let of_nodes = report == Report::NodeLabels;
    let count = if of_nodes { cluster.nodes.len() } else { cluster.namespaces.len() };
    let name = |index: usize| match of_nodes {
        true => cluster.nodes[index].name.as_str(),
        false => cluster.namespaces[index].name.as_str(),
    };
    let mut distinct: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut text = String::new();
    for hour in hours {
        let (start, end) = day.interval(hour);
        for index in 0..count {
            text.clear();
            match of_nodes {
                true => labels::node_labels(&mut text, cluster, index, day, hour),
                false => labels::namespace_labels(&mut text, cluster, index, day, hour),
            }
            hourly.push(
                &[day.period_start_ms, day.period_end_ms, start, end],
                &[Some(name(index)), Some(&text)],
                &[],
            )?;
            if daily.is_some() {
                distinct.insert((name(index), text.clone()));
            }
        }
    }
    let daily = match daily {
        Some(mut file) => {
            for (name, text) in &distinct {
                file.push(
                    &[day.start_ms, day.period_start_ms, day.period_end_ms],
                    &[Some(name), Some(text)],
                    &[],
                )?;
            }
            file.finish()?
        }
        None => None,
    };
    Ok([hourly.finish()?, daily])
}
