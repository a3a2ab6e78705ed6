//! Plots as inline SVG. Colours are classes (`s1`, `s2`, …), so that the page decides on them.

use std::fmt::Write;

use crate::report::svg::{escaped, scale, short, ticks};

const WIDTH: f64 = 720.0;
const LABELS: f64 = 180.0;
const BAR: f64 = 18.0;
const GAP: f64 = 8.0;
/// Room for the number behind a bar.
const BEHIND: f64 = 90.0;

/// A bar: what it is, how long, what to write behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub label: String,
    pub value: f64,
    pub text: String,
    /// Of the series, from 1 on.
    pub class: usize,
}

/// Horizontal bars from a common zero.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let height = bars.len() as f64 * (BAR + GAP) + GAP;
    let mut svg = open(title, height);
    for (bar, at) in bars.iter().zip(0u32..) {
        let y = GAP + f64::from(at) * (BAR + GAP);
        let length = share(bar.value, most) * (WIDTH - LABELS - BEHIND);
        let middle = y + BAR / 2.0;
        let (label, text) = (escaped(&bar.label), escaped(&bar.text));
        let _ = write!(
            svg,
            r#"<text class="label" x="{:.1}" y="{middle:.1}" text-anchor="end" dominant-baseline="central">{label}</text><rect class="s{}" x="{LABELS:.1}" y="{y:.1}" width="{length:.1}" height="{BAR:.1}" rx="2"><title>{label}: {text}</title></rect><text x="{:.1}" y="{middle:.1}" dominant-baseline="central">{text}</text>"#,
            LABELS - 8.0,
            bar.class,
            LABELS + length + 6.0,
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A line through points, both axes from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub label: String,
    pub points: Vec<(f64, f64)>,
    pub class: usize,
    /// Mark the points too.
    pub marks: bool,
}

/// The names of the axes of [`lines`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axes<'a> {
    pub x: &'a str,
    pub y: &'a str,
}

const HEIGHT: f64 = 280.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 40.0;
/// Least distance of two names at the right.
const NAME_GAP: f64 = 16.0;

/// Lines with their names at their ends.
pub fn lines(title: &str, axes: Axes<'_>, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x_step, x_most) = scale(points().map(|p| p.0).fold(0.0, f64::max));
    let (y_step, y_most) = scale(points().map(|p| p.1).fold(0.0, f64::max));
    let x = |value: f64| LEFT + share(value, x_most) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - share(value, y_most) * (HEIGHT - TOP - BOTTOM);
    let mut svg = open(title, HEIGHT);
    for tick in ticks(y_step, y_most) {
        let (at, text) = (y(tick), short(tick));
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT:.1}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text x="{:.1}" y="{at:.1}" text-anchor="end" dominant-baseline="central">{text}</text>"#,
            WIDTH - RIGHT,
            LEFT - 8.0,
        );
    }
    for tick in ticks(x_step, x_most) {
        let text = short(tick);
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
            x(tick),
            HEIGHT - BOTTOM + 16.0,
        );
    }
    let _ = write!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text x="0" y="12">{}</text>"#,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 6.0,
        escaped(axes.x),
        escaped(axes.y),
    );
    for line in lines {
        let mut path = String::new();
        for (&(px, py), first) in
            line.points.iter().zip(std::iter::once(true).chain(std::iter::repeat(false)))
        {
            let _ = write!(path, "{}{:.1} {:.1}", if first { "M" } else { "L" }, x(px), y(py));
        }
        let label = escaped(&line.label);
        let _ = write!(
            svg,
            r#"<path class="line s{}" d="{path}"><title>{label}</title></path>"#,
            line.class
        );
        for &(px, py) in line.points.iter().filter(|_| line.marks) {
            let _ = write!(
                svg,
                r#"<circle class="s{}" cx="{:.1}" cy="{:.1}" r="4"><title>{label}: {px}, {py:.2}</title></circle>"#,
                line.class,
                x(px),
                y(py),
            );
        }
    }
    names(&mut svg, lines, &x, &y);
    svg.push_str("</svg>");
    svg
}

/// Names at the ends of lines, moved apart where they would cover each other.
fn names(svg: &mut String, lines: &[Line], x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) {
    let mut ends: Vec<(f64, f64, &Line)> = lines
        .iter()
        .filter_map(|line| line.points.last().map(|&(px, py)| (y(py), x(px), line)))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::NEG_INFINITY;
    for (end_y, end_x, line) in ends {
        let at = end_y.max(least);
        least = at + NAME_GAP;
        let _ = write!(
            svg,
            r#"<circle class="s{}" cx="{:.1}" cy="{at:.1}" r="4"/><text class="label" x="{:.1}" y="{at:.1}" dominant-baseline="central">{}</text>"#,
            line.class,
            end_x + 10.0,
            end_x + 18.0,
            escaped(&line.label),
        );
    }
}

fn open(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        r#"<svg viewBox="0 0 {WIDTH:.0} {height:.0}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg"><title>{title}</title>"#
    )
}

fn share(value: f64, most: f64) -> f64 {
    if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |value| Bar { label: "<a>".into(), value, text: "t".into(), class: 1 };
        let svg = bars("title", &[bar(4.0), bar(1.0), bar(0.0)]);
        let widths: Vec<f64> = svg
            .split(r#"width=""#)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths, [450.0, 112.5, 0.0]);
        assert!(svg.contains("&lt;a&gt;") && !svg.contains("<a>"), "{svg}");
    }

    #[test]
    fn names_of_lines_that_end_together_stand_apart() {
        let line = |label: &str| Line {
            label: label.into(),
            points: vec![(0.0, 1.0), (1.0, 1.0)],
            class: 1,
            marks: false,
        };
        let svg = lines("title", Axes { x: "x", y: "y" }, &[line("one"), line("two")]);
        let at: Vec<f64> = svg
            .split(r#"<text class="label""#)
            .skip(1)
            .map(|rest| {
                rest.split(r#" y=""#).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(at.len(), 2);
        assert!((at[0] - at[1]).abs() >= NAME_GAP, "{at:?}");
    }

    #[test]
    fn nothing_to_plot_is_no_fault() {
        for svg in [bars("t", &[]), lines("t", Axes { x: "x", y: "y" }, &[])] {
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        }
    }
}
