//! The log filter: a level, or directives such as `jobcast=debug,warn`. A word that is neither a
//! level nor a part of the program that logs would silence all logs, so it is an error.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use crate::nearest::did_you_mean;

/// The levels.
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// The parts of the program that log: its crates, and the output of functions.
const OWN: &[&str] = &[
    "jobcast",
    "resolvers",
    "workflow",
    "sqlite",
    "functions",
    "function",
    "asl",
    "samples",
    "job",
    "wire",
    "checker",
    "outgoing",
];

/// The libraries that may log.
const LIBRARIES: &[&str] = &[
    "async_graphql",
    "aws_config",
    "aws_runtime",
    "aws_sdk_dynamodb",
    "aws_sdk_dynamodbstreams",
    "aws_sdk_sfn",
    "aws_sdk_sqs",
    "aws_sdk_sts",
    "aws_sigv4",
    "aws_smithy_http",
    "aws_smithy_http_client",
    "aws_smithy_observability",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_types",
    "axum",
    "axum_core",
    "h2",
    "hyper",
    "hyper_util",
    "lambda_runtime",
    "mio",
    "object_store",
    "redis",
    "reqwest",
    "rustls",
    "tokio",
    "tokio_tungstenite",
    "tokio_util",
    "tower",
    "tower_http",
    "tracing",
    "tungstenite",
];

/// Why a filter is not valid.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A word that is neither a level nor a part that logs.
    #[error("`{word}` is neither a level nor a part of this program that logs{}; {}", did_you_mean(word, LEVELS.iter().chain(OWN).chain(LIBRARIES).copied()), allowed())]
    Unknown {
        /// The word.
        word: String,
    },
    /// The text after `=` is not a level.
    #[error("`{level}` in `{directive}` is not a level{}; {}", did_you_mean(level, LEVELS.iter().copied()), allowed())]
    Level {
        /// The whole directive.
        directive: String,
        /// The text.
        level: String,
    },
    /// The text before `=` is not a part that logs.
    #[error("`{target}` in `{directive}` is not a part of this program that logs{}; {}", did_you_mean(target, OWN.iter().chain(LIBRARIES).copied()), allowed())]
    Target {
        /// The whole directive.
        directive: String,
        /// The text.
        target: String,
    },
    /// Any other error.
    #[error(
        "`{directive}` is not a directive such as jobcast=debug: {source}; {}",
        allowed()
    )]
    Syntax {
        /// The directive.
        directive: String,
        /// The error.
        source: ParseError,
    },
}

fn allowed() -> String {
    format!(
        "levels are {}; a directive is TARGET=LEVEL, with a TARGET of {}, or one of the libraries, such as hyper_util",
        LEVELS.join(", "),
        OWN.join(", ")
    )
}

/// Reads a filter. An empty one is the default.
///
/// # Errors
/// [`FilterError`], for the first invalid directive.
pub fn parse(filter: &str) -> Result<EnvFilter, FilterError> {
    let filter = match filter.trim() {
        "" => crate::config::LOG,
        filter => filter,
    };
    for directive in directives(filter) {
        check(directive.trim())?;
    }
    filter.parse().map_err(|source| FilterError::Syntax {
        directive: filter.to_owned(),
        source,
    })
}

fn check(directive: &str) -> Result<(), FilterError> {
    if directive.is_empty() || is_level(directive) {
        return Ok(());
    }
    // The span of a directive, `[span{field=value}]`, may contain any text.
    let target = directive.split(['[', '=']).next().unwrap_or_default();
    let after_span = directive.rsplit(']').next().unwrap_or_default();
    let level = after_span.split_once('=').map(|(_, level)| level);
    let root = target.split("::").next().unwrap_or_default();
    let known = target.is_empty() || OWN.contains(&root) || LIBRARIES.contains(&root);
    let directive = directive.to_owned();
    match level {
        None if !known && !directive.contains('[') => Err(FilterError::Unknown { word: directive }),
        _ if !known => Err(FilterError::Target {
            target: target.to_owned(),
            directive,
        }),
        Some(level) if !is_level(level) => Err(FilterError::Level {
            level: level.to_owned(),
            directive,
        }),
        _ => match directive.parse::<tracing_subscriber::filter::Directive>() {
            Ok(_) => Ok(()),
            Err(source) => Err(FilterError::Syntax { directive, source }),
        },
    }
}

fn is_level(text: &str) -> bool {
    !text.is_empty() && LevelFilter::from_str(text).is_ok()
}

/// Splits directives at commas, except within the fields of a span.
fn directives(filter: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let between = filter.split(move |c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    between.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_filters_are_read() {
        for filter in [
            "",
            " ",
            "info",
            "INFO",
            "off",
            "3",
            "jobcast=debug,warn",
            "warn, jobcast = debug".replace(' ', "").as_str(),
            "info,hyper_util=trace,h2=off",
            "jobcast::session=trace",
            "function=error,info",
            "jobcast",
            "[start]=debug",
            "jobcast[start{job_id=1}]=trace,info",
            "resolvers[start{job_id=1}]=info,debug",
            "info,",
        ] {
            assert!(parse(filter).is_ok(), "{filter}: {:?}", parse(filter).err());
        }
    }

    #[test]
    fn a_typing_error_is_named_with_a_suggestion() {
        for (filter, said) in [
            (
                "inof",
                "`inof` is neither a level nor a part of this program that logs; did you mean `info`?",
            ),
            ("wran", "did you mean `warn`?"),
            ("warning", "did you mean `warn`?"),
            ("warn,nonsense", "`nonsense` is neither"),
            (
                "jobcast=debgu",
                "`debgu` in `jobcast=debgu` is not a level; did you mean `debug`?",
            ),
            ("jobcast=", "`` in `jobcast=` is not a level"),
            (
                "info,jobcats=debug",
                "`jobcats` in `jobcats=debug` is not a part of this program that logs; did you mean `jobcast`?",
            ),
            ("hyper-util=debug", "did you mean `hyper_util`?"),
            ("job_cast[span]=debug", "did you mean `jobcast`?"),
            ("a=b=c", "is not a part of this program"),
            ("jobcast=b=c", "`b=c` in `jobcast=b=c` is not a level"),
            ("jobcast[", "is not a directive"),
        ] {
            let error = parse(filter).expect_err(filter).to_string();
            assert!(error.contains(said), "{filter}: {error}");
            assert!(
                error.contains("error, warn, info, debug, trace, off")
                    && error.contains("resolvers"),
                "{error}"
            );
        }
    }

    #[test]
    fn every_crate_that_logs_may_be_named() {
        let lock: toml::Table = include_str!("../../Cargo.lock").parse().expect("TOML");
        let packages = lock["package"].as_array().expect("packages");
        let text = |value: Option<&toml::Value>| {
            value
                .and_then(toml::Value::as_str)
                .unwrap_or_default()
                .replace('-', "_")
        };
        let names: Vec<String> = packages
            .iter()
            .map(|package| text(package.get("name")))
            .collect();
        for library in LIBRARIES {
            assert!(
                names.iter().any(|name| name == library),
                "{library} is gone: take it out"
            );
        }
        // These belong to tests and to platforms on which the program does not log.
        let quiet = [
            "dynoxide_rs",
            "generator",
            "localcloud",
            "loom",
            "tracing_log",
            "tracing_subscriber",
            "xtask",
        ];
        for package in packages {
            let name = text(package.get("name"));
            let mut needs = package
                .get("dependencies")
                .and_then(toml::Value::as_array)
                .into_iter()
                .flatten();
            let logs = needs.any(|needed| needed.as_str() == Some("tracing"));
            // The package of our published crates has a prefix that the crate's name lacks.
            let own = name.strip_prefix("jobcast_").unwrap_or(&name);
            let known = OWN.contains(&own)
                || LIBRARIES.contains(&name.as_str())
                || quiet.contains(&name.as_str());
            assert!(!logs || known, "{name} logs: add it to LIBRARIES");
        }
    }
}
