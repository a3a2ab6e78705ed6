//! Which plots are made of results.

use super::results::{Measurement, Results};
use super::svg::{self, Axes, Bar, Line};
use super::table::name;
use super::variants::{Group, Switches};

const MIB: f64 = 1024.0 * 1024.0;
/// A line needs no more points than it has pixels.
const MOST_POINTS: usize = 400;

/// A plot with its heading.
pub struct Chart {
    pub title: &'static str,
    pub svg: String,
}

/// All plots for which there is something to show.
pub fn all(results: &Results) -> Vec<Chart> {
    let mut charts = Vec::new();
    let mut add = |title, svg: fn(&str, &Results) -> Option<String>| {
        charts.extend(svg(title, results).map(|svg| Chart { title, svg }));
    };
    add("Peak memory, MiB", |title, r| Some(switches(title, r, |m| m.medians().peak / MIB, 1)));
    add("CPU, seconds", |title, r| Some(switches(title, r, |m| m.medians().cpu, 2)));
    add("Time, seconds", |title, r| Some(switches(title, r, |m| m.medians().wall, 2)));
    add("Memory over time", memory);
    add("CPU beside the least a reader must do, seconds", floor);
    add("Threads: how many times as fast as one", scaling);
    add("Chunk sizes: peak memory, MiB", |title, r| {
        chunks(title, r, |m| m.medians().peak / MIB, 1)
    });
    add("Chunk sizes: CPU, seconds", |title, r| chunks(title, r, |m| m.medians().cpu, 2));
    charts
}

fn bar(group: Group, measurement: &Measurement, value: f64, class: usize) -> Bar {
    let digits = if value < 100.0 { 2 } else { 0 };
    let label = name(group, measurement);
    Bar { label, value, text: format!("{value:.digits$}"), class }
}

fn switches(
    title: &str,
    results: &Results,
    value: fn(&Measurement) -> f64,
    class: usize,
) -> String {
    let bars: Vec<Bar> =
        results.group(Group::Switches).map(|m| bar(Group::Switches, m, value(m), class)).collect();
    svg::bars(title, &bars)
}

fn chunks(
    title: &str,
    results: &Results,
    value: fn(&Measurement) -> f64,
    class: usize,
) -> Option<String> {
    results.group(Group::Chunks).next()?;
    let bars: Vec<Bar> = results
        .group(Group::Chunks)
        .chain(results.whole())
        .map(|m| bar(Group::Chunks, m, value(m), class))
        .collect();
    Some(svg::bars(title, &bars))
}

fn floor(title: &str, results: &Results) -> Option<String> {
    let floor = results.group(Group::Floor).next()?;
    let bars: Vec<Bar> = std::iter::once(floor)
        .chain(results.whole())
        .map(|m| bar(Group::Floor, m, m.medians().cpu, 2))
        .collect();
    Some(svg::bars(title, &bars))
}

fn memory(title: &str, results: &Results) -> Option<String> {
    let shown = [Switches::ALL, Switches { streaming: false, ..Switches::ALL }, Switches::NONE];
    let lines: Vec<Line> = shown
        .iter()
        .filter_map(|switches| results.with(*switches))
        .zip(1..)
        .map(|(measurement, class)| {
            let samples = measurement.memory();
            let each = samples.len().div_ceil(MOST_POINTS).max(1);
            // The greatest of each stretch, so that no peak is lost.
            let points = samples.chunks(each).filter_map(|stretch| {
                let greatest = stretch.iter().max_by_key(|sample| sample.bytes)?;
                Some((greatest.seconds, greatest.bytes as f64 / MIB))
            });
            let label = measurement.variant.name.clone();
            Line { label, points: points.collect(), class, marks: false }
        })
        .collect();
    Some(svg::lines(title, Axes { x: "seconds", y: "MiB resident" }, &lines))
}

fn scaling(title: &str, results: &Results) -> Option<String> {
    let measurements = results.scaling();
    let one = measurements.iter().find(|m| m.variant.threads == 1)?.medians().wall;
    let most = measurements.iter().map(|m| m.variant.threads).max().filter(|&most| most > 1)?;
    let points = measurements.iter().map(|m| {
        let wall = m.medians().wall;
        (m.variant.threads as f64, if wall > 0.0 { one / wall } else { 0.0 })
    });
    let measured =
        Line { label: "measured".to_owned(), points: points.collect(), class: 1, marks: true };
    let most = most as f64;
    let ideal = Line {
        label: "as many times".to_owned(),
        points: vec![(1.0, 1.0), (most, most)],
        class: 4,
        marks: false,
    };
    Some(svg::lines(title, Axes { x: "threads", y: "times as fast" }, &[ideal, measured]))
}

#[cfg(test)]
mod tests {
    use super::super::child::Sample;
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn there_is_a_plot_of_each_kind() {
        let charts = all(&results());
        let titles: Vec<&str> = charts.iter().map(|chart| chart.title).collect();
        assert_eq!(titles.len(), 8, "{titles:?}");
        assert!(charts.iter().all(|chart| !chart.svg.contains("NaN")));
    }

    #[test]
    fn one_thread_needs_no_plot_of_scaling() {
        let mut results = results();
        results.measurements.retain(|m| m.variant.group == Group::Switches);
        for measurement in &mut results.measurements {
            measurement.variant.threads = 1;
        }
        let titles: Vec<&str> = all(&results).iter().map(|chart| chart.title).collect();
        assert_eq!(titles.len(), 4, "neither threads nor chunks: {titles:?}");
    }

    #[test]
    fn thinned_memory_keeps_its_peak() {
        let mut results = results();
        let peak = 7777 * 1024 * 1024;
        let sample = |n: u32| Sample {
            seconds: f64::from(n) / 1000.0,
            bytes: if n == 1234 { peak } else { 1024 },
        };
        results.measurements[0].runs[0].memory = (0..5000).map(sample).collect();
        let svg = memory("t", &results).unwrap();
        assert!(svg.contains("8000"), "an axis that holds the peak: {svg}");
        assert!(svg.len() < 40_000, "{} bytes", svg.len());
    }
}
