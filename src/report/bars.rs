//! Progress as bars on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::summary::size;
use super::terminal;
use crate::telemetry::{Figure, Snapshot};

/// Draws a second; more would only flicker.
const DRAWS: u8 = 10;

/// Rows, bytes, days and memory. Removed from the terminal on drop.
#[derive(Debug)]
pub struct Bars {
    all: MultiProgress,
    rows: ProgressBar,
    bytes: ProgressBar,
    days: ProgressBar,
    memory: ProgressBar,
}

impl Bars {
    /// Shows bars on standard error, and has log lines written above them.
    pub fn show() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS));
        let bar = |title: &'static str, color: &str| {
            let bar = ProgressBar::new(0).with_prefix(title);
            let template =
                format!("{{prefix:6}} {{bar:20.{color}}} {{percent:>3}} %  {{wide_msg}}");
            // It is right; were it not, the usual style would be shown.
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            all.add(bar)
        };
        let [rows, bytes, days] = ["rows", "bytes", "days"].map(|title| bar(title, "green"));
        let memory = bar("memory", "yellow");
        terminal::set_bars(Some(all.clone()));
        Bars { all, rows, bytes, days, memory }
    }

    pub fn update(&self, snapshot: &Snapshot) {
        let get = |figure| snapshot.get(figure);
        let Some(planned) = snapshot.planned else {
            self.rows.set_message("listing files and reading their ends");
            return;
        };
        let rows = get(Figure::RowsRead);
        set(&self.rows, rows, planned.rows);
        let mut message = format!("{} of {}", grouped(rows), grouped(planned.rows));
        if let Some(rate) = snapshot.rows_per_second().filter(|rate| *rate >= 1.0) {
            message.push_str(&format!(", {}/s", grouped(rate as u64)));
        }
        self.rows.set_message(message);

        let bytes = get(Figure::BytesRead);
        set(&self.bytes, bytes, planned.bytes);
        self.bytes.set_message(format!("{} of {}", size(bytes), size(planned.bytes)));

        let days = get(Figure::DaysTaken);
        set(&self.days, days, planned.days);
        let mut message = format!("{days} of {} written", planned.days);
        if let Some(left) = snapshot.time_left() {
            message.push_str(&format!(", {} left", clock(left)));
        }
        self.days.set_message(message);

        let (used, budget) = (get(Figure::MemoryUsed), get(Figure::MemoryBudget));
        set(&self.memory, used, budget);
        let mut message = format!(
            "{} of {}, chunks of {} rows",
            size(used),
            size(budget),
            grouped(get(Figure::ChunkRows))
        );
        let spilled = get(Figure::SpilledBytes);
        if spilled > 0 {
            message.push_str(&format!(", {} on disk", size(spilled)));
        }
        self.memory.set_message(message);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        terminal::set_bars(None);
        // Where standard error is gone there is nothing left to clear.
        let _ = self.all.clear();
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn set(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all.max(1));
    bar.set_position(done.min(all));
}

/// Thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `7 s`, `4:05`, `2:00:09`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes}:{rest:02}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let times = [7, 245, 7209].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(times, ["7 s", "4:05", "2:00:09"]);
    }
}
