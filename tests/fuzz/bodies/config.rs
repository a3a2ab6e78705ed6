//! Config files: settled or refused with a message, whatever they hold.

use chrono::NaiveDate;
use ocp_rollup::cli::NoFlags;
use ocp_rollup::settings::{ConfigFile, settle};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = ConfigFile { path: "config.yaml".into(), text: text.to_owned() };
    // Placeholders find something, so that what they expand to is read as well.
    let env = |name: &str| (name == "HOME").then(|| "2025-10-01".to_owned());
    let today = NaiveDate::from_ymd_opt(2025, 11, 1).unwrap_or_default();
    match settle(&NoFlags, &env, Some(&file), today) {
        Ok(settled) => {
            let settings = settled.settings;
            assert!(settings.from <= settings.to, "{text:?}");
            assert!(!settings.provider_uuids.is_empty(), "{text:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "{text:?}"),
    }
}
