//! Warnings about a configuration that works nevertheless: secrets that other users can read,
//! variables without effect.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::{Config, File, Function, ServeFlags};
use crate::nearest::did_you_mean;

/// Variables of the program that are not flags of `serve`: those of its other commands, and of its
/// tests.
const OTHERS: &[&str] = &[
    "JOBCAST_URL",
    "JOBCAST_API_KEY",
    "JOBCAST_PROGRAM",
    "JOBCAST_SAMPLE_ADDRESSES",
];
const OF_TESTS: &[&str] = &["JOBCAST_CASES", "JOBCAST_TEST_SEED", "JOBCAST_FUZZ_SECONDS"];

/// The variables of the flags of `serve`.
fn flags() -> Vec<String> {
    let arguments = ServeFlags::arguments();
    let named = arguments.iter().filter_map(|argument| argument.get_env());
    named
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// A sentence for each variable with our prefix that does not exist: it has no effect.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let flags = flags();
    let known: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .chain(OTHERS.iter().copied())
        .collect();
    let mut unknown: Vec<String> = names
        .into_iter()
        .filter(|name| name.to_ascii_uppercase().starts_with("JOBCAST_"))
        .filter(|name| !known.contains(&name.as_str()) && !OF_TESTS.contains(&name.as_str()))
        // Kubernetes sets such variables in every container if a service has this name.
        .filter(|name| {
            !name.starts_with("JOBCAST_SERVICE_")
                && name != "JOBCAST_PORT"
                && !name.starts_with("JOBCAST_PORT_")
        })
        .collect();
    unknown.sort();
    let sentence = |name: &String| {
        let meant = did_you_mean(name, known.iter().copied());
        format!("the variable {name} is set, and no setting has that name{meant}")
    };
    unknown.iter().map(sentence).collect()
}

/// A sentence if other users can read a configuration that contains secrets.
pub(super) fn readable_secrets(path: &Path, config: &File) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let secret = secret_in_file(config)?;
    (mode & 0o077 != 0).then(|| {
        format!(
            "{} holds a secret ({secret}) and other users of this machine may read it: run `chmod 600 {}`, or set the secret by a variable",
            path.display(),
            path.display()
        )
    })
}

/// The first secret in the file.
fn secret_in_file(config: &File) -> Option<&'static str> {
    let has_password = |url: &super::Secret| {
        let url = reqwest::Url::parse(&url.0).ok();
        url.is_some_and(|url| url.password().is_some())
    };
    let mut connections = config.services.connections.values();
    let looks_secret = |name: &String| {
        let name = name.to_ascii_uppercase();
        ["SECRET", "PASSWORD", "TOKEN", "KEY"]
            .iter()
            .any(|word| name.contains(word))
    };
    let mut functions = config.functions.values();
    [
        (
            "secret of [aws]",
            config.aws.as_ref().is_some_and(|aws| aws.secret.is_some()),
        ),
        (
            "the password in url of [broker]",
            config.broker.url.as_ref().is_some_and(has_password),
        ),
        (
            "secret_access_key of [services]",
            config.services.secret_access_key.is_some(),
        ),
        (
            "headers or query of [services.connections]",
            connections.any(|one| !one.headers.is_empty() || !one.query.is_empty()),
        ),
        (
            "environment of [functions]",
            functions.any(|Function { environment, .. }| environment.keys().any(looks_secret)),
        ),
    ]
    .into_iter()
    .find_map(|(name, there)| there.then_some(name))
}

/// A sentence if jobs are deleted before the tokens that prevent a second submit expire.
pub(super) fn short_retention(config: &Config) -> Option<String> {
    let life = Duration::from_millis(job::limits::TOKEN_LIFE_MILLIS.unsigned_abs());
    (config.retention < life).then(|| {
        format!(
            "retention is {}, shorter than the {} that a clientRequestToken is remembered: after it, the token's job is gone",
            humantime::format_duration(config.retention),
            humantime::format_duration(life)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_without_effect_is_named() {
        let names = [
            "PATH",
            "JOBCAST_LISTEN",
            "JOBCAST_URL",
            "JOBCAST_CASES",
            "JOBCAST_SERVICE_HOST",
            "JOBCAST_PORT_8080_TCP",
            "JOBCAST_LISTNE",
            "JOBCAST_RETENTION",
            "jobcast_log",
        ];
        assert_eq!(
            unknown_variables(names.map(str::to_owned)),
            [
                "the variable JOBCAST_LISTNE is set, and no setting has that name; did you mean `JOBCAST_LISTEN`?",
                "the variable JOBCAST_RETENTION is set, and no setting has that name",
                "the variable jobcast_log is set, and no setting has that name; did you mean `JOBCAST_LOG`?",
            ]
        );
    }
}
