//! The variables of a function. A missing or invalid one ends the function at its start with an
//! error that names it.

use std::path::PathBuf;

use clap::ValueEnum;
use job::limits::OWNER_BYTES;
use reqwest::Url;
use resolvers::token::Signer;
use serde_json::{Map, Value, json};

use crate::config::{
    Aws, Config, ConfigError, LOG, LogFormat, PublicUrl, SECRET_BYTES, Secret, ServeFlags,
};

/// Directory of files that a function without a bucket uses, as AWS Lambda gives it to every
/// function. No other process sees it.
const SCRATCH: &str = "/tmp/jobcast";

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("the variable {name} is not set: set it to {what}")]
    Missing {
        /// Its name.
        name: &'static str,
        /// What it must hold.
        what: &'static str,
    },
    /// A variable has a value with which the function cannot work.
    #[error("the variable {name} is not valid: {problem}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The configuration file of `JOBCAST_CONFIG`, or a rule for several settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// The variables of a process.
pub struct Variables(Box<Lookup>);

/// The value of a variable.
type Lookup = dyn Fn(&str) -> Option<String>;

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Variables")
    }
}

/// The log of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The filter.
    pub filter: String,
    /// The format.
    pub format: LogFormat,
}

/// Whether a function checks credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doors {
    /// It answers callers.
    Open,
    /// It has no callers: events come from AWS's own services.
    None,
}

impl Variables {
    /// Variables by their names.
    #[must_use]
    pub fn new(read: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self(Box::new(read))
    }

    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// The value of a variable. An empty one counts as not set.
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str, what: &'static str) -> Result<String, SettingsError> {
        self.optional(name)
            .ok_or(SettingsError::Missing { name, what })
    }

    /// The log: one JSON object per line, as CloudWatch reads it, unless a variable says otherwise.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`].
    pub fn log(&self) -> Result<LogSettings, SettingsError> {
        let format = self.optional("JOBCAST_LOG_FORMAT").map(|text| {
            LogFormat::from_str(&text, false).map_err(|_| SettingsError::Invalid {
                name: "JOBCAST_LOG_FORMAT",
                problem: format!("`{text}` is no format; set it to json or text"),
            })
        });
        Ok(LogSettings {
            filter: self
                .optional("JOBCAST_LOG")
                .unwrap_or_else(|| LOG.to_owned()),
            format: format.transpose()?.unwrap_or(LogFormat::Json),
        })
    }

    /// The address of the nodes' GraphQL.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn publish_url(&self) -> Result<Url, SettingsError> {
        let name = "JOBCAST_PUBLISH_URL";
        let text = self.required(
            name,
            "the GraphQL address of the nodes, such as http://HOST/graphql",
        )?;
        let invalid = |problem: String| SettingsError::Invalid { name, problem };
        let url = Url::parse(&text).map_err(|error| {
            invalid(format!(
                "`{text}` is no address ({error}); set it to http://HOST/graphql"
            ))
        })?;
        match url.scheme() {
            "http" | "https" => Ok(url),
            other => Err(invalid(format!(
                "its scheme is {other}, and it must be http or https"
            ))),
        }
    }

    /// The signer of the secret that the functions share with the nodes.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn signer(&self) -> Result<Signer, SettingsError> {
        Ok(Signer::of_secret(&self.secret()?))
    }

    fn secret(&self) -> Result<String, SettingsError> {
        let name = "JOBCAST_SECRET";
        let secret = self.required(
            name,
            "the secret of the nodes, of at least 32 bytes, the same everywhere",
        )?;
        if secret.len() < SECRET_BYTES {
            return Err(SettingsError::Invalid {
                name,
                problem: format!(
                    "it has {} bytes, and it must have at least {SECRET_BYTES}, as on the nodes",
                    secret.len()
                ),
            });
        }
        Ok(secret)
    }

    /// The owner of the jobs of the queue.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn intake_owner(&self) -> Result<String, SettingsError> {
        let name = "JOBCAST_INTAKE_OWNER";
        let owner = self.required(name, "the owner of the jobs of the queue")?;
        if owner.len() > OWNER_BYTES {
            let problem = format!(
                "it has {} bytes, and an owner has at most {OWNER_BYTES}",
                owner.len()
            );
            return Err(SettingsError::Invalid { name, problem });
        }
        Ok(owner)
    }

    /// The AWS services for a function that reads only the table: `state_machine_arn_prefix` is
    /// empty.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn table(&self) -> Result<Aws, SettingsError> {
        let table = self.table_name()?;
        let region = self.required("AWS_REGION", "the region of the table, such as eu-west-1")?;
        let mut section = self.endpoints();
        section.insert("table".to_owned(), table.into());
        section.insert("region".to_owned(), region.into());
        section.insert("state_machine_arn_prefix".to_owned(), "".into());
        aws(section)
    }

    fn table_name(&self) -> Result<String, SettingsError> {
        self.required("JOBCAST_AWS_TABLE", "the DynamoDB table of the jobs")
    }

    /// The addresses of services that are not at AWS, under the names of `[aws]`. The AWS SDKs read
    /// the same variables.
    fn endpoints(&self) -> Map<String, Value> {
        let variables = [
            ("AWS_ENDPOINT_URL", "endpoint_url"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "dynamodb_endpoint_url"),
            ("AWS_ENDPOINT_URL_SFN", "step_functions_endpoint_url"),
            ("AWS_ENDPOINT_URL_S3", "s3_endpoint_url"),
        ];
        let set = variables
            .into_iter()
            .filter_map(|(name, key)| Some((key.to_owned(), self.optional(name)?.into())));
        set.collect()
    }

    /// The configuration of a function that has the use cases of a node: that of the file
    /// `JOBCAST_CONFIG` or of the text `JOBCAST_CONFIG_TEXT`, if one is set, and the variables.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn node(&self, doors: Doors) -> Result<Config, SettingsError> {
        let mut section = self.endpoints();
        section.insert("table".to_owned(), self.table_name()?.into());
        let prefix = self.required(
            "JOBCAST_AWS_STATE_MACHINE_ARN_PREFIX",
            "the prefix of the state machines: arn:aws:states:REGION:ACCOUNT:stateMachine:PREFIX",
        )?;
        section.insert("state_machine_arn_prefix".to_owned(), prefix.into());
        // Other functions do these.
        section.insert("follow_stream".to_owned(), json!(false));
        section.insert("sweep".to_owned(), json!(false));
        section.insert("steps".to_owned(), json!("pushed"));
        if let Some(bucket) = self.optional("JOBCAST_AWS_BUCKET") {
            section.insert("bucket".to_owned(), bucket.into());
        }
        let secret = self.secret()?;
        let what = "the address at which clients and functions reach the service";
        let public_url = self.required("JOBCAST_PUBLIC_URL", what)?;
        let machines = self.required(
            "JOBCAST_STATE_MACHINES",
            "the directory of the *.asl.json, such as /var/task/state-machines",
        )?;
        let log = self.log()?;
        let data = self.optional("JOBCAST_DATA");
        let mut config = Config::of_function(ServeFlags {
            data: Some(data.map_or_else(|| SCRATCH.into(), PathBuf::from)),
            config: self.optional("JOBCAST_CONFIG").map(PathBuf::from),
            config_text: self.optional("JOBCAST_CONFIG_TEXT").map(Secret),
            state_machines: Some(machines.into()),
            // Without doors there are no callers, so that no credentials are needed.
            public_url: (doors == Doors::Open).then(|| public_url.clone()),
            log: Some(log.filter),
            log_format: Some(log.format),
            secret: Some(Secret(secret)),
            aws: Some(aws(section)?),
            ..ServeFlags::default()
        })
        .map_err(|error| match error {
            ConfigError::OpenToItsUsers(_) => SettingsError::Invalid {
                name: "JOBCAST_CONFIG_TEXT",
                problem: "neither it nor the file of JOBCAST_CONFIG says who the callers are; add [auth.oidc] or [[auth.api_keys]], as on the nodes".to_owned(),
            },
            other => other.into(),
        })?;
        if config.public_url.is_none() {
            let parsed = PublicUrl::parse(&public_url);
            config.public_url = Some(parsed.map_err(|reason| SettingsError::Invalid {
                name: "JOBCAST_PUBLIC_URL",
                problem: reason.to_string(),
            })?);
        }
        Ok(config)
    }
}

/// The section `[aws]` with these keys.
fn aws(section: Map<String, Value>) -> Result<Aws, SettingsError> {
    serde_json::from_value(section.into()).map_err(|error| SettingsError::Invalid {
        name: "AWS_ENDPOINT_URL",
        problem: format!("{error}; set it to http://HOST:PORT, or remove it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[(&str, &str)] = &[
        ("JOBCAST_PUBLISH_URL", "http://nodes.internal/graphql"),
        ("JOBCAST_SECRET", "a secret that is as long as it must be"),
        ("JOBCAST_AWS_TABLE", "jobs"),
        (
            "JOBCAST_AWS_STATE_MACHINE_ARN_PREFIX",
            "arn:aws:states:eu-west-1:000000000000:stateMachine:live-",
        ),
        ("JOBCAST_PUBLIC_URL", "https://jobs.example.com"),
        ("AWS_REGION", "eu-west-1"),
    ];

    /// The usual variables with one changed; an empty one is removed.
    fn with(machines: &std::path::Path, name: &'static str, value: &'static str) -> Variables {
        let machines = machines.display().to_string();
        Variables::new(move |asked| match asked {
            _ if asked == name => Some(value.to_owned()),
            "JOBCAST_STATE_MACHINES" => Some(machines.clone()),
            _ => {
                let found = SET.iter().find(|(known, _)| *known == asked);
                found.map(|(_, value)| (*value).to_owned())
            }
        })
    }

    #[test]
    fn a_missing_variable_is_named_with_what_to_set() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in [
            "JOBCAST_SECRET",
            "JOBCAST_AWS_TABLE",
            "JOBCAST_AWS_STATE_MACHINE_ARN_PREFIX",
            "JOBCAST_PUBLIC_URL",
            "JOBCAST_STATE_MACHINES",
        ] {
            let error = with(directory.path(), name, "").node(Doors::None);
            let error = error.expect_err(name).to_string();
            let named = format!("the variable {name} is not set: set it to ");
            assert!(error.starts_with(&named), "{error}");
        }
        let missing = with(directory.path(), "JOBCAST_PUBLISH_URL", "").publish_url();
        assert!(matches!(
            missing,
            Err(SettingsError::Missing {
                name: "JOBCAST_PUBLISH_URL",
                ..
            })
        ));
        let missing = with(directory.path(), "AWS_REGION", "").table();
        assert!(matches!(
            missing,
            Err(SettingsError::Missing {
                name: "AWS_REGION",
                ..
            })
        ));
    }

    #[test]
    fn an_invalid_variable_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let with = |name, value| with(directory.path(), name, value);
        for (error, said) in [
            (
                with("JOBCAST_SECRET", "short").signer().err(),
                "JOBCAST_SECRET is not valid: it has 5 bytes",
            ),
            (
                with("JOBCAST_PUBLISH_URL", "nodes").publish_url().err(),
                "JOBCAST_PUBLISH_URL is not valid: `nodes` is no address",
            ),
            (
                with("JOBCAST_PUBLISH_URL", "ftp://nodes")
                    .publish_url()
                    .err(),
                "its scheme is ftp",
            ),
            (
                with("JOBCAST_LOG_FORMAT", "xml").log().err(),
                "JOBCAST_LOG_FORMAT is not valid: `xml` is no format",
            ),
            (
                with("JOBCAST_PUBLIC_URL", "jobs").node(Doors::None).err(),
                "JOBCAST_PUBLIC_URL is not valid",
            ),
            (
                with("AWS_ENDPOINT_URL", "x").table().err(),
                "AWS_ENDPOINT_URL is not valid",
            ),
            // Callers must show who they are.
            (
                with("JOBCAST_LOG", "info").node(Doors::Open).err(),
                "JOBCAST_CONFIG_TEXT is not valid",
            ),
        ] {
            let error = error.expect(said).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_owner_of_a_queue_has_at_most_the_bytes_of_an_owner() {
        let owner = |bytes: usize| {
            let set = Variables::new(move |_| Some("o".repeat(bytes)));
            set.intake_owner().map_err(|error| error.to_string())
        };
        assert_eq!(owner(OWNER_BYTES), Ok("o".repeat(OWNER_BYTES)));
        let over = owner(OWNER_BYTES + 1).expect_err("over the limit");
        assert!(
            over.starts_with("the variable JOBCAST_INTAKE_OWNER is not valid: it has 257"),
            "{over}"
        );
        let missing = owner(0).expect_err("empty");
        assert!(
            missing.ends_with("is not set: set it to the owner of the jobs of the queue"),
            "{missing}"
        );
    }

    #[test]
    fn a_function_without_callers_needs_no_credentials_of_callers() {
        let directory = tempfile::tempdir().expect("a directory");
        let variables = with(directory.path(), "AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        let config = variables.node(Doors::None).expect("valid");
        let aws = config.aws.expect("the section");
        assert_eq!((aws.table.as_str(), aws.follow_stream), ("jobs", false));
        assert_eq!(aws.region(), "eu-west-1");
        assert!(aws.dynamodb_endpoint().is_some() && aws.s3_endpoint().is_some());
        let url = config.public_url.expect("set");
        assert_eq!(url.as_str(), "https://jobs.example.com");
        assert_eq!(config.log_format, LogFormat::Json);
        let keys = "[[auth.api_keys]]\nsha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n\
                    subject = \"ann\"\nroles = [\"submitter\"]";
        let config = with(directory.path(), "JOBCAST_CONFIG_TEXT", keys).node(Doors::Open);
        assert!(config.expect("valid").auth.is_configured());
    }
}
