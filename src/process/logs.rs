//! What workers log, logged again here.

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::thread::JoinHandle;

use serde_json::{Map, Value};
use tracing::Span;

/// Forwards the lines of a worker until it closes them.
pub fn forward(stderr: ChildStderr, worker: u32, span: Span) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let _entered = span.entered();
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line);
            forward_line(text.trim_end(), worker);
            line.clear();
        }
    })
}

fn forward_line(line: &str, worker: u32) {
    let event = serde_json::from_str::<Map<String, Value>>(line).ok();
    let Some((level, message, fields)) = event.and_then(split) else {
        // What no logger wrote, such as the last words of a worker that panics.
        if !line.is_empty() {
            tracing::warn!(worker, "{line}");
        }
        return;
    };
    let more = if fields.is_empty() { String::new() } else { format!(" {}", Value::from(fields)) };
    match level.as_str() {
        "ERROR" => tracing::error!(worker, "{message}{more}"),
        "WARN" => tracing::warn!(worker, "{message}{more}"),
        "INFO" => tracing::info!(worker, "{message}{more}"),
        "DEBUG" => tracing::debug!(worker, "{message}{more}"),
        _ => tracing::trace!(worker, "{message}{more}"),
    }
}

/// Level, message and other fields of a logged line.
fn split(mut event: Map<String, Value>) -> Option<(String, String, Map<String, Value>)> {
    event.remove("timestamp");
    let Some(Value::String(level)) = event.remove("level") else { return None };
    let Some(Value::String(message)) = event.remove("message") else { return None };
    Some((level, message, event))
}
