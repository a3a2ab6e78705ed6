//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use super::RunReport;
use super::chart::{self, Bar, Line};
use super::tables;
use crate::report::bars::grouped;
use crate::report::summary::size;
use crate::report::svg::escaped;

const STYLE: &str = include_str!("style.css");
/// Bars of days that can be told apart.
const MOST_BARS: usize = 130;

/// The page.
pub fn render(report: &RunReport) -> String {
    let title = format!("Roll-up of {} to {}: {}", report.from, report.to, report.state);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title)
    );
    head(&mut html, report);
    cards(&mut html, report);
    warnings(&mut html, report);
    charts(&mut html, report);
    section(&mut html, "Days", &tables::days(report));
    if !report.namespaces.is_empty() {
        let title = "Namespaces with the most effective CPU usage";
        section(&mut html, title, &tables::namespaces(report));
    }
    section(&mut html, "Counted otherwise, not at all, or tried again", &counted(report));
    skipped(&mut html, report);
    let settings = report.settings.iter().map(|(key, value)| (*key, value.clone()));
    section(&mut html, "Settings", &tables::pairs(settings));
    let _ = write!(
        html,
        "<footer>{}. Sums on this page are for reading; the rows in the sink are exact. All of it, \
         for programs: report.json.</footer>\n</main>\n</body>\n</html>\n",
        escaped(&report.program)
    );
    html
}

fn section(html: &mut String, title: &str, body: &str) {
    let _ = writeln!(html, "<section><h2>{}</h2>{body}</section>", escaped(title));
}

fn head(html: &mut String, report: &RunReport) {
    let class = report.state.replace(' ', "-");
    let _ = write!(
        html,
        "<header><p class=\"state {class}\">{}</p><h1>Roll-up of {} to {}</h1><p>from {}<br>\
         to {}<br>source {}<br>{} to {} UTC</p>",
        report.state,
        report.from,
        report.to,
        escaped(report.settings.get("input.source").map_or("", String::as_str)),
        escaped(&report.sink),
        escaped(&report.sources.join(", ")),
        report.started.replace(['T', 'Z'], " ").trim_end(),
        report.ended.replace(['T', 'Z'], " ").trim_end(),
    );
    if let Some(error) = &report.error {
        let code = report.exit_code;
        let _ = write!(html, "<p class=\"error\">Exit code {code}: {}</p>", escaped(error));
    }
    html.push_str("</header>\n");
}

fn cards(html: &mut String, report: &RunReport) {
    let (written, missing) = tables::written(&report.days);
    let missing = match missing {
        0 => "all that were planned".to_owned(),
        missing => format!("{} not written", grouped(missing as u64)),
    };
    let input = report.input.as_ref();
    let of_rows = input.map_or_else(
        || "nothing was planned".to_owned(),
        |input| format!("of {} in {} files", grouped(input.rows), grouped(input.files as u64)),
    );
    let of_bytes = input.map_or_else(String::new, |input| format!("of {}", size(input.bytes)));
    let rate = report.counts.rows_read as f64 / report.seconds.max(0.001);
    let sums = &report.totals;
    let rows = format!(
        "{} pod, {} storage, {} unallocated",
        grouped(sums.pod_rows),
        grouped(sums.storage_rows),
        grouped(sums.unallocated_rows)
    );
    let memory = &report.memory;
    let spilled = match memory.spilled {
        _ if memory.budget == 0 => String::new(),
        0 => format!("of {} budget", size(memory.budget)),
        spilled => format!("of {} budget, {} on disk", size(memory.budget), size(spilled)),
    };
    html.push_str("<dl class=\"cards\">");
    for (name, value, more) in [
        ("days written", grouped(written as u64), missing),
        ("summary rows written", grouped(sums.rows()), rows),
        ("line items read", grouped(report.counts.rows_read), of_rows),
        ("bytes read", size(report.counts.bytes_read), of_bytes),
        ("time", chart::seconds(report.seconds), format!("{} rows/s", grouped(rate as u64))),
        ("memory at its peak", size(memory.peak), spilled),
    ] {
        let (value, more) = (escaped(&value), escaped(&more));
        let _ = write!(html, "<div><dt>{name}</dt><dd>{value}</dd><dd>{more}</dd></div>");
    }
    html.push_str("</dl>\n");
}

fn warnings(html: &mut String, report: &RunReport) {
    if report.warnings.is_empty() {
        section(html, "Warnings", "<p class=\"dim\">None.</p>");
        return;
    }
    let mut list = "<ul class=\"warnings\">".to_owned();
    for warning in &report.warnings {
        let _ = write!(list, "<li>{}</li>", escaped(&warning.text));
    }
    list.push_str("</ul>");
    if report.more_warnings > 0 {
        let more = grouped(report.more_warnings);
        let _ = write!(list, "<p class=\"dim\">{more} more are in the log.</p>");
    }
    section(html, "Warnings", &list);
}

fn charts(html: &mut String, report: &RunReport) {
    const MIB: f64 = 1024.0 * 1024.0;
    html.push_str("<section><h2>How it went</h2><div class=\"charts\">");
    let samples = &report.timeline;
    let over_time = |of: &dyn Fn(&super::Sample) -> f64| {
        samples.iter().map(|sample| (sample.seconds, of(sample))).collect::<Vec<_>>()
    };
    let line = |name, class, points| Line { name, class, points, stepped: false, filled: false };
    let used = over_time(&|sample| sample.memory as f64 / MIB);
    let budget = report.memory.budget as f64 / MIB;
    let mut lines = vec![Line { filled: true, ..line("in use", "c1", used) }];
    // A budget far above all that is used would only flatten the rest.
    let known = report.memory.budget > 0;
    let is_near = known && report.memory.peak.saturating_mul(20) >= report.memory.budget;
    if is_near {
        lines.push(line("budget", "c2", over_time(&|_| budget)));
    }
    let mut memory = chart::lines("Memory in use over time", &lines, chart::mebibytes);
    if known && !is_near {
        let budget = size(report.memory.budget);
        let _ = write!(memory, "<p class=\"dim\">The budget of {budget} is far above.</p>");
    }
    figure(html, "Memory against budget", &memory);

    let mut points = over_time(&|sample| sample.chunk_rows as f64);
    // There are none before the plan is made.
    points.retain(|(_, rows)| *rows > 0.0);
    let lines = [Line { stepped: true, ..line("rows of a chunk", "c3", points) }];
    let svg = chart::lines("Rows of a chunk over time", &lines, chart::count);
    figure(html, "Chunk size", &svg);

    if report.days.len() <= MOST_BARS {
        let bars: Vec<Bar> = report
            .days
            .iter()
            .map(|day| {
                let sums = &day.sums;
                let rows = [sums.pod_rows, sums.storage_rows, sums.unallocated_rows];
                // Without the year, to leave room.
                let label = day.date.split_once('-').map_or("", |(_, rest)| rest).to_owned();
                Bar { label, parts: rows.map(|rows| rows as f64).to_vec() }
            })
            .collect();
        let series = [("pod", "c1"), ("storage", "c2"), ("unallocated", "c3")];
        let svg = chart::bars("Summary rows of each day", &series, &bars, chart::count);
        figure(html, "Rows of each day", &svg);
    }

    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.seconds)).collect();
    let mut svg = chart::rows("Time of each stage", &stages, chart::seconds);
    svg.push_str(
        "<p class=\"dim\">Aggregate and finish: of all threads together. Stages run side by side, so \
         their times add up to more than the run took.</p>",
    );
    figure(html, "Time of each stage", &svg);
    html.push_str("</div></section>\n");
}

fn figure(html: &mut String, title: &str, body: &str) {
    let _ = write!(html, "<div class=\"chart\"><h3>{title}</h3>{body}</div>");
}

fn counted(report: &RunReport) -> String {
    let counts = &report.counts;
    let all = [
        (
            "line items of other days (late or early) in the files that were read",
            counts.rows_of_other_days,
        ),
        ("line items of other days that did not have to be read", report.skipped.rows),
        ("line items without a time", counts.rows_without_time),
        ("pod line items without a node", counts.rows_without_node),
        (
            "line items that count more than once: labels changed within a day",
            counts.rows_multiplied_by_labels,
        ),
        (
            "line items that count more than once: several cost categories match",
            counts.rows_multiplied_by_cost_categories,
        ),
        (
            "line items that count more than once: several volumes of a claim",
            counts.rows_multiplied_by_volumes,
        ),
        ("pod line items of nodes without a capacity on their day", counts.rows_without_capacity),
        ("files of superseded uploads left out", counts.superseded_files as u64),
    ];
    let all = all.map(|(what, count)| (what.to_owned(), count)).into_iter();
    let retries = report
        .retries
        .iter()
        .map(|(kind, count)| (format!("tried again after {}", kind.replace('_', " ")), *count));
    tables::pairs(all.chain(retries).map(|(what, count)| (what, grouped(count))))
}

fn skipped(html: &mut String, report: &RunReport) {
    let skipped = &report.skipped;
    let mut lists = String::new();
    if skipped.unchanged_days > 0 {
        let days = grouped(skipped.unchanged_days);
        let _ = write!(
            lists,
            "<p>{days} days, left as they are: nothing that they are made of has changed.</p>"
        );
    }
    let missing: Vec<String> = skipped
        .missing_columns
        .iter()
        .map(|(column, files)| format!("column {column} in {files} files: null there"))
        .collect();
    let more = report.counts.superseded_files.saturating_sub(skipped.files.len());
    for (title, all, more) in [
        ("Months without pod files, left alone", &skipped.months, 0),
        ("Files of superseded uploads", &skipped.files, more),
        ("Missing columns", &missing, 0),
    ] {
        if all.is_empty() {
            continue;
        }
        let _ = write!(lists, "<h3>{title}</h3><ul class=\"plain\">");
        for one in all {
            let _ = write!(lists, "<li>{}</li>", escaped(one));
        }
        lists.push_str("</ul>");
        if more > 0 {
            let _ = write!(lists, "<p class=\"dim\">and {} more</p>", grouped(more as u64));
        }
    }
    if lists.is_empty() {
        lists.push_str("<p class=\"dim\">Nothing.</p>");
    }
    section(html, "Skipped", &lists);
}
