//! Where a setting's text comes from: flags over environment over config file.

use std::fmt;

use super::config::{ConfigFile, Document};
use super::error::SettingsError;
use super::expand::{ExpandError, expand};
use super::keys::{Key, flag_variable};
use crate::cli::Flags;

/// The environment, by name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A text and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub text: String,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    /// An environment variable; `own` if it is the one that goes with a flag.
    Env {
        name: String,
        own: bool,
    },
    /// As [`Document::origin`] renders it.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "`--{name}`"),
            Origin::Env { name, .. } => write!(f, "the environment variable {name}"),
            Origin::File(key) => f.write_str(key),
        }
    }
}

impl Raw {
    pub fn invalid(&self, expected: impl Into<String>) -> SettingsError {
        SettingsError::Invalid {
            origin: self.origin.to_string(),
            value: self.text.clone(),
            expected: expected.into(),
        }
    }

    /// Whether it was asked for in this run, rather than standing in a file or in a variable
    /// made for another program.
    pub fn is_explicit(&self) -> bool {
        matches!(self.origin, Origin::Flag(_) | Origin::Env { own: true, .. })
    }

    pub fn is_from_file(&self) -> bool {
        matches!(self.origin, Origin::File(_))
    }
}

/// The three places, the strongest first, and the warnings gathered so far.
pub(crate) struct Sources<'a> {
    flags: &'a dyn Flags,
    env: Env<'a>,
    file: Option<Document>,
    pub warnings: Vec<String>,
}

impl<'a> Sources<'a> {
    pub fn new(
        flags: &'a dyn Flags,
        env: Env<'a>,
        config: Option<&ConfigFile>,
    ) -> Result<Self, SettingsError> {
        let file = config.map(Document::parse).transpose()?;
        let mut warnings = Vec::new();
        if let Some(file) = file.as_ref().filter(|file| !file.without_effect.is_empty()) {
            warnings.push(format!(
                "{}: these keys have no effect here: {}",
                file.path.display(),
                file.without_effect.join(", ")
            ));
        }
        Ok(Sources { flags, env, file, warnings })
    }

    /// The strongest text of `key`. Empty variables and empty keys of the file count as absent,
    /// and a key of the file is only expanded if nothing stronger was found.
    pub fn read(&mut self, key: &Key) -> Result<Option<Raw>, SettingsError> {
        if let Some((flag, text)) = key.flag.and_then(|f| Some((f, self.flags.value(f)?))) {
            return Ok(Some(Raw { text, origin: Origin::Flag(flag) }));
        }
        if let Some(raw) = self.variable(key) {
            return Ok(Some(raw));
        }
        self.file_text(key)
    }

    /// As [`Sources::read`], or an error that names the ways to give it.
    pub fn need(&mut self, key: &Key, what: &'static str) -> Result<Raw, SettingsError> {
        self.read(key)?.ok_or_else(|| SettingsError::Missing { what, ways: key.ways() })
    }

    /// As [`Sources::read`], parsed; `None` if absent.
    pub fn parse<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&Raw) -> Result<T, SettingsError>,
    ) -> Result<Option<T>, SettingsError> {
        self.read(key)?.map(|raw| parse(&raw)).transpose()
    }

    /// As [`Sources::read`], the text alone.
    pub fn text(&mut self, key: &Key) -> Result<Option<String>, SettingsError> {
        Ok(self.read(key)?.map(|raw| raw.text))
    }

    /// Whether the config file holds a text for `key`.
    pub fn is_in_file(&self, key: &Key) -> bool {
        self.file.as_ref().and_then(|f| f.get(key.path)).is_some_and(|text| !text.is_empty())
    }

    fn variable(&mut self, key: &Key) -> Option<Raw> {
        let own = key.flag.map(flag_variable);
        let mut set = key
            .variables()
            .filter_map(|name| Some((self.env)(&name)).flatten().map(|text| (name, text)))
            .filter(|(_, text)| !text.is_empty());
        let (name, text) = set.next()?;
        let others: Vec<String> =
            set.filter(|(_, other)| *other != text).map(|(name, _)| name).collect();
        let own = own.as_deref() == Some(&name);
        // Setting our own variable beside another program's is how one overrides it.
        if !own && !others.is_empty() {
            self.warnings.push(format!(
                "the environment variable {name} is used for `{}`; {} has another value and is \
                 ignored",
                key.path,
                others.join(", ")
            ));
        }
        Some(Raw { text, origin: Origin::Env { name, own } })
    }

    fn file_text(&self, key: &Key) -> Result<Option<Raw>, SettingsError> {
        let Some(file) = &self.file else { return Ok(None) };
        let Some(text) = file.get(key.path) else { return Ok(None) };
        let (path, name) = (file.path.clone(), key.path.to_owned());
        let text = expand(text, self.env).map_err(|e| match e {
            ExpandError::Unset(variable) => {
                SettingsError::UnsetVariable { path, key: name, name: variable }
            }
            ExpandError::Bad(why) => SettingsError::BadPlaceholder { path, key: name, why },
        })?;
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Raw { text, origin: Origin::File(file.origin(key.path)) }))
    }
}
