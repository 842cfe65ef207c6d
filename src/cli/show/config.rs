//! Settings with their values and sources, as aligned lines or as JSON.

use serde_json::{Map, Value};

use crate::cli::show::text::{CYAN, DIM, Text, padded, paint, text, width};
use crate::config::{Setting, Source};

/// Maximum width to which the names are aligned. A longer name moves only the rest of its line.
const NAMES: usize = 40;
/// Maximum width to which the values are aligned, in the same way.
const VALUES: usize = 24;

/// The lines of the settings: name, value as TOML writes it, source.
pub(crate) fn lines(settings: &[Setting]) -> impl Iterator<Item = Text> {
    let values: Vec<String> = settings
        .iter()
        .map(|setting| value(&setting.value))
        .collect();
    let names = column(settings.iter().map(|setting| setting.name.as_str()), NAMES);
    let wide = column(values.iter().map(String::as_str), VALUES);
    settings.iter().zip(values).map(move |(setting, value)| {
        let style = match setting.source {
            Source::Default(_) => DIM,
            _ => CYAN,
        };
        text![
            padded(&setting.name, names),
            "  ",
            padded(&value, wide),
            "  ",
            paint(style, source(&setting.source)),
        ]
    })
}

/// Width of the column with these cells, at most `most`.
fn column<'a>(cells: impl Iterator<Item = &'a str>, most: usize) -> usize {
    let widths = cells.map(width).filter(|width| *width <= most);
    widths.max().unwrap_or_default()
}

/// The value as TOML writes it; `-` if nothing is set.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // Lists, texts, numbers and truth values are written alike in JSON.
        value => value.to_string(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Default(None) => "default".to_owned(),
        Source::Default(Some(reason)) => format!("default (because {reason})"),
        Source::File { path, line } => format!("file {}:{line}", path.display()),
        Source::Variable(name) => format!("variable {name}"),
        Source::Flag(name) => format!("flag {name}"),
    }
}

/// A setting as JSON.
pub(crate) fn as_json(setting: &Setting) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    add("setting", setting.name.as_str().into());
    add("value", setting.value.clone());
    match &setting.source {
        Source::Default(reason) => {
            add("source", "default".into());
            if let Some(reason) = reason {
                add("because", (*reason).into());
            }
        }
        Source::File { path, line } => {
            add("source", "file".into());
            add("file", path.display().to_string().into());
            add("line", (*line).into());
        }
        Source::Variable(name) => {
            add("source", "variable".into());
            add("variable", name.as_str().into());
        }
        Source::Flag(name) => {
            add("source", "flag".into());
            add("flag", name.as_str().into());
        }
    }
    Value::Object(fields)
}
