//! Rules for settings, alone and together, so that a server with them can work. Each rule has the
//! name of its settings, and one sentence for its violation; the tests have a value on both sides
//! of each. A rule that only one module can check, such as the address of the broker, is checked
//! there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use job::limits::OWNER_BYTES;
use resolvers::Role;
use sha2::{Digest, Sha256};
use workflow::lambda::{function_name, is_function_name, limits};

use super::{Config, DEFAULT_QUEUE, Function, UPLOADS};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Minimum time for which finished jobs are kept.
pub const SHORTEST_RETENTION: Duration = Duration::from_secs(60);
/// Maximum time for which finished jobs are kept: a hundred years.
pub const LONGEST_RETENTION: Duration = DAY.saturating_mul(36_525);
/// Minimum time for which the functions of a job may report.
pub const SHORTEST_REPORT_LIFE: Duration = Duration::from_secs(60);
/// Maximum time for which the functions of a job may report: that of an execution on AWS.
pub const LONGEST_REPORT_LIFE: Duration = DAY.saturating_mul(366);
/// Minimum time between two reads of the watched jobs.
pub const SHORTEST_REPAIR: Duration = Duration::from_millis(100);
/// Maximum time between two reads of the watched jobs.
pub const LONGEST_REPAIR: Duration = DAY;
/// Maximum time for which a server goes on after the signal to stop.
pub const LONGEST_STOP_DELAY: Duration = Duration::from_secs(10 * 60);
/// Maximum number of processes of a function.
pub const MOST_PROCESSES: usize = 1_000;
/// Maximum number of tries of a message, as SQS has it.
pub const MOST_RECEIVES: u32 = 1_000;
/// Minimum time for which a received message is invisible.
pub const SHORTEST_VISIBILITY: Duration = Duration::from_secs(1);
/// Maximum time for which a received message is invisible, as SQS has it: 12 hours.
pub const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// Maximum length of a queue's name, as SQS has it.
pub const QUEUE_NAME_BYTES: usize = 80;
/// Maximum length of the prefix of the broker's channels.
pub const PREFIX_BYTES: usize = 64;

/// The variable with the address of the Runtime API.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// A rule: returns a sentence if a configuration breaks it.
type Rule = fn(&Config) -> Option<String>;

/// The rules by their settings.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("listen, internal_listen", listeners),
    ("retention", |config| {
        within(
            "retention",
            config.retention,
            SHORTEST_RETENTION,
            LONGEST_RETENTION,
        )
    }),
    ("report_life", |config| {
        within(
            "report_life",
            config.report_life,
            SHORTEST_REPORT_LIFE,
            LONGEST_REPORT_LIFE,
        )
    }),
    ("repair_every", |config| {
        within(
            "repair_every",
            config.repair_every?,
            SHORTEST_REPAIR,
            LONGEST_REPAIR,
        )
    }),
    ("stop_delay", |config| {
        within(
            "stop_delay",
            config.stop_delay,
            Duration::ZERO,
            LONGEST_STOP_DELAY,
        )
    }),
    ("operations_listen", operations_listener),
    ("data, state_machines", data_and_machines),
    ("sample_addresses, samples", |config| {
        (!config.sample_addresses.is_empty() && !config.samples).then(|| {
            "sample_addresses says what the samples read, and samples is false: remove one of them".to_owned()
        })
    }),
    ("sample_addresses", |config| {
        let parsed = functions::Places::parse(&config.sample_addresses.join(" "));
        parsed
            .err()
            .map(|error| format!("sample_addresses: {error}"))
    }),
    ("limits", connection_limits),
    ("broker.prefix", prefix),
    ("broker.ca_file", |config| {
        let path = config.broker.ca_file.as_ref()?;
        let url = config.broker.url.as_ref();
        (!url.is_some_and(|url| url.0.starts_with("rediss:"))).then(|| {
            format!("ca_file of [broker] is {}, and url does not begin with rediss://, so no certificate is checked: change url, or remove ca_file", path.display())
        })
    }),
    ("auth.api_keys", api_keys),
    ("functions", |config| {
        config.functions.iter().find_map(|(name, function)| {
            let problem = function_named(name).or_else(|| function_set(function))?;
            Some(format!("[functions.{}]: {problem}", key(name)))
        })
    }),
    ("functions, one name twice", |config| {
        let mut known = BTreeSet::new();
        let twice = config.functions.keys().map(|name| function_name(name));
        let twice = twice.into_iter().find(|name| !known.insert(*name))?;
        Some(format!(
            "the function `{twice}` is configured twice: by its name and by its ARN; keep [functions.{twice}]"
        ))
    }),
    ("intake", intake),
    ("services", services),
    ("services.buckets", buckets),
    ("services.connections", connections),
    ("aws", aws),
];

/// The sentence of the first rule that is broken.
pub(super) fn broken(config: &Config) -> Option<String> {
    RULES.iter().find_map(|(_, rule)| rule(config))
}

/// A name as TOML writes it.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn within(name: &str, value: Duration, least: Duration, most: Duration) -> Option<String> {
    let shown = |duration| humantime::format_duration(duration).to_string();
    (value < least || value > most).then(|| {
        format!(
            "{name} is {}, and it must be from {} to {}",
            shown(value),
            shown(least),
            shown(most)
        )
    })
}

fn listeners(config: &Config) -> Option<String> {
    let (public, internal) = (config.listen, config.internal_listen);
    let same_host = public.ip() == internal.ip() || public.ip().is_unspecified();
    (public.port() != 0 && public.port() == internal.port() && same_host && config.aws.is_none()).then(|| {
        let free = SocketAddr::new(internal.ip(), 0);
        format!("listen is {public} and internal_listen is {internal}, and both cannot have port {}: leave internal_listen out, or give it another port ({free} takes a free one)", public.port())
    })
}

fn operations_listener(config: &Config) -> Option<String> {
    let own = config.operations_listen?;
    let others = [
        ("listen", config.listen, true),
        (
            "internal_listen",
            config.internal_listen,
            config.aws.is_none(),
        ),
    ];
    others.into_iter().find_map(|(name, other, is_used)| {
        let same_host = own.ip() == other.ip()
            || own.ip().is_unspecified()
            || other.ip().is_unspecified();
        (is_used && own.port() != 0 && own.port() == other.port() && same_host).then(|| {
            format!("operations_listen is {own} and {name} is {other}, and both cannot have port {}: give one of them another port", own.port())
        })
    })
}

/// A path without parts that hide its target. Links are not resolved.
fn plain(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(found) = absolute.canonicalize() {
        return found;
    }
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn data_and_machines(config: &Config) -> Option<String> {
    let machines = config.state_machines.as_ref()?;
    (plain(machines).starts_with(plain(&config.data))).then(|| {
        format!("state_machines is {}, inside of data ({}): the data directory must contain only the server's own files; move one of them", machines.display(), config.data.display())
    })
}

fn connection_limits(config: &Config) -> Option<String> {
    let set = config.limits;
    let usual = crate::session::Settings::default();
    let all = set.connections.unwrap_or(usual.connections);
    match set.connections_per_caller {
        _ if set.connections == Some(0) => Some("connections of [limits] is 0, so no client could watch: it must be at least 1".to_owned()),
        Some(0) => Some("connections_per_caller of [limits] is 0, so no client could watch: it must be at least 1".to_owned()),
        Some(each) if each > all => Some(format!("connections_per_caller of [limits] is {each}, more than all connections together ({all}): lower it, or raise connections")),
        _ => None,
    }
}

fn intake(config: &Config) -> Option<String> {
    let set = &config.intake;
    let is_named = |name: &str| {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=QUEUE_NAME_BYTES).contains(&name.len()) && name.bytes().all(valid)
    };
    if let Some(name) = set.queues.keys().find(|name| !is_named(name)) {
        return Some(format!(
            "queues of [intake] has the queue {name:?}, and a name has 1 to {QUEUE_NAME_BYTES} letters, digits, - and _"
        ));
    }
    if set.owner.is_some() && set.queues.contains_key(DEFAULT_QUEUE) {
        return Some(format!(
            "owner of [intake] is for the queue `{DEFAULT_QUEUE}`, and queues has that queue too: remove one of them"
        ));
    }
    let mut owners = set.queues.values().chain(&set.owner);
    if let Some(owner) = owners.find(|owner| owner.is_empty() || owner.len() > OWNER_BYTES) {
        return Some(format!(
            "[intake] has an owner of {} bytes, and it must have 1 to {OWNER_BYTES}",
            owner.len()
        ));
    }
    if set.owners().is_none() && (set.max_receives.is_some() || set.visibility.is_some()) {
        return Some(
            "[intake] has no queue: add owner for the queue `default`, or queues".to_owned(),
        );
    }
    match set.max_receives {
        Some(most) if !(1..=MOST_RECEIVES).contains(&most) => Some(format!(
            "max_receives of [intake] is {most}, and it must be from 1 to {MOST_RECEIVES}"
        )),
        _ => within(
            "visibility of [intake]",
            set.visibility?,
            SHORTEST_VISIBILITY,
            LONGEST_VISIBILITY,
        ),
    }
}

fn prefix(config: &Config) -> Option<String> {
    let prefix = config.broker.prefix.as_ref()?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if config.broker.url.is_none() {
        return Some("prefix of [broker] is set and url is not: without a broker the prefix has no effect; add url, or remove prefix".to_owned());
    }
    (prefix.is_empty() || prefix.len() > PREFIX_BYTES || !prefix.bytes().all(letters)).then(|| {
        format!("prefix of [broker] is `{prefix}`, and it must have 1 to {PREFIX_BYTES} letters, digits, `-`, `_`, `.` or `:`")
    })
}

fn api_keys(config: &Config) -> Option<String> {
    let mut known = BTreeSet::new();
    for (at, key) in config.auth.api_keys.iter().enumerate() {
        let subject = &key.subject;
        let roles: BTreeSet<&str> = key.roles.iter().map(|role| name(*role)).collect();
        let most = job::limits::OWNER_BYTES;
        let problem = if !known.insert(key.sha256) {
            "is the same key as one before it: remove one of them".to_owned()
        } else if key.sha256[..] == Sha256::digest("")[..] {
            "is the SHA-256 of an empty text: hash the key itself (printf %s KEY | sha256sum)"
                .to_owned()
        } else if subject.is_empty()
            || subject.len() > most
            || subject.chars().any(char::is_control)
        {
            format!(
                "has a subject that cannot be an owner: it must have 1 to {most} bytes and no control characters"
            )
        } else if roles.is_empty() {
            "has no roles, so it allows nothing: give it one, such as roles = [\"submitter\"]"
                .to_owned()
        } else if roles.len() < key.roles.len() {
            "has a role twice: name each once".to_owned()
        } else {
            continue;
        };
        return Some(format!(
            "number {} of [[auth.api_keys]] (subject `{subject}`) {problem}",
            at + 1
        ));
    }
    None
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Submitter => "submitter",
        Role::Operator => "operator",
        Role::Admin => "admin",
        Role::Publisher => "publisher",
    }
}

/// The error of a function's name.
fn function_named(name: &str) -> Option<String> {
    (!is_function_name(function_name(name)))
        .then(|| "a function's name has 1 to 64 letters, digits, `-` or `_`".to_owned())
}

/// The error of a function's settings.
fn function_set(function: &Function) -> Option<String> {
    let command = &function.command;
    if command.first().is_some_and(String::is_empty) {
        return Some("the first part of command is empty, and it must be a program".to_owned());
    }
    let allowed = 1..=MOST_PROCESSES;
    if let Some(count) = function
        .concurrency
        .filter(|count| !allowed.contains(count))
    {
        return Some(format!(
            "concurrency is {count}, and it must be from 1 to {MOST_PROCESSES}"
        ));
    }
    for (name, time, most) in [
        ("timeout", function.timeout, limits::TIMEOUT),
        ("init_timeout", function.init_timeout, limits::TIMEOUT),
    ] {
        if let Some(time) = time.filter(|time| time.is_zero() || *time > most) {
            return Some(format!(
                "{name} is {}, and it must be longer than 0 and at most {}, as on AWS Lambda",
                humantime::format_duration(time),
                humantime::format_duration(most)
            ));
        }
    }
    let of_processes = [
        ("concurrency", function.concurrency.is_some()),
        ("init_timeout", function.init_timeout.is_some()),
        ("environment", !function.environment.is_empty()),
        ("pass_environment", !function.pass_environment.is_empty()),
    ];
    if let Some((name, _)) = of_processes
        .into_iter()
        .find(|(_, set)| *set && command.is_empty())
    {
        return Some(format!(
            "{name} applies to processes that the server starts, and there is no command: add one, or remove {name} and let outside processes attach"
        ));
    }
    let wrong = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    let mut names = function
        .environment
        .keys()
        .chain(&function.pass_environment);
    if let Some(name) = names.find(wrong) {
        return Some(format!(
            "`{name}` cannot be the name of a variable (environment, pass_environment)"
        ));
    }
    if function.environment.contains_key(RUNTIME_API) {
        return Some(format!(
            "environment sets {RUNTIME_API}, which the server sets: remove it"
        ));
    }
    let mut values = function.environment.iter();
    if let Some((name, _)) = values.find(|(_, value)| value.contains('\0')) {
        return Some(format!(
            "{name} of environment holds a NUL character, which no variable can"
        ));
    }
    match &function.directory {
        Some(directory) if !directory.is_dir() && !command.is_empty() => Some(format!(
            "directory is {}, and there is no such directory",
            directory.display()
        )),
        _ => None,
    }
}

fn services(config: &Config) -> Option<String> {
    let services = &config.services;
    match (&services.access_key_id, &services.secret_access_key) {
        (Some(_), None) => {
            return Some(
                "access_key_id of [services] is set and secret_access_key is not: they go together"
                    .to_owned(),
            );
        }
        (None, Some(_)) => {
            return Some(
                "secret_access_key of [services] is set and access_key_id is not: they go together"
                    .to_owned(),
            );
        }
        _ => {}
    }
    let region = services.region.as_ref()?;
    (!is_region(region))
        .then(|| format!("region of [services] is `{region}`, and it must be like eu-west-1"))
}

fn is_region(region: &str) -> bool {
    !region.is_empty()
        && region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn buckets(config: &Config) -> Option<String> {
    let data = plain(&config.data);
    config.services.buckets.iter().find_map(|(name, directory)| {
        let place = plain(directory);
        let problem = if name == UPLOADS {
            "already holds the uploaded files: use another name".to_owned()
        } else if place.starts_with(&data) || data.starts_with(&place) {
            format!("is {}, and state machines would reach the data directory ({}) through it: choose a directory beside it", directory.display(), config.data.display())
        } else {
            return None;
        };
        Some(format!("{} of services.buckets {problem}", key(name)))
    })
}

fn connections(config: &Config) -> Option<String> {
    config.services.connections.iter().find_map(|(name, connection)| {
        let header = connection.headers.iter().find(|(name, value)| {
            HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(value.as_str()).is_err()
        });
        let problem = match header {
            // The value is a secret, so it is not shown.
            Some((header, _)) => format!("header `{header}` cannot be sent: a name has letters, digits and `-`, and a value is on one line"),
            None if connection.allow.is_empty() => "allow is empty, so nothing may be called: list the addresses, such as allow = [\"https://api.example.com/v1\"]".to_owned(),
            None => return None,
        };
        Some(format!("[services.connections.{}]: {problem}", key(name)))
    })
}

fn aws(config: &Config) -> Option<String> {
    let aws = config.aws.as_ref()?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(3..=255).contains(&aws.table.len()) || !aws.table.bytes().all(letters) {
        return Some(format!(
            "table of [aws] is `{}`, and the name of a DynamoDB table has 3 to 255 letters, digits, `-`, `_` or `.`",
            aws.table
        ));
    }
    if !is_region(aws.region()) {
        return Some(format!(
            "region of [aws] is `{}`, and it must be like eu-west-1",
            aws.region()
        ));
    }
    let bucket = aws.bucket.as_ref()?;
    let letters =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (!(3..=63).contains(&bucket.len()) || !bucket.bytes().all(letters)).then(|| {
        format!("bucket of [aws] is `{bucket}`, and the name of an S3 bucket has 3 to 63 small letters, digits, `-` or `.`")
    })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
