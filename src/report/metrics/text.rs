//! The text format: families of samples, each with help and type.

use std::fmt::Write as _;

use crate::report::identity::Identity;

/// What every name begins with.
pub const PREFIX: &str = "ocp_rollup_";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// Text under way.
#[derive(Debug)]
pub struct Text {
    text: String,
    /// Labels that every sample has.
    labels: String,
    /// The family in progress, with the prefix.
    family: String,
}

impl Text {
    pub fn new(identity: &Identity) -> Self {
        let mut labels = String::new();
        push_label(&mut labels, "schema", &identity.schema);
        push_label(&mut labels, "provider_uuid", &identity.provider_uuid);
        Text { text: String::new(), labels, family: String::new() }
    }

    /// Begins a family; all of its samples come next. `help` has neither `\` nor line feed.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.family = format!("{PREFIX}{name}");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = write!(self.text, "# HELP {0} {help}\n# TYPE {0} {kind}\n", self.family);
    }

    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut all = self.labels.clone();
        for (name, value) in labels {
            push_label(&mut all, name, value);
        }
        let _ = writeln!(self.text, "{}{{{all}}} {value}", self.family);
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn push_label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            c => labels.push(c),
        }
    }
    labels.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut labels = String::new();
        push_label(&mut labels, "a", "x\"y\\z\nä");
        push_label(&mut labels, "b", "");
        assert_eq!(labels, "a=\"x\\\"y\\\\z\\nä\",b=\"\"");
    }
}
