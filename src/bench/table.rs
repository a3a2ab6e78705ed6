//! Results as text.

use std::fmt;

use super::claims::{self, percent};
use super::results::{Measurement, Medians, Results};
use super::variants::Group;

const MIB: f64 = 1024.0 * 1024.0;

/// Renders medians of all variants, and the claims.
pub struct Table<'a>(pub &'a Results);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table(results) = self;
        let runs = results.measurements.first().map_or(0, |m| m.runs.len());
        let Some(whole) = results.whole().map(Measurement::medians) else { return Ok(()) };
        writeln!(
            f,
            "on        {}, {} threads",
            results.machine.processor, results.machine.threads
        )?;
        writeln!(f, "input     {}", results.input)?;
        writeln!(f, "medians   of {runs} runs each, by turns, each in a process of its own")?;
        if results.same_bytes == Some(true) {
            writeln!(f, "output    the same bytes from all of them")?;
        }
        for (group, title) in [
            (Group::Switches, "ways of saving"),
            (Group::Threads, "threads"),
            (Group::Chunks, "rows a task aggregates at once"),
            (Group::Floor, "the least a reader must do"),
        ] {
            let measurements: Vec<&Measurement> = match group {
                Group::Switches => results.group(group).collect(),
                Group::Threads => results.scaling(),
                Group::Chunks | Group::Floor => {
                    results.group(group).chain(results.whole()).collect()
                }
            };
            if measurements.len() < 2 {
                continue;
            }
            writeln!(f, "\n{title:<34}{HEAD}")?;
            for measurement in measurements {
                line(f, group, measurement, &whole)?;
            }
        }
        claims(f, results)
    }
}

const HEAD: &str = "  wall s   CPU s      MiB    rows/s    plan    read   aggregate  finish   write     CPU  memory";

fn line(
    f: &mut fmt::Formatter<'_>,
    group: Group,
    measurement: &Measurement,
    whole: &Medians,
) -> fmt::Result {
    let m = measurement.medians();
    let name = name(group, measurement);
    let times = |value: f64, of: f64| if of > 0.0 { value / of } else { 1.0 };
    writeln!(
        f,
        "{name:<34}{:8.2}{:8.2}{:9.1}{:10.0}{:8.2}{:8.2}{:12.2}{:8.2}{:8.2}{:7.2}x{:7.2}x",
        m.wall,
        m.cpu,
        m.peak / MIB,
        m.rows_per_second,
        m.plan,
        m.read,
        m.aggregate,
        m.finish,
        m.write,
        times(m.cpu, whole.cpu),
        times(m.peak, whole.peak),
    )
}

/// What a measurement is called among those of a group: the whole belongs to all of them.
pub fn name(group: Group, measurement: &Measurement) -> String {
    let variant = &measurement.variant;
    match (group, variant.group) {
        (Group::Threads, Group::Switches) => match variant.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        },
        (Group::Chunks, Group::Switches) => "as the program chooses".to_owned(),
        (Group::Floor, Group::Switches) => "the whole run".to_owned(),
        _ => variant.name.clone(),
    }
}

fn claims(f: &mut fmt::Formatter<'_>, results: &Results) -> fmt::Result {
    writeln!(
        f,
        "\n{:<18}{:<36}{:>24}{:>24}",
        "saved by", "claimed", "the others on", "the others off"
    )?;
    writeln!(f, "{:54}{:>12}{:>12}{:>12}{:>12}", "", "memory", "CPU", "memory", "CPU")?;
    for checked in claims::check(results) {
        writeln!(
            f,
            "{:<18}{:<36}{:>12}{:>12}{:>12}{:>12}",
            checked.claim.name,
            checked.claim.claimed,
            percent(checked.among_others.memory),
            percent(checked.among_others.cpu),
            percent(checked.alone.memory),
            percent(checked.alone.cpu),
        )?;
    }
    writeln!(
        f,
        "Memory is the peak of the whole process, its program and buffers included; CPU is user and \
         system.\nStages are summed over threads. Streaming saves the more, the more days there are."
    )
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn every_variant_and_claim_has_a_line() {
        let results = results();
        let text = Table(&results).to_string();
        let lines_of = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        for measurement in &results.measurements {
            assert_eq!(lines_of(&format!("{} ", measurement.variant.name)), 1, "{text}");
        }
        for own in ["2 threads", "as the program chooses", "the whole run", "all together"] {
            assert_eq!(lines_of(own), 1, "{own}: {text}");
        }
        let baseline = text.lines().find(|line| line.starts_with("all off")).unwrap();
        assert!(baseline.contains("8.00x"), "eight times the memory of the whole: {baseline}");
        assert!(text.contains("about 95 % of memory") && text.contains("88 %"), "{text}");
    }
}
