//! The configuration of `serve`: a file, then `JOBCAST_*` variables, then flags; later sources
//! override earlier ones. An unknown key is an error that names it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::auth::oidc::keep_apart;
use crate::auth::{ApiKey, OidcConfig};
use crate::chaos;
use crate::masked;
use crate::realtime::broker;

mod aws;
mod defaults;
mod duration;
mod error;
mod file;
mod flags;
mod function;
mod in_force;
mod intake;
mod limits;
mod lines;
mod load;
mod log_format;
mod notices;
mod public_url;
#[cfg(test)]
mod reference_tests;
mod rules;
mod services;
mod setting;
mod settings;
mod usual;

pub use aws::{Aws, Steps};
pub use defaults::{DATA, FILE, LISTEN, LOG};
use duration::duration;
pub use error::ConfigError;
pub use flags::{Given, Secret, ServeFlags};
pub use function::Function;
pub use in_force::InForce;
pub use intake::{DEFAULT_QUEUE, Intake};
pub use limits::SECRET_BYTES;
pub use log_format::LogFormat;
pub use notices::unknown_variables;
pub use public_url::{NotPublic, PublicUrl, reachable, usual_url};
pub use services::{Address, HttpConnection, Services, UPLOADS};
pub use setting::{Setting, Source};
pub use settings::SETTINGS;

/// Several nodes: `[broker]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    /// Its address: `redis://[USER:PASSWORD@]HOST[:PORT]`, `rediss://…` with TLS.
    #[serde(serialize_with = "flags::address")]
    pub url: Option<Secret>,
    /// Prefix of the channels' names [default: jobcast]. Nodes with different prefixes do not share
    /// changes.
    pub prefix: Option<String>,
    /// The certificates of the authorities for `rediss://`, as PEM [default: those of
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, otherwise the public ones].
    #[serde(serialize_with = "masked::path_if_set")]
    pub ca_file: Option<PathBuf>,
}

/// Limits of one caller and of all callers: `[limits]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Maximum number of sockets and streams in all.
    pub connections: Option<usize>,
    /// Maximum number of sockets and streams of one caller.
    pub connections_per_caller: Option<usize>,
    /// Maximum number of open connections of one address that have not shown valid credentials.
    pub strangers_per_address: Option<usize>,
    /// Maximum number of jobs that one caller may submit per second. An idle caller may submit
    /// twice as many at once.
    pub submits_per_second: Option<NonZeroU32>,
}

/// The configuration file. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Option<SocketAddr>,
    internal_listen: Option<SocketAddr>,
    internal_secret_required: Option<bool>,
    operations_listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    state_machines: Option<PathBuf>,
    public_url: Option<String>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    samples: Option<bool>,
    sample_addresses: Vec<String>,
    #[serde(deserialize_with = "duration")]
    retention: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    report_life: Option<Duration>,
    allowed_origins: Option<Vec<String>>,
    open_metrics: bool,
    attach_any_function: bool,
    chaos: Option<chaos::Spec>,
    #[serde(deserialize_with = "duration")]
    repair_every: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    stop_delay: Option<Duration>,
    auth: Option<Auth>,
    aws: Option<Aws>,
    broker: Broker,
    intake: Intake,
    limits: Limits,
    functions: BTreeMap<String, Function>,
    services: Services,
}

/// Authentication: `[auth]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The API keys.
    pub api_keys: Vec<ApiKey>,
    /// The identity providers.
    #[serde(deserialize_with = "tables")]
    pub oidc: Vec<OidcConfig>,
}

impl Auth {
    /// Whether credentials are required.
    pub fn is_configured(&self) -> bool {
        !self.api_keys.is_empty() || !self.oidc.is_empty()
    }
}

/// One table, or an array of tables.
fn tables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OidcConfig>, D::Error> {
    struct Tables;
    impl<'de> Visitor<'de> for Tables {
        type Value = Vec<OidcConfig>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table [auth.oidc], or several [[auth.oidc]]")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            OidcConfig::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(Tables)
}

/// The whole configuration. Its fields are the keys of the file, in the order in which [`InForce`]
/// lists them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Public listener.
    pub listen: SocketAddr,
    /// Internal listener, on loopback.
    pub internal_listen: SocketAddr,
    /// Whether requests to it must show the secret of this start.
    pub internal_secret_required: bool,
    /// Listener of health, readiness and metrics alone, without credentials; `None`: they are on
    /// the public listener only.
    pub operations_listen: Option<SocketAddr>,
    /// Database and files.
    #[serde(serialize_with = "masked::path")]
    pub data: PathBuf,
    /// Directory of the state machines; `None` if there is none.
    #[serde(serialize_with = "masked::path_if_set")]
    pub state_machines: Option<PathBuf>,
    /// Address for clients; `None`: the listener's address.
    pub public_url: Option<PublicUrl>,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
    /// Time after the first signal for which the server goes on as before, and only its probes say
    /// that it stops.
    #[serde(serialize_with = "masked::duration")]
    pub stop_delay: Duration,
    /// Faults to inject.
    pub chaos: Option<chaos::Spec>,
    /// Whether the sample job types are served.
    pub samples: bool,
    /// Addresses that the samples read in addition to the server's own files.
    pub sample_addresses: Vec<String>,
    /// Time for which finished jobs are kept.
    #[serde(serialize_with = "masked::duration")]
    pub retention: Duration,
    /// Time for which the functions of a job may report.
    #[serde(serialize_with = "masked::duration")]
    pub report_life: Duration,
    /// Origins of pages that may use the server in addition to its own. `None`: on loopback those
    /// of the usual development servers.
    pub allowed_origins: Option<Vec<String>>,
    /// Whether `/metrics` requires no credentials, even if other requests do.
    pub open_metrics: bool,
    /// Whether outside processes may attach under names that are not configured.
    pub attach_any_function: bool,
    /// Interval at which watched jobs are read again without a known gap; `None`: the default.
    #[serde(serialize_with = "masked::duration_if_set")]
    pub repair_every: Option<Duration>,
    /// The functions.
    pub functions: BTreeMap<String, Function>,
    /// Authentication.
    pub auth: Auth,
    /// Limits of connections and submits.
    pub limits: Limits,
    /// The broker between several nodes.
    pub broker: Broker,
    /// Queues whose messages become jobs.
    pub intake: Intake,
    /// The AWS services for jobs and executions; `None`: they are in this process and its data
    /// directory.
    pub aws: Option<Aws>,
    /// Services that state machines call.
    pub services: Services,
    /// Warnings about the configuration, one sentence each, to be logged.
    #[serde(skip)]
    pub notices: Vec<String>,
}

/// Default time for which finished jobs are kept: 30 days.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Default time for which functions may report: 7 days.
const REPORT_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Config {
    /// Applies the flags to the file, whose paths are relative to `base`.
    fn resolve(
        flags: ServeFlags,
        mut file: File,
        base: &Path,
        machines: Option<PathBuf>,
    ) -> Result<Config, ConfigError> {
        for (name, function) in &mut file.functions {
            function.check(name)?;
            let directory = function.directory.take().unwrap_or_default();
            let directory = base.join(directory);
            function.directory =
                Some(directory).filter(|directory| !directory.as_os_str().is_empty());
        }
        file.services.below(base);
        if file.auth.as_ref().is_some_and(|auth| !auth.is_configured()) {
            return Err(ConfigError::EmptyAuth);
        }
        let mut auth = file.auth.take().unwrap_or_default();
        for provider in &mut auth.oidc {
            provider.jwks_file = provider.jwks_file.take().map(|path| base.join(path));
            provider.check()?;
        }
        keep_apart(&mut auth.oidc, &auth.api_keys)?;
        let aws = aws(&flags, &mut file)?;
        let named = flags
            .state_machines
            .or_else(|| file.state_machines.map(|path| base.join(path)));
        if let Some(missing) = named.as_ref().filter(|path| !path.is_dir()) {
            return Err(ConfigError::NoStateMachines(missing.clone()));
        }
        let default = |text: &str| text.parse().expect("a default address is one");
        let config = Config {
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or_else(|| default(LISTEN)),
            internal_listen: flags
                .internal_listen
                .or(file.internal_listen)
                .unwrap_or_else(|| default("127.0.0.1:0")),
            internal_secret_required: file
                .internal_secret_required
                .unwrap_or_else(|| auth.is_configured()),
            operations_listen: flags.operations_listen.or(file.operations_listen),
            data: flags
                .data
                .or_else(|| file.data.map(|path| base.join(path)))
                .unwrap_or_else(|| DATA.into()),
            state_machines: named.or(machines),
            public_url: public_url(flags.public_url.or(file.public_url))?,
            log: flags.log.or(file.log).unwrap_or_else(|| LOG.to_owned()),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            samples: file.samples.unwrap_or(aws.is_none()),
            sample_addresses: file.sample_addresses,
            retention: file.retention.unwrap_or(RETENTION),
            report_life: file.report_life.unwrap_or(REPORT_LIFE),
            allowed_origins: origins(file.allowed_origins)?,
            open_metrics: file.open_metrics,
            attach_any_function: file.attach_any_function,
            chaos: flags.chaos.or(file.chaos),
            repair_every: file.repair_every,
            stop_delay: (flags.stop_delay.map(Into::into))
                .or(file.stop_delay)
                .unwrap_or_default(),
            auth,
            aws,
            broker: Broker {
                url: flags.broker_url.or(file.broker.url),
                ca_file: file.broker.ca_file.map(|path| base.join(path)),
                ..file.broker
            },
            intake: file.intake,
            limits: file.limits,
            functions: file.functions,
            services: file.services,
            notices: Vec::new(),
        };
        if !config.internal_listen.ip().is_loopback() {
            return Err(ConfigError::InternalNotLoopback(config.internal_listen));
        }
        if let Some(url) = &config.broker.url {
            broker::valkey::Valkey::new(&url.0, broker::valkey::PREFIX)
                .map_err(ConfigError::Broker)?;
        }
        if !config.listen.ip().is_loopback() && !config.auth.is_configured() {
            return Err(ConfigError::OpenToAll(config.listen));
        }
        if let Some(url) = &config.public_url
            && !url.is_loopback()
            && !config.auth.is_configured()
        {
            return Err(ConfigError::OpenToItsUsers(url.as_str().to_owned()));
        }
        Ok(config)
    }
}

fn public_url(text: Option<String>) -> Result<Option<PublicUrl>, ConfigError> {
    let parsed = text.map(|text| {
        PublicUrl::parse(&text).map_err(|reason| ConfigError::PublicUrl { text, reason })
    });
    parsed.transpose()
}

/// Origins in the form that browsers send, `*` or `null`.
fn origins(list: Option<Vec<String>>) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(list) = list else { return Ok(None) };
    let origin = |text: String| {
        if matches!(text.as_str(), "*" | "null") {
            return Ok(text);
        }
        match PublicUrl::parse(&text) {
            Ok(url) if url.path().is_empty() => Ok(url.origin().to_owned()),
            _ => Err(ConfigError::Origin(text)),
        }
    };
    list.into_iter()
        .map(origin)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The section `[aws]` with its secret, checked by itself and against the other settings.
fn aws(flags: &ServeFlags, file: &mut File) -> Result<Option<Aws>, ConfigError> {
    let Some(mut aws) = flags.aws.clone().or(file.aws.take()) else {
        return match flags.secret {
            Some(_) => Err(ConfigError::SecretWithoutAws),
            None => Ok(None),
        };
    };
    aws.secret = flags.secret.clone().or(aws.secret);
    aws.check()?;
    let beside = [
        (
            "[functions]",
            !file.functions.is_empty(),
            "AWS Lambda runs the functions",
        ),
        (
            "attach_any_function",
            file.attach_any_function,
            "AWS Lambda runs the functions",
        ),
        (
            "[services]",
            file.services != Services::default(),
            "Step Functions calls the services",
        ),
        (
            "[intake]",
            file.intake != Intake::default(),
            "SQS has the queues, and the function lambda-intake takes their messages",
        ),
        (
            "internal_listen",
            flags.internal_listen.or(file.internal_listen).is_some(),
            "there is no internal listener",
        ),
        (
            "internal_secret_required",
            file.internal_secret_required.is_some(),
            "there is no internal listener",
        ),
    ];
    match beside.into_iter().find(|(_, is_there, _)| *is_there) {
        Some((key, _, why)) => Err(ConfigError::NotWithAws(key, why)),
        None => Ok(Some(aws)),
    }
}

#[cfg(test)]
mod tests;
