//! A [`Report`] as text or JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::report::{
    Cell, CellDifference, GroupTotal, OneSided, Report, RowDifference, RowDifferenceKind, Totals,
};

/// Groups whose totals differ that are spelled out per table.
const DIFFERENT_GROUPS: usize = 20;

/// Writes the report as one JSON document: `equal`, `summary`, then the fields of [`Report`].
///
/// # Errors
/// Those of `out`.
pub fn json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        equal: bool,
        summary: String,
        #[serde(flatten)]
        report: &'a Report,
    }
    let document = Document { equal: report.is_equal(), summary: report.summary(), report };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// Writes the report for people; the last line is [`Report::summary`].
///
/// # Errors
/// Those of `out`.
pub fn text(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "left   {} ({} rows)", report.left.name, report.left.rows)?;
    writeln!(out, "right  {} ({} rows)", report.right.name, report.right.rows)?;
    writeln!(
        out,
        "{} columns compared; numbers are equal within {:e} of the larger or {:e}",
        report.columns.len(),
        report.tolerance.relative,
        report.tolerance.absolute
    )?;
    one_sided("left", &report.only_left, out)?;
    one_sided("right", &report.only_right, out)?;
    for totals in &report.totals {
        write_totals(totals, out)?;
    }
    if !report.differences.is_empty() {
        let all = report.unequal();
        let shown = report.differences.len();
        writeln!(out, "\nDiffering rows ({shown} of {all} shown)")?;
        for (i, difference) in report.differences.iter().enumerate() {
            row(i + 1, difference, out)?;
        }
    } else {
        writeln!(out)?;
    }
    writeln!(out, "{}", report.summary())
}

fn one_sided(side: &str, columns: &[OneSided], out: &mut impl Write) -> io::Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let describe = |c: &OneSided| match c.filled {
        0 => format!("{} (all null)", c.column),
        _ => c.column.clone(),
    };
    let names: Vec<String> = columns.iter().map(describe).collect();
    writeln!(out, "only {side}, not compared: {}", names.join(", "))
}

/// Equal groups are counted, but a cluster's totals are always worth seeing.
fn write_totals(totals: &Totals, out: &mut impl Write) -> io::Result<()> {
    let differs =
        |g: &GroupTotal| g.rows_left != g.rows_right || g.measures.iter().any(|m| !m.equal);
    let different = totals.groups.iter().filter(|g| differs(g)).count();
    let all = totals.groups.len();
    writeln!(out, "\nTotals by {}: {different} of {all} differ", totals.by)?;

    let always = totals.by == "cluster_id";
    let chosen = |g: &&GroupTotal| always || differs(g);
    let mut groups: Vec<&GroupTotal> = totals.groups.iter().filter(chosen).collect();
    groups.sort_by_key(|g| !differs(g));
    groups.truncate(DIFFERENT_GROUPS);
    let header = [&totals.by, "measure", "left", "right", "right - left", "relative"];
    let mut lines = vec![header.map(str::to_owned)];
    for group in &groups {
        total_lines(group, &mut lines);
    }
    if !groups.is_empty() {
        table(&lines, 2, out)?;
    }
    match all - groups.len() {
        0 => Ok(()),
        more => writeln!(out, "  {more} more are in --json"),
    }
}

fn total_lines(group: &GroupTotal, lines: &mut Vec<[String; 6]>) {
    lines.push([
        group.name.as_deref().map_or_else(|| "(null)".to_owned(), visible),
        "rows".to_owned(),
        group.rows_left.to_string(),
        group.rows_right.to_string(),
        (group.rows_right as i128 - group.rows_left as i128).to_string(),
        String::new(),
    ]);
    for total in &group.measures {
        let sum = |value: Option<f64>| value.map_or_else(|| "null".to_owned(), number);
        let difference = match total.difference {
            0.0 => "0".to_owned(),
            difference => format!("{difference:.3e}"),
        };
        lines.push([
            String::new(),
            total.measure.to_owned(),
            sum(total.left),
            sum(total.right),
            difference,
            match total.relative {
                Some(relative) if relative > 0.0 => format!("{relative:.1e}"),
                _ => String::new(),
            },
        ]);
    }
}

fn row(position: usize, difference: &RowDifference, out: &mut impl Write) -> io::Result<()> {
    let kind = match difference.kind {
        RowDifferenceKind::Differs => "",
        RowDifferenceKind::OnlyLeft => "only left: ",
        RowDifferenceKind::OnlyRight => "only right: ",
    };
    let names: Vec<String> = difference
        .row
        .iter()
        .map(|named| format!("{}={}", named.column, visible(&named.value)))
        .collect();
    writeln!(out, "{position}. {kind}{}", names.join(" "))?;
    let mut lines = vec![["column", "left", "right", "relative"].map(str::to_owned)];
    let absent = |cell: &Cell, side| match difference.kind {
        kind if kind == side => "-".to_owned(),
        _ => show(cell),
    };
    for CellDifference { column, left, right, relative } in &difference.cells {
        lines.push([
            column.clone(),
            absent(left, RowDifferenceKind::OnlyRight),
            absent(right, RowDifferenceKind::OnlyLeft),
            relative.map_or_else(String::new, |r| format!("{r:.1e}")),
        ]);
    }
    if lines.len() > 1 { table(&lines, 5, out) } else { Ok(()) }
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Number(value) => number(*value),
        Cell::Text(text) => visible(text),
    }
}

/// Shortest digits that read back, whole numbers without `.0`.
fn number(value: f64) -> String {
    let text = format!("{value:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Text on one line, with what a terminal would act on escaped; empty text as quotes.
fn visible(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let escape = |c: char| {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// Columns two spaces apart, all but the last padded.
fn table<const N: usize>(
    lines: &[[String; N]],
    indent: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for line in lines {
        let mut text = " ".repeat(indent);
        for (cell, width) in line.iter().zip(widths) {
            text.push_str(&format!("{cell:width$}  "));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}
