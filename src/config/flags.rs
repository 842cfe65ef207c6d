//! The flags of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{Aws, LogFormat};
use crate::chaos;

/// Flags of `serve`. Each is also a variable.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeFlags {
    /// Address of the public listener [default: 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, env = "JOBCAST_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of the internal listener (Lambda Runtime API, Step Functions API), loopback only
    /// [default: 127.0.0.1:0]
    #[arg(long, env = "JOBCAST_INTERNAL_LISTEN", value_name = "ADDRESS")]
    pub internal_listen: Option<SocketAddr>,
    /// Directory of the database and the files; with `[aws]` of the files only, if they are in no
    /// bucket [default: ./data]
    #[arg(long, env = "JOBCAST_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: jobcast.toml, if it exists]
    #[arg(long, env = "JOBCAST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The text of a configuration file, where there is none: in a container or a function; paths
    /// in it begin in the current directory. Set it in the variable
    #[arg(
        long,
        env = "JOBCAST_CONFIG_TEXT",
        value_name = "TOML",
        hide_env_values = true,
        conflicts_with = "config"
    )]
    pub config_text: Option<Secret>,
    /// Directory of the state machines, one NAME.asl.json for each job type [default:
    /// state-machines beside the configuration file, or in the current directory]
    #[arg(long, env = "JOBCAST_STATE_MACHINES", value_name = "DIR")]
    pub state_machines: Option<PathBuf>,
    /// Address at which clients reach the public listener, with its path; requires authentication
    /// [default: http://LISTEN]
    #[arg(long, env = "JOBCAST_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Log filter: error, warn, info, debug, trace, off, or directives such as jobcast=debug,warn
    /// [default: info]
    #[arg(long, env = "JOBCAST_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Log format [default: text]
    #[arg(long, env = "JOBCAST_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Address of the Valkey or Redis that several nodes share: redis://HOST:PORT, rediss:// for
    /// TLS; set passwords in the variable
    #[arg(
        long,
        env = "JOBCAST_BROKER_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub broker_url: Option<Secret>,
    /// Secret with which all nodes on AWS sign tokens and addresses, at least 32 bytes; set it in
    /// the variable
    #[arg(
        long,
        env = "JOBCAST_SECRET",
        value_name = "TEXT",
        hide_env_values = true
    )]
    pub secret: Option<Secret>,
    /// Inject faults into deliveries, for tests:
    /// drop=0.05,duplicate=0.05,delay=20ms,cut=0.01,lose=0.05,seed=7
    #[arg(long, env = "JOBCAST_CHAOS", value_name = "SPEC")]
    pub chaos: Option<chaos::Spec>,
    /// The section `[aws]` of a function on AWS Lambda, which replaces that of the file.
    #[arg(skip)]
    pub aws: Option<Aws>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
