//! Logs on standard error: human lines on a terminal, JSON lines otherwise.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::report::identity::Identity;
use crate::report::terminal;
use crate::settings::{LogFormat, Logging, load};
use crate::telemetry::{CaptureWarnings, Telemetry};

/// Starts logging.
pub fn start(logging: &Logging) {
    // Fails only where logging was started before, as a test may have done.
    let _ = tracing_subscriber::registry().with(lines(logging, None)).try_init();
}

/// Starts logging of a run or of its plan, whose fields stand on every line, from whatever thread it comes.
/// `telemetry` keeps the warnings.
pub fn start_run(logging: &Logging, identity: Identity, telemetry: &Arc<Telemetry>) {
    // Filtered, or all of the log of all crates would be gone through for it.
    let capture = CaptureWarnings(telemetry.clone()).with_filter(LevelFilter::WARN);
    let lines = lines(logging, Some(identity));
    let _ = tracing_subscriber::registry().with(capture).with(lines).try_init();
}

fn lines<S>(logging: &Logging, identity: Option<Identity>) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_new(&logging.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    let json = match logging.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let no_color = load::env("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt::layer()
        .event_format(Lines { json, identity })
        .with_ansi(!json && is_terminal && !no_color)
        .with_writer(|| terminal::Lines)
        // It would panic where standard error is closed or full.
        .log_internal_errors(false)
        .with_filter(filter)
}

/// The form of a line.
struct Lines {
    json: bool,
    identity: Option<Identity>,
}

impl<S> FormatEvent<S, DefaultFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let identity = self.identity.as_ref().map(Identity::fields);
        let identity = identity.iter().flatten();
        if self.json {
            let mut line = Map::new();
            let time = load::now().to_rfc3339_opts(SecondsFormat::Micros, true);
            line.insert("timestamp".to_owned(), time.into());
            line.insert("level".to_owned(), event.metadata().level().as_str().into());
            for (name, value) in identity {
                line.insert((*name).to_owned(), (*value).into());
            }
            event.record(&mut JsonFields(&mut line));
            return writeln!(writer, "{}", Value::Object(line));
        }
        let (dim, color, reset) = match (writer.has_ansi_escapes(), event.metadata().level()) {
            (false, _) => ("", "", ""),
            (true, &Level::ERROR) => (DIM, "\u{1b}[31m", RESET),
            (true, &Level::WARN) => (DIM, "\u{1b}[33m", RESET),
            (true, &Level::INFO) => (DIM, "\u{1b}[32m", RESET),
            (true, _) => (DIM, "\u{1b}[34m", RESET),
        };
        let time = load::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let level = event.metadata().level().as_str();
        write!(writer, "{dim}{time}{reset} {color}{level:>5}{reset} ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        write!(writer, "{dim}")?;
        for (name, value) in identity {
            write!(writer, " {name}={value}")?;
        }
        writeln!(writer, "{reset}")
    }
}

const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// Adds the fields of an event to a line; those that every line has stay as they are.
struct JsonFields<'a>(&'a mut Map<String, Value>);

impl JsonFields<'_> {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.entry(field.name()).or_insert(value);
    }
}

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}
