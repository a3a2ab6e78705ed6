//! How a run can be watched: progress, metrics, report.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::SettingsError;
use super::sources::{Raw, Sources};
use super::values::{self, choice};
use super::{Observe, ProgressForm, keys};

/// The words of [`keys::PROGRESS`].
pub const PROGRESS_FORMS: &[(&str, ProgressForm)] = &[
    ("auto", ProgressForm::Auto),
    ("bar", ProgressForm::Bar),
    ("json", ProgressForm::Json),
    ("off", ProgressForm::Off),
];

const INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn settle(sources: &mut Sources<'_>) -> Result<Observe, SettingsError> {
    Ok(Observe {
        progress: sources
            .parse(&keys::PROGRESS, |raw| choice(raw, PROGRESS_FORMS))?
            .unwrap_or(ProgressForm::Auto),
        interval: sources.parse(&keys::PROGRESS_INTERVAL, values::duration)?.unwrap_or(INTERVAL),
        metrics_file: sources.parse(&keys::METRICS_FILE, prom_file)?,
        metrics_listen: sources.parse(&keys::METRICS_LISTEN, address)?,
        report: sources.text(&keys::REPORT)?.map(PathBuf::from),
    })
}

fn prom_file(raw: &Raw) -> Result<PathBuf, SettingsError> {
    let path = PathBuf::from(raw.text.trim());
    match path.extension() {
        Some(extension) if extension == "prom" => Ok(path),
        _ => Err(raw.invalid("a file name that ends in .prom, since node-exporter reads no other")),
    }
}

/// An address with a port, or `:PORT` of this machine alone: who means all interfaces says so.
fn address(raw: &Raw) -> Result<SocketAddr, SettingsError> {
    let text = raw.text.trim();
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    whole.parse().map_err(|_| {
        raw.invalid(
            "an address with a port, such as `127.0.0.1:9187`, `[::1]:9187` or `0.0.0.0:9187` (all \
             interfaces), or `:9187` (this machine alone)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::Origin;

    #[test]
    fn an_address_without_a_host_is_this_machine_alone() {
        let address = |text: &str| {
            let raw = Raw { text: text.to_owned(), origin: Origin::Flag("metrics-listen") };
            address(&raw).map(|address| address.to_string())
        };
        for (text, expected) in [
            (":9187", "127.0.0.1:9187"),
            ("localhost:0", "127.0.0.1:0"),
            ("0.0.0.0:9187", "0.0.0.0:9187"),
            ("[::1]:9187", "[::1]:9187"),
        ] {
            assert_eq!(address(text).unwrap(), expected);
        }
        for text in ["9187", "host", "127.0.0.1", ":", ":70000", "example.org:80"] {
            let message = address(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`--metrics-listen` is `{text}`")), "{message}");
        }
    }
}
