//! Errors of a configuration. Each names the key and a valid alternative.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::LISTEN;
use super::limits::SECRET_BYTES;
use super::public_url::NotPublic;
use crate::auth::oidc::OidcError;
use crate::realtime::broker;

/// An error of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A duration that no function can have.
    #[error("[functions.{function}]: {key} must be from 1ms to 15m, AWS Lambda's own limit")]
    FunctionTime {
        /// The function.
        function: String,
        /// The key.
        key: &'static str,
    },
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("the configuration {} is not valid: {source}{hint}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The error and its position.
        source: Box<toml::de::Error>,
        /// The key that may have been meant.
        hint: String,
    },
    /// A setting that cannot work, alone or together with another one.
    #[error("{0}")]
    Rule(String),
    /// An authentication without any key or provider.
    #[error(
        "[auth] is in the configuration, and it has neither api_keys nor oidc, so every caller would be accepted; add [[auth.api_keys]] or [auth.oidc], or remove [auth]"
    )]
    EmptyAuth,
    /// The internal listener would be open to other machines.
    #[error(
        "internal_listen is {0}, and it must be a loopback address: it runs functions without credentials"
    )]
    InternalNotLoopback(SocketAddr),
    /// The public listener would be open to everyone.
    #[error(
        "listen is {0}, which others can reach, and no authentication is configured: add an API key or [auth.oidc] to the configuration\n\n\
         [[auth.api_keys]]\nsha256 = \"…\"   # printf %s KEY | sha256sum\nsubject = \"my-backend\"\nroles = [\"submitter\"]\n\n\
         or listen on a loopback address such as {LISTEN}"
    )]
    OpenToAll(SocketAddr),
    /// Every client at the public address would be the `dev` caller, who may do everything.
    #[error(
        "public_url is {0}, which others can use, and no authentication is configured: add an API key or [auth.oidc] to the configuration\n\n\
         [[auth.api_keys]]\nsha256 = \"…\"   # printf %s KEY | sha256sum\nsubject = \"my-backend\"\nroles = [\"submitter\"]\n\n\
         or leave public_url out: then clients reach the server by its loopback address only"
    )]
    OpenToItsUsers(String),
    /// An address that no client can use.
    #[error(
        "public_url is `{text}`, and it must be an address such as https://jobs.example.com or https://example.com/jobs: {reason}"
    )]
    PublicUrl {
        /// The address.
        text: String,
        /// The reason.
        reason: NotPublic,
    },
    /// A text that no browser sends as an origin.
    #[error(
        "allowed_origins has `{0}`, and an origin is like https://app.example.com or http://localhost:5173, without a path; `*` allows all"
    )]
    Origin(String),
    /// The broker's address is not valid.
    #[error("the url of [broker] is not like redis://HOST:PORT or rediss://HOST:PORT: {}", .0.reason)]
    Broker(broker::BrokerError),
    /// An identity provider that cannot work.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The directory does not exist.
    #[error("state_machines is {}, and there is no such directory: it does not exist, or is something else", .0.display())]
    NoStateMachines(PathBuf),
    /// This build has no adapters for AWS.
    #[error(
        "[aws] is configured, and this jobcast was built without it: build one with `cargo build --release --features aws`"
    )]
    BuiltWithoutAws,
    /// The configuration has no table to create.
    #[error("there is no [aws] in the configuration: it says which table to create, and where")]
    NoAws,
    /// A setting that contradicts `[aws]`.
    #[error("{0} does not go with [aws]: {1}; remove it, or remove [aws]")]
    NotWithAws(&'static str, &'static str),
    /// A table without a name.
    #[error("table of [aws] is empty, and it must be the name of the DynamoDB table of the jobs")]
    NoTable,
    /// A bucket without a name.
    #[error(
        "bucket of [aws] is empty, and it must be the name of an S3 bucket; leave it out to keep files in a directory that the nodes share"
    )]
    NoBucket,
    /// The prefix is not that of a state machine's ARN.
    #[error(
        "state_machine_arn_prefix of [aws] is `{0}`, and it must be like arn:aws:states:eu-west-1:123456789012:stateMachine: (the names of the job types come after it)"
    )]
    StateMachineArn(String),
    /// There is no secret to sign with.
    #[error(
        "[aws] needs a secret that all nodes share, because it signs the tokens and addresses that they issue: set JOBCAST_SECRET, such as from `openssl rand -base64 32`"
    )]
    NoSecret,
    /// The secret is too short.
    #[error(
        "the secret of [aws] has {0} bytes, and it must have at least {SECRET_BYTES}: take one such as `openssl rand -base64 32` gives"
    )]
    ShortSecret(usize),
    /// A secret that has no effect.
    #[error(
        "JOBCAST_SECRET is set and there is no [aws]: without it the secret is in the data directory; unset the variable"
    )]
    SecretWithoutAws,
}
