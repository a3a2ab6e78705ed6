//! Logs on standard error: human lines on a terminal, JSON lines otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Logging, load};

/// Starts logging; `RUST_LOG` beats the settled level.
pub fn start(logging: &Logging) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&logging.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match logging.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would panic where standard error is closed or full.
        .log_internal_errors(false);
    // Fails only where logging was started before, as a test may have done.
    let _ = if json {
        builder.json().with_current_span(true).with_span_list(false).try_init()
    } else {
        let ansi = std::io::stderr().is_terminal() && load::env("NO_COLOR").is_none();
        builder.with_ansi(ansi).try_init()
    };
}
