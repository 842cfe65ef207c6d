//! `lambda-execution`: applies what Step Functions reports about executions to their jobs. Entries
//! of the state machines' log show the steps, and events of EventBridge show the ends, so that no
//! history of a usual job is read.

use std::process::ExitCode;

use aws_lambda_events::cloudwatch_logs::LogsEvent;
use lambda_runtime::{Error, LambdaEvent};
use resolvers::Resolvers;
use resolvers::workflow::step_functions::pushed::{Pushed, log_entry, status_change};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::settings::Doors;
use super::start;
use crate::server;

/// The `messageType` of a batch that only checks whether the subscription works.
const CONTROL: &str = "CONTROL_MESSAGE";

/// What became of an event: the answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Number of jobs that changed.
    pub changed: usize,
    /// Number of histories and descriptions that were read.
    pub reads: usize,
    /// Number of jobs that are left to the sweep.
    pub left: usize,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    start::run(2, async |variables| {
        let node = server::invoked(&variables.node(Doors::None)?).await?;
        let resolvers = node.doors.resolvers.clone();
        start::answer(move |event: LambdaEvent<Box<RawValue>>| {
            let resolvers = resolvers.clone();
            async move { apply(&resolvers, &event.payload).await }
        })
        .await
    })
}

/// Applies an event to the jobs that it is about.
///
/// # Errors
/// The event is neither from a subscription of a log group nor a change of an execution's status,
/// or the store does not answer. The event is delivered again.
pub async fn apply(resolvers: &Resolvers, event: &RawValue) -> Result<Applied, Error> {
    let applied = resolvers.apply_pushed(decode(event)?).await?;
    let applied = Applied {
        changed: applied.changed,
        reads: applied.reads,
        left: applied.left,
    };
    tracing::debug!(?applied, "applied");
    Ok(applied)
}

/// The pushed events of an event. An entry of the log that cannot be read is logged and left out:
/// the gap that it leaves is read from the history.
///
/// # Errors
/// The event is of neither source.
pub fn decode(event: &RawValue) -> Result<Vec<Pushed>, Error> {
    #[derive(Deserialize)]
    struct Source {
        awslogs: Option<IgnoredAny>,
    }
    let source: Source = serde_json::from_str(event.get())?;
    if source.awslogs.is_none() {
        let event: Value = serde_json::from_str(event.get())?;
        return Ok(vec![status_change(&event)?]);
    }
    let logs: LogsEvent = serde_json::from_str(event.get())?;
    let data = logs.aws_logs.data;
    if data.message_type == CONTROL {
        return Ok(Vec::new());
    }
    let mut pushed = Vec::with_capacity(data.log_events.len());
    for entry in &data.log_events {
        match log_entry(&entry.message) {
            Ok(one) => pushed.push(one),
            Err(error) => tracing::warn!(
                %error,
                log_group = data.log_group,
                log_stream = data.log_stream,
                "an entry of the log is not one of an execution"
            ),
        }
    }
    Ok(pushed)
}
