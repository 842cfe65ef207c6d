//! Loads the configuration: the file, the variables and the flags become one [`Config`], which is
//! checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::defaults::{DATA, FILE, LISTEN, LOG};
use super::notices::{self, unknown_variables};
use super::{
    Aws, Broker, Config, ConfigError, File, Function, PublicUrl, ServeFlags, Services, file, rules,
};
use crate::auth::oidc::keep_apart;
use crate::realtime::broker;

/// Valid values of `timeout` and `init_timeout` of a function. 15 minutes is Lambda's maximum.
const FUNCTION_TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=workflow::lambda::limits::TIMEOUT;
/// Default time for which finished jobs are kept: 30 days.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Default time for which functions may report: 7 days.
const REPORT_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Function {
    /// Refuses durations that no function can have.
    fn check(&self, name: &str) -> Result<(), ConfigError> {
        let valid = FUNCTION_TIMEOUT;
        for (key, given) in [
            ("timeout", self.timeout),
            ("init_timeout", self.init_timeout),
        ] {
            if given.is_some_and(|given| !valid.contains(&given)) {
                return Err(ConfigError::FunctionTime {
                    function: name.to_owned(),
                    key,
                });
            }
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file, if it exists, and applies the flags.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(flags: ServeFlags) -> Result<Config, ConfigError> {
        let path = flags
            .config
            .clone()
            .or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists()));
        let file = match &path {
            Some(path) => file::read(path)?,
            None => File::default(),
        };
        let base = path
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let machines = Some(base.join("state-machines")).filter(|path| path.is_dir());
        let mut config = Config::resolve(flags, file.clone(), &base, machines)?;
        let variables = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        config.notices = unknown_variables(variables);
        if let Some(path) = &path {
            config
                .notices
                .extend(notices::readable_secrets(path, &file));
        }
        config.notices.extend(notices::short_retention(&config));
        Ok(config)
    }

    /// Only the sample job types, on a free port. Files and variables are ignored.
    pub fn samples_only(data: PathBuf) -> Config {
        let flags = ServeFlags {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            data: Some(data),
            ..ServeFlags::default()
        };
        Config::resolve(flags, File::default(), Path::new(""), None)
            .expect("nothing is said that could be wrong")
    }

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
            auth,
            aws,
            broker: Broker {
                url: flags.broker_url.or(file.broker.url),
                ..file.broker
            },
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
        if let Some(sentence) = rules::broken(&config) {
            return Err(ConfigError::Rule(sentence));
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
    let Some(mut aws) = file.aws.take() else {
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
