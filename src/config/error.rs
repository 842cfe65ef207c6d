//! What is wrong with a configuration: which key, and what to write instead.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::LISTEN;
use super::aws::SECRET_BYTES;
use super::public_url::NotPublic;
use crate::auth::oidc::OidcError;
use crate::realtime::broker;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A time of a function that no function can have.
    #[error("[functions.{function}]: {key} must be from 1ms to 15m, AWS Lambda's own bound")]
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
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it must be.
    #[error("the configuration {} is not valid: {source}{hint}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
        /// What may have been meant.
        hint: String,
    },
    /// A setting that cannot work, alone or beside another.
    #[error("{0}")]
    Rule(String),
    /// An authentication that keeps nobody out.
    #[error(
        "[auth] is in the configuration, and it has neither api_keys nor oidc: nobody would be kept out; add [[auth.api_keys]] or [auth.oidc], or remove [auth]"
    )]
    EmptyAuth,
    /// The internal listener would be open to others.
    #[error(
        "internal_listen is {0}, and it must be a loopback address: whoever reaches it runs functions without credentials"
    )]
    InternalNotLoopback(SocketAddr),
    /// The public listener would be open to everybody.
    #[error(
        "listen is {0}, which others can reach, and no authentication is configured: add an API key or [auth.oidc] to the configuration\n\n\
         [[auth.api_keys]]\nsha256 = \"…\"   # printf %s KEY | sha256sum\nsubject = \"my-backend\"\nroles = [\"submitter\"]\n\n\
         or listen on a loopback address such as {LISTEN}"
    )]
    OpenToAll(SocketAddr),
    /// Whoever comes by the public address would be the `dev` caller, who may do everything.
    #[error(
        "public_url is {0}, by which others come, and no authentication is configured: add an API key or [auth.oidc] to the configuration\n\n\
         [[auth.api_keys]]\nsha256 = \"…\"   # printf %s KEY | sha256sum\nsubject = \"my-backend\"\nroles = [\"submitter\"]\n\n\
         or leave public_url out: then clients reach the server by its loopback address only"
    )]
    OpenToItsUsers(String),
    /// An address that no client could use.
    #[error(
        "public_url is `{text}`, and it must be an address such as https://jobs.example.com or https://example.com/jobs: {reason}"
    )]
    PublicUrl {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: NotPublic,
    },
    /// What no browser sends as an origin.
    #[error(
        "allowed_origins has `{0}`, and an origin is like https://app.example.com or http://localhost:5173, without a path; `*` allows all"
    )]
    Origin(String),
    /// The broker's address is none.
    #[error("the url of [broker] is not like redis://HOST:PORT or rediss://HOST:PORT: {}", .0.reason)]
    Broker(broker::BrokerError),
    /// An identity provider could never be served.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// There is no such directory.
    #[error("state_machines is {}, and there is no such directory: it does not exist, or is something else", .0.display())]
    NoStateMachines(PathBuf),
    /// A build without the adapters.
    #[error(
        "[aws] is configured, and this jobcast was built without it: build one with `cargo build --release --features aws`"
    )]
    BuiltWithoutAws,
    /// No table to create.
    #[error("there is no [aws] in the configuration: it says which table to create, and where")]
    NoAws,
    /// Something that `[aws]` leaves no place for.
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
    /// Not what the ARNs of state machines begin with.
    #[error(
        "state_machine_arn_prefix of [aws] is `{0}`, and it must be like arn:aws:states:eu-west-1:123456789012:stateMachine: (the names of the job types come after it)"
    )]
    StateMachineArn(String),
    /// Nothing to sign with.
    #[error(
        "[aws] needs a secret that all nodes share, for it signs the tokens and addresses that they give out: set JOBCAST_SECRET, such as from `openssl rand -base64 32`"
    )]
    NoSecret,
    /// A secret that could be guessed.
    #[error(
        "the secret of [aws] has {0} bytes, and it must have at least {SECRET_BYTES}: take one such as `openssl rand -base64 32` gives"
    )]
    ShortSecret(usize),
    /// A secret that nobody uses.
    #[error(
        "JOBCAST_SECRET is set and there is no [aws]: without it the secret is in the data directory; unset the variable"
    )]
    SecretWithoutAws,
}
