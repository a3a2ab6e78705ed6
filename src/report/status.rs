//! Which days are done, for people and for programs.

use std::fmt;

use chrono::NaiveDate;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ledger::{Entry, State};

/// How one day of one source stands.
#[derive(Debug)]
pub struct DayStatus {
    pub source: Uuid,
    pub date: NaiveDate,
    pub state: State,
    /// What is recorded of it.
    pub entry: Option<Entry>,
}

/// What `status` prints: days by source, in order.
#[derive(Debug)]
pub struct StatusReport {
    days: Vec<DayStatus>,
}

const WORDS: [&str; 4] = ["done", "stale", "missing", "empty"];

impl StatusReport {
    pub fn new(days: Vec<DayStatus>) -> Self {
        StatusReport { days }
    }

    fn count(&self, word: &str) -> usize {
        self.days.iter().filter(|day| day.state.word() == word).count()
    }

    /// The same as one object; keys stay as they are from version to version.
    pub fn json(&self) -> Value {
        let total: serde_json::Map<String, Value> =
            WORDS.iter().map(|word| ((*word).to_owned(), self.count(word).into())).collect();
        json!({
            "days": self.days.iter().map(day_json).collect::<Vec<_>>(),
            "total": total,
        })
    }
}

fn day_json(day: &DayStatus) -> Value {
    let changed: Vec<&str> = match &day.state {
        State::Stale(changes) => changes.iter().map(|change| change.word()).collect(),
        _ => Vec::new(),
    };
    json!({
        "provider_uuid": day.source.to_string(),
        "date": day.date.to_string(),
        "state": day.state.word(),
        "changed": changed,
        "written": day.entry.as_ref().map(|entry| json!({
            "at": format!("{}Z", entry.written_at.replace(' ', "T")),
            "objects": entry.fingerprint.object_count,
            "program": entry.fingerprint.program,
            "pod_rows": entry.rows.pod,
            "storage_rows": entry.rows.storage,
            "unallocated_rows": entry.rows.unallocated,
        })),
    })
}

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut source = None;
        for day in &self.days {
            if source != Some(day.source) {
                source = Some(day.source);
                writeln!(f, "provider {}", day.source)?;
            }
            write!(f, "  {}  {:8}", day.date, day.state.word())?;
            if let Some(entry) = &day.entry {
                let rows = entry.rows;
                write!(
                    f,
                    "{:>9} pod {:>8} storage {:>6} unallocated rows of {:4} objects, written {} UTC",
                    rows.pod,
                    rows.storage,
                    rows.unallocated,
                    entry.fingerprint.object_count,
                    entry.written_at
                )?;
            }
            if let State::Stale(changes) = &day.state {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                write!(f, "; {}", changes.join(", "))?;
            }
            writeln!(f)?;
        }
        let total: Vec<String> =
            WORDS.iter().map(|word| format!("{} {word}", self.count(word))).collect();
        writeln!(f, "{} days: {}", self.days.len(), total.join(", "))
    }
}
