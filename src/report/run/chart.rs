//! Charts as inline SVG. Colours are classes of the style sheet.

use std::fmt::Write as _;

use crate::report::svg::{escaped, scale, short, ticks};

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// A line over time.
pub struct Line<'a> {
    pub name: &'a str,
    /// Class of the style sheet: `c1`, `c2`, …
    pub class: &'a str,
    /// Seconds and value, in order.
    pub points: Vec<(f64, f64)>,
    /// Each value stays until the next one.
    pub stepped: bool,
    /// Filled down to the axis.
    pub filled: bool,
}

/// A bar of several parts, one on the other.
pub struct Bar {
    pub label: String,
    /// By series.
    pub parts: Vec<f64>,
}

/// How to write a value on an axis.
pub type Unit = fn(f64) -> String;

/// Lines over the seconds of a run. `description` says in words what there is to see.
pub fn lines(description: &str, lines: &[Line<'_>], unit: Unit) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|point| point.0).fold(0.0, f64::max).max(0.001);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    let (step, top) = scale(most);
    let mut svg = begin(description);
    let x = |seconds: f64| LEFT + (WIDTH - LEFT - RIGHT) * seconds / last;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    y_axis(&mut svg, step, top, &y, unit);
    let (step, _) = scale(last);
    for tick in ticks(step, last) {
        let at = x(tick);
        let anchor = if at > WIDTH - 30.0 { "end" } else { "middle" };
        let _ = write!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - 8.0,
            seconds(tick)
        );
    }
    for line in lines {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        for &(at, value) in &line.points {
            let (at, value) = (x(at), y(value));
            match before {
                None => _ = write!(path, "M{at:.1} {value:.1}"),
                Some(_) if line.stepped => _ = write!(path, "H{at:.1}V{value:.1}"),
                Some(_) => _ = write!(path, "L{at:.1} {value:.1}"),
            }
            before = Some(at);
        }
        if let (true, Some(end), Some(first)) = (line.filled, before, line.points.first()) {
            let (ground, start) = (y(0.0), x(first.0));
            let class = line.class;
            let _ = write!(
                svg,
                "<path class=\"area {class}\" d=\"{path}L{end:.1} {ground:.1}H{start:.1}Z\"/>"
            );
        }
        let _ = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
    }
    svg.push_str("</svg>");
    let names: Vec<_> = lines.iter().map(|line| (line.name, line.class)).collect();
    legend(&mut svg, &names);
    svg
}

/// Bars side by side, whose parts are `series`: name and class of each.
pub fn bars(description: &str, series: &[(&str, &str)], bars: &[Bar], unit: Unit) -> String {
    let most = bars.iter().map(|bar| bar.parts.iter().sum()).fold(0.0, f64::max);
    let (step, top) = scale(most);
    let mut svg = begin(description);
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    y_axis(&mut svg, step, top, &y, unit);
    let pitch = (WIDTH - LEFT - RIGHT) / bars.len().max(1) as f64;
    let width = (pitch * 0.8).min(40.0);
    // So many labels that none touches the next.
    let every = (52.0 / pitch).ceil().max(1.0) as usize;
    for (at, bar) in bars.iter().enumerate() {
        let middle = LEFT + pitch * (at as f64 + 0.5);
        let mut below = 0.0;
        for (part, (name, class)) in bar.parts.iter().zip(series) {
            if *part > 0.0 {
                let (from, to) = (y(below + part), y(below));
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{:.1}\" y=\"{from:.1}\" width=\"{width:.1}\" \
                     height=\"{:.1}\"><title>{}: {} {name}</title></rect>",
                    middle - width / 2.0,
                    to - from,
                    escaped(&bar.label),
                    unit(*part)
                );
            }
            below += part;
        }
        if at.is_multiple_of(every) && middle < WIDTH - 30.0 {
            let label = escaped(&bar.label);
            let _ = write!(
                svg,
                "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                HEIGHT - 8.0
            );
        }
    }
    svg.push_str("</svg>");
    legend(&mut svg, series);
    svg
}

/// Bars from left to right, each with its label and value.
pub fn rows(description: &str, bars: &[(&str, f64)], unit: Unit) -> String {
    const PITCH: f64 = 26.0;
    let most = bars.iter().map(|bar| bar.1).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let height = PITCH * bars.len() as f64 + 4.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{}</title>",
        escaped(description)
    );
    let left = 90.0;
    for (at, (label, value)) in bars.iter().enumerate() {
        let top = PITCH * at as f64 + 4.0;
        let width = (WIDTH - left - 90.0) * value / most;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"c1\" x=\"{left}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"18\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            top + 13.0,
            escaped(label),
            left + width + 6.0,
            top + 13.0,
            unit(*value)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn begin(description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>",
        escaped(description)
    )
}

fn y_axis(svg: &mut String, step: f64, top: f64, y: &impl Fn(f64) -> f64, unit: Unit) {
    for tick in ticks(step, top) {
        let at = y(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            unit(tick)
        );
    }
}

fn legend(html: &mut String, series: &[(&str, &str)]) {
    html.push_str("<ul class=\"legend\">");
    for (name, class) in series {
        let _ = write!(html, "<li><span class=\"key {class}\"></span>{}</li>", escaped(name));
    }
    html.push_str("</ul>");
}

/// Seconds of a time axis or a stage.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 7200.0 => format!("{} h", short(s / 3600.0)),
        s if s >= 180.0 => format!("{} min", short(s / 60.0)),
        s => format!("{} s", short(s)),
    }
}

/// Numbers with `k` and `M`.
pub fn count(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{} G", short(v / 1e9)),
        v if v >= 1e6 => format!("{} M", short(v / 1e6)),
        v if v >= 1e3 => format!("{} k", short(v / 1e3)),
        v => short(v),
    }
}

/// A number of MiB.
pub fn mebibytes(value: f64) -> String {
    if value >= 4096.0 {
        format!("{} GiB", short(value / 1024.0))
    } else {
        format!("{} MiB", short(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_axes_are_short() {
        assert_eq!(
            [0.0, 0.5, 90.0, 240.0, 10_800.0].map(seconds),
            ["0 s", "0.5 s", "90 s", "4 min", "3 h"]
        );
        assert_eq!([0.0, 950.0, 2500.0, 1.2e7].map(count), ["0", "950", "2.5 k", "12 M"]);
        assert_eq!([0.0, 358.4, 8192.0].map(mebibytes), ["0 MiB", "358.4 MiB", "8 GiB"]);
    }
}
