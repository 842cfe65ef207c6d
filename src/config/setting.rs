//! A setting as it is in force, and its source.

use std::path::PathBuf;

use serde_json::Value;

/// The source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The setting is not given. A default that follows from something else has its reason.
    Default(Option<&'static str>),
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the setting's key, from 1.
        line: usize,
    },
    /// The variable with this name.
    Variable(String),
    /// This flag, with its dashes.
    Flag(String),
}

/// A setting with its value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name as a dotted key of the file, such as `limits.connections`. An entry of a list of
    /// tables has its number, from 0: `auth.api_keys[0].subject`.
    pub name: String,
    /// A scalar, a list of scalars, or an empty table or list; null if nothing is set. Secrets are
    /// masked.
    pub value: Value,
    /// The source of the value.
    pub source: Source,
}
