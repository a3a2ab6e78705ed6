//! Warnings as they are logged, kept for the report.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Telemetry;

/// Warnings kept; further ones are only counted.
const MOST: usize = 200;
/// Characters of a warning kept.
const LONGEST: usize = 1000;

/// The warnings and errors of a run, in the order in which they came.
#[derive(Debug, Default)]
pub struct Warnings {
    count: AtomicU64,
    first: Mutex<Vec<Warning>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub text: String,
    /// What it was logged with.
    pub fields: Vec<(String, String)>,
}

impl Warnings {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The first of them.
    pub fn first(&self) -> Vec<Warning> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, warning: Warning) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < MOST {
            first.push(warning);
        }
    }
}

/// Keeps what is logged. To be filtered to warnings and errors, whatever the level of the log is.
#[derive(Debug)]
pub struct CaptureWarnings(pub Arc<Telemetry>);

impl<S: Subscriber> Layer<S> for CaptureWarnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut warning = Warning { text: String::new(), fields: Vec::new() };
        event.record(&mut warning);
        self.0.warnings.push(warning);
    }
}

impl Visit for Warning {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{value:?}");
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        match field.name() {
            "message" => self.text = text,
            name => self.fields.push((name.to_owned(), text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
