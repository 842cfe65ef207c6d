//! Values of the configuration as they are shown: texts as the file writes them, and a mask in the
//! place of each secret. The functions with a serializer are for `serialize_with`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serializer;

/// The text that is shown instead of a secret.
pub const MASK: &str = "***";

/// Serializes the mask instead of the value.
pub fn mask<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

/// Serializes the mask if there is a value.
pub fn mask_if_set<T, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    if_set(value.as_ref().map(|_| MASK), serializer)
}

/// Serializes the names of a map, each with the mask.
pub fn mask_values<T, S: Serializer>(
    map: &BTreeMap<String, T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.keys().map(|name| (name, MASK)))
}

/// Serializes a path. A part that is not UTF-8 is replaced.
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Serializes a path, if there is one.
pub fn path_if_set<P: AsRef<Path>, S: Serializer>(
    path: &Option<P>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown = path.as_ref().map(|path| path.as_ref().display());
    if_set(shown, serializer)
}

/// Serializes paths by their names.
pub fn paths<P: AsRef<Path>, S: Serializer>(
    map: &BTreeMap<String, P>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown = |path: &P| path.as_ref().display().to_string();
    serializer.collect_map(map.iter().map(|(name, path)| (name, shown(path))))
}

/// Serializes a duration such as `30s`.
pub fn duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Serializes a duration, if there is one.
pub fn duration_if_set<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if_set(duration.map(humantime::format_duration), serializer)
}

fn if_set<S: Serializer>(
    value: Option<impl std::fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_some(&value.to_string()),
        None => serializer.serialize_none(),
    }
}

/// The text with a mask in the place of the password and the query of each address in it. A user
/// without a password may be a token, so it is masked too. The text need not be a valid address.
#[must_use]
pub fn addresses(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (before, address) = rest.split_at(at + SCHEME_END.len());
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let (address, after) = address.split_at(address.find(ends).unwrap_or(address.len()));
        shown.push_str(before);
        shown.push_str(&without_secrets(address));
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// An address without its scheme. If its parts cannot be distinguished, all of it is masked.
fn without_secrets(address: &str) -> String {
    let query = address.find(['?', '#']);
    let user = address.rfind('@');
    if let (Some(query), Some(user)) = (query, user)
        && query < user
    {
        return MASK.to_owned();
    }
    let (address, query) = address.split_at(query.unwrap_or(address.len()));
    let query = query
        .get(..1)
        .map(|mark| format!("{mark}{MASK}"))
        .unwrap_or_default();
    let shown = match user.map(|user| address.split_at(user)) {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}{host}"),
            None => format!("{MASK}{host}"),
        },
        None => address.to_owned(),
    };
    shown + &query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_an_address_are_masked() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://me:hush@host:1/0", "redis://me:***@host:1/0"),
            ("rediss://:hush@host", "rediss://:***@host"),
            ("https://hush@host/x", "https://***@host/x"),
            ("https://a/b?key=hush", "https://a/b?***"),
            ("https://a/b#hush", "https://a/b#***"),
            ("redis://:hu@sh@host", "redis://:***@host"),
            ("redis://:hu/sh@host", "redis://:***@host"),
            ("redis://:hu?sh@host", "redis://***"),
            ("https://a/?key=hu@sh", "https://***"),
            ("https://a/?key=hu://sh", "https://a/?***"),
            (
                "--from=ftp://a:hush@b --to=s3://c:hush@d e",
                "--from=ftp://a:***@b --to=s3://c:***@d e",
            ),
            ("no address: a@b?c", "no address: a@b?c"),
            ("", ""),
        ] {
            assert_eq!(addresses(text), shown, "{text}");
            assert_eq!(addresses(shown), shown, "twice: {text}");
        }
    }
}
