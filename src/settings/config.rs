//! The config file: YAML flattened to dotted keys, each known or refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_norway::Value;

use super::error::SettingsError;
use super::keys::{self, Form};

/// A config file as read.
#[derive(Clone)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

impl fmt::Debug for ConfigFile {
    /// Without the text, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The keys of a config file with their texts, placeholders not yet expanded.
#[derive(Clone)]
pub(crate) struct Document {
    pub path: PathBuf,
    values: BTreeMap<String, String>,
    /// Known keys that have no meaning here, in the order of their names.
    pub without_effect: Vec<String>,
}

impl Document {
    pub fn parse(file: &ConfigFile) -> Result<Self, SettingsError> {
        let root: Value = serde_norway::from_str(&file.text)
            .map_err(|source| SettingsError::Yaml { path: file.path.clone(), source })?;
        let mut document = Document {
            path: file.path.clone(),
            values: BTreeMap::new(),
            without_effect: Vec::new(),
        };
        document.section("", &root)?;
        document.without_effect.sort();
        Ok(document)
    }

    /// The text of a key; `None` if the file does not hold it, or holds null.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    fn section(&mut self, prefix: &str, value: &Value) -> Result<(), SettingsError> {
        let entries = match value {
            Value::Null => return Ok(()),
            Value::Mapping(entries) => entries,
            other => {
                let key = if prefix.is_empty() { "the file" } else { prefix };
                return Err(self.wrong_type(key, "a section of keys", describe(other)));
            }
        };
        for (name, value) in entries {
            let Value::String(name) = name else {
                let key = if prefix.is_empty() { "the file" } else { prefix };
                let found = format!("a key that is {}", describe(name));
                return Err(self.wrong_type(key, "a section of named keys", found));
            };
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if let Some(key) = keys::ALL.iter().find(|key| key.path == path) {
                if let Some(text) = self.leaf(&path, key.form, value)? {
                    self.values.insert(path, text);
                }
            } else if keys::WITHOUT_EFFECT.contains(&path.as_str()) {
                self.without_effect.push(path);
            } else if keys::known_paths().any(|k| is_below(k, &path)) {
                self.section(&path, value)?;
            } else {
                let suggestion = suggestion(&path);
                return Err(SettingsError::UnknownKey {
                    path: self.path.clone(),
                    key: path,
                    suggestion,
                });
            }
        }
        Ok(())
    }

    fn leaf(&self, key: &str, form: Form, value: &Value) -> Result<Option<String>, SettingsError> {
        match value {
            Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(value.to_string())),
            Value::String(text) => Ok(Some(text.clone())),
            // `1e5` for an id would become 100000 unnoticed.
            Value::Number(number) if number.is_f64() && form != Form::Number => {
                Err(self.wrong_type(key, "a text or a whole number", "a decimal; put it in quotes"))
            }
            Value::Number(number) => Ok(Some(number.to_string())),
            Value::Sequence(items) if form == Form::List => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    texts.extend(self.leaf(key, Form::Text, item)?);
                }
                Ok(Some(texts.join(",")))
            }
            other => {
                let expected = match form {
                    Form::Text => "one value",
                    Form::List => "one value or a list of them",
                    Form::Number => "a number",
                };
                Err(self.wrong_type(key, expected, describe(other)))
            }
        }
    }

    fn wrong_type(
        &self,
        key: &str,
        expected: &'static str,
        found: impl Into<String>,
    ) -> SettingsError {
        SettingsError::WrongType {
            path: self.path.clone(),
            key: key.to_owned(),
            expected,
            found: found.into(),
        }
    }

    /// How messages name a key of this file.
    pub fn origin(&self, key: &str) -> String {
        origin(&self.path, key)
    }
}

fn origin(path: &Path, key: &str) -> String {
    format!("`{key}` in {}", path.display())
}

/// Kinds only, never the content: it may be a secret.
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a section",
        Value::Tagged(_) => "a tagged value",
    }
}

fn is_below(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// The known key or section most like `path`, if any is much like it. A right name in the wrong
/// section is found by its last part.
fn suggestion(path: &str) -> Option<String> {
    const LIKE_ENOUGH: f64 = 0.6;
    let last = |p: &str| p.rsplit('.').next().unwrap_or_default().to_owned();
    let sections =
        keys::known_paths().filter_map(|k| k.rsplit_once('.').map(|(section, _)| section));
    keys::known_paths()
        .chain(sections)
        .map(|known| {
            let whole = strsim::normalized_damerau_levenshtein(path, known);
            let part = strsim::normalized_damerau_levenshtein(&last(path), &last(known));
            (known, whole.max(0.9 * part))
        })
        .filter(|(_, likeness)| *likeness >= LIKE_ENOUGH)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(known, _)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, String> {
        Document::parse(&ConfigFile { path: "c.yaml".into(), text: text.to_owned() })
            .map_err(|e| e.to_string())
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(parse(text).err().as_deref(), Some(message));
    }

    #[test]
    fn scalars_become_texts() {
        let document = parse(
            "ocp:\n  month: 08\n  year: 2025\n  report_period_id: '7'\n  cluster_id:\n  \
             provider_uuid: [a, b]\nperformance: {max_memory_gb: 1.5, use_streaming: false}\ns3:\n",
        )
        .unwrap();
        assert_eq!(document.get("ocp.month"), Some("08"));
        assert_eq!(document.get("ocp.year"), Some("2025"));
        assert_eq!(document.get("ocp.report_period_id"), Some("7"));
        assert_eq!(document.get("ocp.cluster_id"), None);
        assert_eq!(document.get("ocp.provider_uuid"), Some("a,b"));
        assert_eq!(document.get("performance.max_memory_gb"), Some("1.5"));
        assert_eq!(document.get("performance.use_streaming"), Some("false"));
    }

    #[test]
    fn an_empty_file_holds_nothing() {
        assert!(parse("").unwrap().values.is_empty());
        assert!(parse("# only a comment\n").unwrap().values.is_empty());
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        refused(
            "performance:\n  chunk_sise: 5\n",
            "c.yaml: unknown key `performance.chunk_sise`; did you mean `performance.chunk_size`?",
        );
        refused(
            "perfomance:\n  chunk_size: 5\n",
            "c.yaml: unknown key `perfomance`; did you mean `performance`?",
        );
        refused("source: /x\n", "c.yaml: unknown key `source`; did you mean `input.source`?");
        refused(
            "ocp:\n  schema: x\n",
            "c.yaml: unknown key `ocp.schema`; did you mean `postgresql.schema`?",
        );
        refused("zzz: 1\n", "c.yaml: unknown key `zzz`; config/config.yaml shows every key");
        refused(
            "validation:\n  trino:\n    prt: 1\n",
            "c.yaml: unknown key `validation.trino.prt`; did you mean `validation.trino.port`?",
        );
    }

    #[test]
    fn wrong_types_are_refused_without_their_content() {
        refused("- a\n", "c.yaml: `the file` must be a section of keys, not a list");
        refused("ocp: 5\n", "c.yaml: `ocp` must be a section of keys, not a number");
        refused(
            "postgresql:\n  password: [hunter2]\n",
            "c.yaml: `postgresql.password` must be one value, not a list",
        );
        refused(
            "ocp:\n  cluster_id: 1e5\n",
            "c.yaml: `ocp.cluster_id` must be a text or a whole number, not a decimal; put it in \
             quotes",
        );
        refused(
            "ocp:\n  1: 2\n",
            "c.yaml: `ocp` must be a section of named keys, not a key that is a number",
        );
        refused("ocp: [\n", "c.yaml is not valid YAML");
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        refused("ocp:\n  year: 1\n  year: 2\n", "c.yaml is not valid YAML");
    }
}
