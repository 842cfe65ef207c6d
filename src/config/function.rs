//! The section `[functions.NAME]`: how a function runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::duration::duration;
use crate::masked;

/// Valid values of `timeout` and `init_timeout` of a function. 15 minutes is Lambda's maximum.
const FUNCTION_TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=workflow::lambda::limits::TIMEOUT;

/// A function: `[functions.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Function {
    /// Program and arguments. Without a command, outside processes attach to the Runtime API.
    pub command: Vec<String>,
    /// Maximum number of processes, and so of invocations at once [default: the machine's cores, at
    /// least 4].
    pub concurrency: Option<usize>,
    /// Time allowed for one invocation [default: 15m, the maximum on AWS].
    #[serde(
        deserialize_with = "duration",
        serialize_with = "masked::duration_if_set"
    )]
    pub timeout: Option<Duration>,
    /// Time allowed for a process until it asks for its first invocation [default: 10s, as on AWS].
    #[serde(
        deserialize_with = "duration",
        serialize_with = "masked::duration_if_set"
    )]
    pub init_timeout: Option<Duration>,
    /// Variables in addition to Lambda's own.
    #[serde(serialize_with = "masked::mask_values")]
    pub environment: BTreeMap<String, String>,
    /// Names of the server's variables that the function receives too.
    pub pass_environment: Vec<String>,
    /// Whether the path of its `AWS_LAMBDA_RUNTIME_API` has a secret of each process, which a
    /// client needs to get invocations.
    pub runtime_secret: bool,
    /// Working directory [default: the directory of the configuration file].
    #[serde(serialize_with = "masked::path_if_set")]
    pub directory: Option<PathBuf>,
}

impl Function {
    /// Refuses durations that no function can have.
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
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
