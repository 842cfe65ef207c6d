//! How a cloud is set when it starts.

use std::ffi::OsString;
use std::time::Duration;

use workflow::Machines;
use workflow::lambda::FunctionConfig;

use crate::execution_log::LogLevel;
use crate::mapping::shard::RETRY_FIRST;
use crate::scope::Scope;

/// The settings of a cloud.
#[derive(Debug)]
pub struct Settings {
    /// The region and the account.
    pub scope: Scope,
    /// The functions: their programs are `bootstrap` binaries of the Lambda Runtime API. The cloud
    /// adds the variables of [`super::Cloud::environment`] to those that they have.
    pub functions: Vec<FunctionConfig>,
    /// See [`workflow::lambda::HostSettings::supervisor`].
    pub supervisor: Vec<OsString>,
    /// The state machines.
    pub machines: Machines,
    /// What Step Functions logs.
    pub logs: LogSettings,
    /// How long AWS's own parts take.
    pub timing: Timing,
    /// What ids and shuffles come of.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            scope: Scope {
                region: "us-east-1".to_owned(),
                account: "000000000000".to_owned(),
            },
            functions: Vec::new(),
            supervisor: Vec::new(),
            machines: Machines::default(),
            logs: LogSettings::default(),
            timing: Timing::fast(),
            seed: 1,
        }
    }
}

/// What Step Functions logs of every state machine.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Which events.
    pub level: LogLevel,
    /// Whether with inputs and outputs.
    pub include_data: bool,
    /// The log group.
    pub group: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            level: LogLevel::All,
            include_data: false,
            group: "/aws/vendedlogs/states/jobcast".to_owned(),
        }
    }
}

/// How long AWS's own parts take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two reads of a stream, unless a write ends it ([`Timing::wakes`]).
    pub stream_poll: Duration,
    /// Whether a write through the cloud's endpoint wakes the readers of streams.
    pub wakes: bool,
    /// The delay before the first retry of a batch of a stream.
    pub batch_retry: Duration,
    /// The delays before the two retries of an asynchronous invocation.
    pub event_retries: [Duration; 2],
    /// How long log entries gather before a subscription's function receives them.
    pub log_delivery: Duration,
    /// Time between two looks at the histories of open executions.
    pub history_poll: Duration,
}

impl Timing {
    /// As short as it can be.
    #[must_use]
    pub fn fast() -> Self {
        Timing {
            stream_poll: Duration::from_millis(100),
            wakes: true,
            batch_retry: Duration::from_millis(20),
            event_retries: [Duration::from_millis(50); 2],
            log_delivery: Duration::from_millis(20),
            history_poll: Duration::from_millis(100),
        }
    }

    /// As AWS documents it; delivery of logs is a guess.
    #[must_use]
    pub fn aws() -> Self {
        Timing {
            stream_poll: Duration::from_millis(250),
            wakes: false,
            batch_retry: RETRY_FIRST,
            event_retries: [Duration::from_secs(60), Duration::from_secs(120)],
            log_delivery: Duration::from_secs(1),
            history_poll: Duration::from_millis(100),
        }
    }
}
