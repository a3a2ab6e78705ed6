//! Progress as JSON lines.

use std::io::Write;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::terminal::Lines;
use crate::settings::load;
use crate::telemetry::{Figure, Snapshot};

/// Writes a line of progress, in the form of a line of the log.
pub fn write_line(identity: &Identity, snapshot: &Snapshot) {
    let mut line = line(identity, snapshot).to_string();
    line.push('\n');
    // Nothing depends on who reads it, or whether anyone does.
    let _ = Lines.write_all(line.as_bytes());
}

fn line(identity: &Identity, snapshot: &Snapshot) -> Value {
    let mut line = Map::new();
    let mut add = |name: &str, value: Value| line.insert(name.to_owned(), value);
    let get = |figure| snapshot.get(figure);
    add("timestamp", load::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
    add("level", "INFO".into());
    add("message", "progress".into());
    for (name, value) in identity.fields() {
        add(name, value.into());
    }
    add("seconds", rounded(snapshot.time.as_secs_f64()));
    add("bytes", get(Figure::BytesRead).into());
    add("rows", get(Figure::RowsRead).into());
    add("days", get(Figure::DaysTaken).into());
    let planned = snapshot.planned;
    add("bytes_planned", json!(planned.map(|planned| planned.bytes)));
    add("rows_planned", json!(planned.map(|planned| planned.rows)));
    add("days_planned", json!(planned.map(|planned| planned.days)));
    add("rows_per_second", json!(snapshot.rows_per_second().map(f64::round)));
    let left = snapshot.time_left().map(|left| rounded(left.as_secs_f64()));
    add("eta_seconds", left.unwrap_or_default());
    add("rows_written", snapshot.rows_written().into());
    add("memory_bytes", get(Figure::MemoryUsed).into());
    add("memory_budget_bytes", get(Figure::MemoryBudget).into());
    add("chunk_rows", get(Figure::ChunkRows).into());
    add("spilled_bytes", get(Figure::SpilledBytes).into());
    line.into()
}

fn rounded(seconds: f64) -> Value {
    ((seconds * 1000.0).round() / 1000.0).into()
}
