//! The tables of the demo, at most 80 columns wide.

use std::io::{self, Write};

use super::output::{Group, Summary};
use super::{Pair, Usage};

const NAMESPACES: usize = 10;
const NAME: usize = 32;

/// One of the two resources of a [`Pair`].
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    pub title: &'static str,
    pub of: fn(&Pair) -> f64,
}

pub const CPU: Resource = Resource { title: "CPU, core-hours", of: |pair| pair.cpu };
pub const MEMORY: Resource = Resource { title: "memory, GiB-hours", of: |pair| pair.memory };

/// The namespaces that used most of `resource`, the others as one, and all together.
///
/// # Errors
/// Those of `out`.
pub fn namespaces(summary: &Summary, resource: Resource, out: &mut impl Write) -> io::Result<()> {
    let of = resource.of;
    let mut all: Vec<(&str, Usage)> =
        summary.namespaces.iter().map(|(name, usage)| (name.as_str(), *usage)).collect();
    // A stable sort: namespaces of equal usage stay in order of their names.
    all.sort_by(|a, b| of(&b.1.used).total_cmp(&of(&a.1.used)));
    let capacity = of(&summary.capacity());
    let mut line = |name: &str, usage: &Usage| {
        let [used, requested, effective] =
            [&usage.used, &usage.requested, &usage.effective].map(of);
        writeln!(
            out,
            "  {:<NAME$} {:>11} {:>11} {:>11} {:>7}",
            shortened(name, NAME),
            grouped(used),
            grouped(requested),
            grouped(effective),
            share(effective, capacity)
        )
    };
    let (top, rest) = all.split_at(NAMESPACES.min(all.len()));
    for (name, usage) in top {
        line(name, usage)?;
    }
    if !rest.is_empty() {
        let mut others = Usage::default();
        rest.iter().for_each(|(_, usage)| others.add(*usage));
        line(&format!("{} others", rest.len()), &others)?;
    }
    line("all namespaces", &summary.pods())
}

/// The line above [`namespaces`].
///
/// # Errors
/// Those of `out`.
pub fn namespaces_head(resource: Resource, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n  {:<NAME$} {:>11} {:>11} {:>11} {:>7}",
        resource.title, "used", "requested", "effective", "share"
    )
}

/// What the nodes had and what no pod used, for the platform and for the workers.
///
/// # Errors
/// Those of `out`.
pub fn unallocated(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n  {:<NAME$} {:>11} {:>11} {:>11} {:>7}",
        "nodes", "capacity", "used", "unallocated", "share"
    )?;
    for resource in [CPU, MEMORY] {
        let of = resource.of;
        let mut all = [0.0; 3];
        for (group, name) in
            [(Group::Platform, "platform"), (Group::Worker, "worker"), (Group::Unknown, "no role")]
        {
            let mut nodes = summary.nodes.values().filter(|node| node.group == group).peekable();
            if nodes.peek().is_none() {
                continue;
            }
            let mut sums = [0.0; 3];
            for node in nodes {
                let parts = [of(&node.capacity), of(&node.pods.used), of(&node.left.used)];
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
            all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
            parts(&format!("{}: {name}", resource.title), sums, out)?;
        }
        parts(&format!("{}: all", resource.title), all, out)?;
    }
    Ok(())
}

fn parts(name: &str, [capacity, used, left]: [f64; 3], out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "  {name:<NAME$} {:>11} {:>11} {:>11} {:>7}",
        grouped(capacity),
        grouped(used),
        grouped(left),
        share(left, capacity)
    )
}

/// What claims held, requested and used.
///
/// # Errors
/// Those of `out`.
pub fn storage(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let storage = &summary.storage;
    writeln!(
        out,
        "\n  {:<NAME$} {:>11} {:>11} {:>11} {:>7}",
        "storage, GiB-months", "capacity", "requested", "used", "share"
    )?;
    writeln!(
        out,
        "  {:<NAME$} {:>11} {:>11} {:>11} {:>7}",
        format!("{} claims", storage.claims.len()),
        grouped(storage.capacity),
        grouped(storage.requested),
        grouped(storage.used),
        share(storage.used, storage.capacity)
    )
}

/// With one decimal and a comma every three digits.
fn grouped(number: f64) -> String {
    let plain = format!("{number:.1}");
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// `part` of `whole` in percent.
fn share(part: f64, whole: f64) -> String {
    if whole == 0.0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part / whole) }
}

fn shortened(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let kept: String = name.chars().take(width - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0.0, "0.0"),
            (999.95, "1,000.0"),
            (-1234567.04, "-1,234,567.0"),
            (100.0, "100.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((share(1.0, 8.0).as_str(), share(1.0, 0.0).as_str()), ("12.5 %", "-"));
    }

    #[test]
    fn long_names_keep_the_columns_in_line() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größer", 5), "größ…");
    }
}
