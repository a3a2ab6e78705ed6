//! A [`Report`] as text or JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::report::{
    Cell, CellDifference, GroupTotal, OneSided, Report, RowDifference, RowDifferenceKind, Totals,
};

/// Groups of equal totals that are spelled out per table; those that differ come first.
const EQUAL_GROUPS: usize = 5;
/// Groups of differing totals that are spelled out per table.
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

fn write_totals(totals: &Totals, out: &mut impl Write) -> io::Result<()> {
    let differs =
        |g: &&GroupTotal| g.rows_left != g.rows_right || g.measures.iter().any(|m| !m.equal);
    let different: Vec<&GroupTotal> = totals.groups.iter().filter(differs).collect();
    let equal: Vec<&GroupTotal> = totals.groups.iter().filter(|g| !differs(g)).collect();
    let all = totals.groups.len();
    writeln!(out, "\nTotals by {} ({} of {all} differ)", totals.by, different.len())?;

    let mut lines = vec![
        [totals.by.as_str(), "measure", "left", "right", "right - left", "relative"]
            .map(str::to_owned),
    ];
    let shown = different.iter().take(DIFFERENT_GROUPS).chain(equal.iter().take(EQUAL_GROUPS));
    let mut spelled = 0;
    for group in shown {
        spelled += 1;
        let name = group.name.clone().unwrap_or_else(|| "(null)".to_owned());
        lines.push([
            name,
            "rows".to_owned(),
            group.rows_left.to_string(),
            group.rows_right.to_string(),
            (group.rows_right as i128 - group.rows_left as i128).to_string(),
            String::new(),
        ]);
        for total in &group.measures {
            let sum = |value: Option<f64>| value.map_or_else(|| "null".to_owned(), number);
            lines.push([
                String::new(),
                total.measure.clone(),
                sum(total.left),
                sum(total.right),
                if total.equal && total.difference == 0.0 {
                    "0".to_owned()
                } else {
                    format!("{:.3e}", total.difference)
                },
                match total.relative {
                    Some(relative) if relative > 0.0 => format!("{relative:.1e}"),
                    _ => String::new(),
                },
            ]);
        }
    }
    table(&lines, 2, out)?;
    if spelled < all {
        writeln!(out, "  … and {} more (all in --json)", all - spelled)?;
    }
    Ok(())
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
