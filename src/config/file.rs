//! Reads the configuration file: its encoding, and errors with their position and the key that was
//! probably meant.

use std::path::Path;

use serde::Deserialize;

use super::{ConfigError, File};
use crate::nearest::nearest;

/// Sections with their own keys, as a line before a key; the first is the top of the file.
pub(super) const SECTIONS: &[&str] = &[
    "",
    "[functions.NAME]",
    "[auth]",
    "[[auth.api_keys]]",
    "[auth.oidc]",
    "[aws]",
    "[limits]",
    "[broker]",
    "[intake]",
    "[services]",
    "[services.connections.NAME]",
];

/// The file and its text.
pub(super) fn read(path: &Path) -> Result<(File, String), ConfigError> {
    let text = workflow::read_text(path).map_err(|source| ConfigError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    valid(text, path)
}

/// The file of a text, if it is valid, and the text. `path` is for errors.
pub(super) fn valid(text: String, path: &Path) -> Result<(File, String), ConfigError> {
    match parse(&text) {
        Ok(file) => Ok((file, text)),
        Err((source, hint)) => Err(ConfigError::Parse {
            path: path.to_path_buf(),
            source: Box::new(source),
            hint,
        }),
    }
}

/// The file, or its error and the key that was probably meant.
pub(super) fn parse(text: &str) -> Result<File, (toml::de::Error, String)> {
    let read = toml::Deserializer::parse(text);
    // A table is what is written as one, not a list of its values.
    let file = read.and_then(|reader| File::deserialize(json::Objects(reader)));
    file.map_err(|error| {
        let hint = hint(error.message());
        (error, hint)
    })
}

/// The keys of a section. (The error for an unknown key lists them.)
pub(super) fn keys(section: &str) -> Vec<String> {
    let error = toml::from_str::<File>(&format!("{section}\nno_such_key = 1"));
    let message = error.err().map(|error| error.message().to_owned());
    let known = message
        .as_deref()
        .and_then(|message| message.split_once("expected"));
    let names = known.map(|(_, names)| names.split('`').skip(1).step_by(2));
    names.into_iter().flatten().map(str::to_owned).collect()
}

/// The key that was probably meant by an unknown one.
fn hint(message: &str) -> String {
    let Some(key) = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next())
    else {
        return String::new();
    };
    let here: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    if let Some(meant) = nearest(key, here) {
        return format!("\nDid you mean `{meant}`?");
    }
    let sections = SECTIONS.iter().map(|section| (*section, keys(section)));
    let homes = sections.filter(|(_, keys)| keys.iter().any(|known| known == key));
    let homes: Vec<&str> = homes.map(|(section, _)| section).collect();
    match homes[..] {
        [] => String::new(),
        ["", ..] => format!("\n`{key}` belongs to the top of the file, before the first section."),
        _ => format!("\n`{key}` belongs into {}.", homes.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_refused_for_a_table() {
        for (text, taken) in [
            ("[services]\nsqs = \"http://127.0.0.1:1\"", true),
            ("services = [\"http://127.0.0.1:1\"]", false),
            (
                "[services]\nconnections = { a = [[\"https://a.example/\"], {}] }",
                false,
            ),
            ("limits = [1]", false),
            ("[auth]\napi_keys = [[\"k\", \"s\"]]", false),
            ("[functions]\nf = [[\"python3\"]]", false),
        ] {
            let read = super::parse(text);
            assert_eq!(read.is_ok(), taken, "{text}: {:?}", read.err());
        }
    }

    #[test]
    fn an_unknown_key_gets_a_hint() {
        for (text, meant) in [
            ("lisen = 1", "Did you mean `listen`?"),
            ("[limits]\nconections = 1", "Did you mean `connections`?"),
            ("[functions.a]\ncomand = []", "Did you mean `command`?"),
            ("[function.a]\ncommand = []", "Did you mean `functions`?"),
            ("connections = 1", "`connections` belongs into [limits]"),
            (
                "[limits]\nlisten = \"127.0.0.1:1\"",
                "`listen` belongs to the top of the file",
            ),
            ("command = []", "`command` belongs into [functions.NAME]"),
            (
                "[auth]\njwks_url = \"x\"",
                "`jwks_url` belongs into [auth.oidc]",
            ),
        ] {
            let (_, hint) = parse(text).expect_err(text);
            assert!(hint.contains(meant), "{text}: {hint}");
        }
        assert_eq!(parse("port = 1").expect_err("unknown").1, "");
    }

    #[test]
    fn each_section_has_keys() {
        for section in SECTIONS {
            assert!(!keys(section).is_empty(), "{section}");
        }
    }
}
