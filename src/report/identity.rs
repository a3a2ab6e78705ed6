//! Whose run it is: the fields that every line of the log and every metric carries.

use uuid::Uuid;

use crate::settings::Settings;

/// Sources that are named one by one; of more, only their number is.
const MOST_NAMED: usize = 4;

/// Schema, sources and days of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Of the tenant; the org id for a run without a database.
    pub schema: String,
    /// Separated by commas.
    pub provider_uuid: String,
    pub from: String,
    pub to: String,
}

impl Identity {
    pub fn of(settings: &Settings) -> Self {
        let sources = &settings.provider_uuids;
        let provider_uuid = if sources.len() > MOST_NAMED {
            format!("{} sources", sources.len())
        } else {
            sources.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",")
        };
        let schema = match settings.postgres.schema.as_str() {
            "" => settings.input.org_id.clone(),
            schema => schema.to_owned(),
        };
        let (from, to) = (settings.from.to_string(), settings.to.to_string());
        Identity { schema, provider_uuid, from, to }
    }

    /// Names and values, in the order in which they are shown.
    pub fn fields(&self) -> [(&'static str, &str); 4] {
        [
            ("schema", &self.schema),
            ("provider_uuid", &self.provider_uuid),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }
}
