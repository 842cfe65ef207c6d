//! The settings of the host and its functions, given when the host is created.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::limits;
/// One `[functions.NAME]` of the configuration.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// Its name.
    pub name: String,
    /// Program and arguments; empty when outside processes run it.
    pub command: Vec<String>,
    /// Maximum number of processes, each with one invocation at a time. They start when there is
    /// work for them.
    pub concurrency: usize,
    /// Time allowed for one invocation, at most [`limits::TIMEOUT`].
    pub timeout: Duration,
    /// Time allowed for a process from its start to its first request for work.
    pub init_timeout: Duration,
    /// Time after which an idle process ends, when it is not the only one.
    pub idle: Duration,
    /// Variables besides Lambda's own and [`PASSED`](super::PASSED); they win over both.
    pub environment: BTreeMap<String, String>,
    /// Names of the server's own variables that pass to the function, besides
    /// [`PASSED`](super::PASSED).
    pub pass_environment: Vec<String>,
    /// Whether each process has a secret in the path of its `AWS_LAMBDA_RUNTIME_API`, without which
    /// its listener answers nothing. Not every runtime client takes a path there.
    pub secret: bool,
    /// Where it runs; `None` is where the server runs.
    pub directory: Option<PathBuf>,
}

impl FunctionConfig {
    /// A function with the usual concurrency and a timeout of 30 seconds.
    #[must_use]
    pub fn new(name: &str, command: Vec<String>) -> FunctionConfig {
        FunctionConfig {
            name: name.to_owned(),
            command,
            concurrency: default_concurrency(),
            timeout: Duration::from_secs(30),
            init_timeout: limits::INIT,
            idle: limits::IDLE,
            environment: BTreeMap::new(),
            pass_environment: Vec::new(),
            secret: false,
            directory: None,
        }
    }
}

/// The concurrency of a function that says nothing about it: as many processes as the machine has
/// cores, at least [`limits::CONCURRENCY_LEAST`].
#[must_use]
pub fn default_concurrency() -> usize {
    std::thread::available_parallelism()
        .map_or(0, std::num::NonZero::get)
        .max(limits::CONCURRENCY_LEAST)
}

/// Takes secrets out of a text before it is logged or shown.
pub type Redact = fn(&str) -> Cow<'_, str>;

/// How the host runs.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// The functions of the configuration.
    pub functions: Vec<FunctionConfig>,
    /// Whether outside processes may attach to names that are not in the configuration.
    pub attach_any: bool,
    /// How long an invocation waits for an outside process when none polls for its function.
    pub attach_wait: Duration,
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs.
    pub account: String,
    /// The command that runs [`supervisor::supervise`](super::supervisor::supervise) with the words
    /// that follow it. Empty: processes have no supervisor, and what leaves their process group
    /// outlives them.
    pub supervisor: Vec<OsString>,
    /// What takes secrets out of the functions' output.
    pub redact: Redact,
    /// Hosts that functions reach without a proxy, besides this machine.
    pub direct_hosts: Vec<String>,
}

impl Default for HostSettings {
    fn default() -> Self {
        HostSettings {
            functions: Vec::new(),
            attach_any: false,
            attach_wait: limits::ATTACH_WAIT,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            supervisor: Vec::new(),
            redact: |text| text.into(),
            direct_hosts: Vec::new(),
        }
    }
}
