//! Tables of the report in HTML.

use std::fmt::Write as _;

use super::{Day, RunReport};
use crate::report::svg::escaped;
use crate::telemetry::totals::Sums;

/// Days that the page shows; `report.json` has all.
const MOST_DAYS: usize = 1000;

/// With thousands apart and one digit after the point.
pub fn number(value: f64) -> String {
    let text = format!("{:.1}", value.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "0"));
    let sign = if value < 0.0 && text != "0.0" { "−" } else { "" };
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), crate::report::bars::grouped);
    format!("{sign}{whole}.{rest}")
}

fn integer(value: u64) -> String {
    crate::report::bars::grouped(value)
}

const DAY_HEAD: &str = "\
<thead><tr><th class=\"text\" rowspan=\"2\">day</th><th colspan=\"3\">rows</th>\
<th colspan=\"3\">CPU, core-hours</th><th colspan=\"3\">memory, GiB-hours</th>\
<th>storage,<br>GiB-months</th><th rowspan=\"2\">written<br>in</th></tr>\
<tr><th>pod</th><th>storage</th><th>unallocated</th><th>used</th><th>effective</th><th>unallocated</th>\
<th>used</th><th>effective</th><th>unallocated</th><th>requested</th></tr></thead>";

/// The days of the run, and their sum.
pub fn days(report: &RunReport) -> String {
    let several = report.sources.len() > 1;
    let mut html = format!("<div class=\"scroll\"><table>{DAY_HEAD}<tbody>");
    for day in report.days.iter().take(MOST_DAYS) {
        let class = if day.written { "" } else { " class=\"missing\"" };
        let _ = write!(html, "<tr{class}><td class=\"text\">{}", day.date);
        if several {
            let _ = write!(html, "<br><span class=\"dim\">{}</span>", escaped(&day.source));
        }
        html.push_str("</td>");
        if day.written {
            cells_of_day(&mut html, &day.sums);
            let _ = write!(html, "<td>{:.2} s</td>", day.seconds);
        } else {
            html.push_str("<td class=\"text\" colspan=\"11\">not written</td>");
        }
        html.push_str("</tr>");
    }
    let _ = write!(html, "<tr class=\"sum\"><td class=\"text\">all days</td>");
    cells_of_day(&mut html, &report.totals);
    let seconds: f64 = report.days.iter().map(|day| day.seconds).sum();
    let _ = write!(html, "<td>{seconds:.2} s</td></tr></tbody></table></div>");
    if report.days.len() > MOST_DAYS {
        let more = integer((report.days.len() - MOST_DAYS) as u64);
        let _ = write!(html, "<p class=\"dim\">{more} more days are in report.json.</p>");
    }
    html
}

fn cells_of_day(html: &mut String, sums: &Sums) {
    for rows in [sums.pod_rows, sums.storage_rows, sums.unallocated_rows] {
        let _ = write!(html, "<td>{}</td>", integer(rows));
    }
    for value in [
        sums.cpu_core_hours_used,
        sums.cpu_core_hours_effective,
        sums.unallocated_cpu_core_hours,
        sums.memory_gigabyte_hours_used,
        sums.memory_gigabyte_hours_effective,
        sums.unallocated_memory_gigabyte_hours,
        sums.storage_gigabyte_months_requested,
    ] {
        let _ = write!(html, "<td>{}</td>", number(value));
    }
}

const NAMESPACE_HEAD: &str = "\
<thead><tr><th class=\"text\" rowspan=\"2\">namespace</th><th rowspan=\"2\">rows</th>\
<th colspan=\"3\">CPU, core-hours</th><th colspan=\"3\">memory, GiB-hours</th>\
<th>storage,<br>GiB-months</th></tr>\
<tr><th>used</th><th>requested</th><th>effective</th><th>used</th><th>requested</th><th>effective</th>\
<th>requested</th></tr></thead>";

/// The namespaces with the most effective CPU usage, and the others together.
pub fn namespaces(report: &RunReport) -> String {
    let mut html = format!("<div class=\"scroll\"><table>{NAMESPACE_HEAD}<tbody>");
    for namespace in &report.namespaces {
        let name = match namespace.namespace.as_str() {
            "" => "<span class=\"dim\">(none)</span>".to_owned(),
            name => escaped(name),
        };
        row_of_namespace(&mut html, &name, &namespace.sums);
    }
    if report.other_namespaces.rows() > 0 {
        let name = format!("{} others", integer(report.more_namespaces as u64));
        row_of_namespace(&mut html, &name, &report.other_namespaces);
    }
    html.push_str("</tbody></table></div>");
    html
}

fn row_of_namespace(html: &mut String, name: &str, sums: &Sums) {
    let rows = integer(sums.rows());
    let _ = write!(html, "<tr><td class=\"text\">{name}</td><td>{rows}</td>");
    for value in [
        sums.cpu_core_hours_used,
        sums.cpu_core_hours_requested,
        sums.cpu_core_hours_effective,
        sums.memory_gigabyte_hours_used,
        sums.memory_gigabyte_hours_requested,
        sums.memory_gigabyte_hours_effective,
        sums.storage_gigabyte_months_requested,
    ] {
        let _ = write!(html, "<td>{}</td>", number(value));
    }
    html.push_str("</tr>");
}

/// Names and values side by side.
pub fn pairs<N: AsRef<str>>(pairs: impl IntoIterator<Item = (N, String)>) -> String {
    let mut html = "<div class=\"scroll\"><table><tbody>".to_owned();
    for (name, value) in pairs {
        let (name, value) = (escaped(name.as_ref()), escaped(&value));
        let _ = write!(
            html,
            "<tr><td class=\"text\">{name}</td><td class=\"text wrap\">{value}</td></tr>"
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// Days that are written, and that are not.
pub fn written(days: &[Day]) -> (usize, usize) {
    let written = days.iter().filter(|day| day.written).count();
    (written, days.len() - written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_signed() {
        let numbers = [0.0, -0.04, 0.05, -1234.56, 1e6].map(number);
        assert_eq!(numbers, ["0.0", "0.0", "0.1", "−1,234.6", "1,000,000.0"]);
    }
}
