//! Every setting with its value in force and its source. The list is the configuration itself: its
//! fields are the settings, so that no setting can be missing here.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::lines::{Lines, Part, name};
use super::setting::{Setting, Source};
use super::{Config, ConfigError, Given, ServeFlags, file, usual};
use crate::masked::addresses;

/// A configuration, and where each of its settings comes from.
#[derive(Debug)]
pub struct InForce {
    /// The configuration.
    pub config: Config,
    /// The settings in the order of the reference. A section of the file that may occur several
    /// times has a setting for each key of each entry.
    pub settings: Vec<Setting>,
}

impl InForce {
    /// Reads the configuration as [`Config::load`] does.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(flags: ServeFlags, given: &Given) -> Result<Self, ConfigError> {
        let (config, file) = Config::read(flags)?;
        let (path, lines) = match &file {
            Some((path, text)) => (Some(path.as_path()), Lines::read(text)),
            None => (None, Lines::default()),
        };
        let mut reader = Reader {
            config: &config,
            given,
            file: path.unwrap_or(Path::new("")),
            lines,
            settings: vec![file_in_force(path, given)],
        };
        match serde_json::to_value(&config).expect("each value of a configuration can be shown") {
            Value::Object(fields) => reader.table(&[], fields),
            _ => unreachable!("a configuration has fields"),
        }
        let settings = reader.settings;
        Ok(Self { config, settings })
    }
}

/// The setting `config`, which no file has.
fn file_in_force(path: Option<&Path>, given: &Given) -> Setting {
    let because = match path {
        Some(_) => "it exists",
        None => "there is no jobcast.toml in this directory",
    };
    let source = given.source("config").cloned();
    Setting {
        name: "config".to_owned(),
        value: path.map_or(Value::Null, |path| path.display().to_string().into()),
        source: source.unwrap_or(Source::Default(Some(because))),
    }
}

struct Reader<'a> {
    config: &'a Config,
    given: &'a Given,
    file: &'a Path,
    lines: Lines,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn table(&mut self, path: &[Part], fields: Map<String, Value>) {
        for (key, value) in fields {
            self.value([path, &[Part::Key(key)]].concat(), value);
        }
    }

    fn value(&mut self, path: Vec<Part>, value: Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => self.table(&path, fields),
            Value::Array(entries) if entries.iter().any(Value::is_object) => {
                for (number, entry) in entries.into_iter().enumerate() {
                    self.value([&path[..], &[Part::Entry(number)]].concat(), entry);
                }
            }
            Value::Null if path == [Part::Key("aws".to_owned())] => {
                for key in file::keys("[aws]") {
                    self.value([&path[..], &[Part::Key(key)]].concat(), Value::Null);
                }
            }
            value => self.setting(&path, masked(value)),
        }
    }

    fn setting(&mut self, path: &[Part], value: Value) {
        let name = name(path);
        let in_file = || {
            let line = self.lines.of(path)?;
            let path = PathBuf::from(self.file);
            Some(Source::File { path, line })
        };
        let given = self.given.source(&name).cloned().or_else(in_file);
        let (value, source) = match given {
            Some(source) => (value, source),
            None => match usual::usual(self.config, path) {
                Some((usual, source)) => (usual.map_or(value, masked), source),
                None => (value, Source::Default(None)),
            },
        };
        self.settings.push(Setting {
            name,
            value,
            source,
        });
    }
}

/// The value without the secrets of the addresses in it.
fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => addresses(&text).into(),
        Value::Array(entries) => entries.into_iter().map(masked).collect(),
        other => other,
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
