//! The manifest of a payload.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;

use super::ConvertError;

/// What of `manifest.json` counts here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Tells the payload from all others.
    pub uuid: String,
    #[serde(default)]
    pub cluster_id: Option<String>,
    /// Of the operator.
    #[serde(default)]
    pub version: Option<String>,
    /// When the payload was made, by RFC 3339.
    #[serde(default)]
    date: Option<String>,
    /// Whether each payload holds all hours of its days so far.
    #[serde(default)]
    pub daily_reports: Option<bool>,
    /// Names of the CSV files.
    #[serde(default)]
    files: Option<Vec<String>>,
    /// Names of CSV files for another service.
    #[serde(default)]
    resource_optimization_files: Option<Vec<String>>,
}

impl Manifest {
    /// Reads the text of a manifest that stands at `place`.
    ///
    /// # Errors
    /// If it is no manifest, or its uuid cannot be part of a file name.
    pub fn parse(text: &[u8], place: &str) -> Result<Self, ConvertError> {
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|source| ConvertError::Manifest { place: place.to_owned(), source })?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let uuid = &manifest.uuid;
        if uuid.is_empty() || uuid.len() > 64 || !uuid.chars().all(plain) {
            return Err(ConvertError::ManifestField {
                place: place.to_owned(),
                field: "uuid",
                value: uuid.chars().take(80).collect(),
                must_be: "1 to 64 letters, digits, '-' and '_'",
            });
        }
        // Files are found by their names, whatever folders a payload was packed with.
        let mut names = BTreeMap::new();
        for file in manifest.files.iter().flatten() {
            if names.insert(base_name(file), file).is_some_and(|other| other != file) {
                return Err(ConvertError::Twice { file: format!("{place}: {file}") });
            }
        }
        Ok(manifest)
    }

    /// What tells the payload's files from those of others: the uuid, after the date if that is
    /// known. Of two uploads with equally many hours of a day the one with the greater id counts,
    /// which is the later one then.
    pub fn id(&self) -> String {
        let date = self.date.as_deref().and_then(|date| DateTime::parse_from_rfc3339(date).ok());
        match date {
            Some(date) => format!("{}-{}", date.to_utc().format("%Y%m%dT%H%M%S"), self.uuid),
            None => self.uuid.clone(),
        }
    }

    /// Names of the CSV files it lists, without folders.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flatten().map(|name| base_name(name))
    }

    /// Names of the CSV files it lists for resource optimization, without folders.
    pub fn for_optimization(&self) -> impl Iterator<Item = &str> {
        self.resource_optimization_files.iter().flatten().map(|name| base_name(name))
    }

    /// Itself with the files that another archive of the same payload lists.
    #[must_use]
    pub fn with_files_of(mut self, other: Self) -> Self {
        self.files.get_or_insert_default().extend(other.files.into_iter().flatten());
        self
    }

    /// Whether the payload adds hours to those of earlier payloads, instead of holding its days
    /// whole. Operators that say nothing of the kind were built before there were daily reports;
    /// what names no operator was cut into days by others.
    pub fn is_additive(&self) -> bool {
        let has_version = self.version.as_ref().is_some_and(|version| !version.is_empty());
        has_version && self.daily_reports != Some(true)
    }
}

/// The last part of a path in an archive.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Manifest {
        Manifest::parse(text.as_bytes(), "manifest.json").unwrap()
    }

    #[test]
    fn lists_may_be_null_and_names_may_have_folders() {
        let manifest = parse(
            r#"{"uuid": "a-1", "files": ["x/a.csv", "b.csv"], "resource_optimization_files": null}"#,
        );
        assert_eq!(manifest.files().collect::<Vec<_>>(), ["a.csv", "b.csv"]);
        assert_eq!(manifest.for_optimization().count(), 0);
        assert_eq!(parse(r#"{"uuid": "a", "files": null}"#).files().count(), 0);
        let twice = br#"{"uuid": "a", "files": ["1/pods.csv", "1/pods.csv", "2/pods.csv"]}"#;
        let error = Manifest::parse(twice, "manifest.json").unwrap_err().to_string();
        assert!(error.contains("2/pods.csv is there twice"), "{error}");
    }

    #[test]
    fn an_operator_without_daily_reports_adds_hours() {
        assert!(parse(r#"{"uuid": "a", "version": "1.0"}"#).is_additive());
        assert!(parse(r#"{"uuid": "a", "version": "1.0", "daily_reports": false}"#).is_additive());
        assert!(!parse(r#"{"uuid": "a", "version": "1.0", "daily_reports": true}"#).is_additive());
        assert!(!parse(r#"{"uuid": "a"}"#).is_additive());
        assert!(!parse(r#"{"uuid": "a", "version": ""}"#).is_additive());
    }

    #[test]
    fn a_later_payload_has_a_greater_id() {
        let id = |date: &str| parse(&format!(r#"{{"uuid": "a-1", "date": "{date}"}}"#)).id();
        assert_eq!(id("2025-10-02T01:30:00.123456789Z"), "20251002T013000-a-1");
        assert_eq!(id("2025-10-02T01:30:00+02:00"), "20251001T233000-a-1");
        assert!(id("2025-10-10T00:00:00Z") > id("2025-10-09T23:59:59Z"));
        assert_eq!(id("yesterday"), "a-1");
    }

    #[test]
    fn a_uuid_that_would_lead_elsewhere_is_refused() {
        for uuid in ["", "../x", "a/b", "a.b"] {
            let text = serde_json::json!({ "uuid": uuid }).to_string();
            assert!(Manifest::parse(text.as_bytes(), "m").is_err(), "{uuid}");
        }
    }
}
