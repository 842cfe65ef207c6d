//! The calls of the SDK, with their errors converted to the port's. Histories are read as the JSON
//! that the service sends, because the port returns them in this form.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sfn::error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::{self, ExecutionRedriveStatus};
use job::Time;
use parking_lot::Mutex;
use serde_json::Value;

use crate::read_budget::{NoSlot, ReadBudget};
use crate::workflow::{End, ExecutionStatus, Started, WorkflowError};

/// Time allowed for a call, with the tries that the SDK makes.
pub(super) const CALL: Duration = Duration::from_secs(20);
/// Time allowed for one try of a call.
const TRY: Duration = Duration::from_secs(8);

/// Errors of `StartExecution` that a repeat cannot cure.
const REFUSALS: [&str; 4] = [
    "InvalidExecutionInput",
    "InvalidName",
    "InvalidArn",
    "ValidationException",
];

#[derive(Debug)]
pub(super) struct Calls {
    client: Client,
    /// Of the calls of `DescribeExecution` and `GetExecutionHistory`.
    budget: ReadBudget,
}

/// The result of `DescribeExecution`.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) started: Time,
    /// The end, if there is one.
    pub(super) end: Option<End>,
    /// Whether the execution is known not to be redrivable.
    pub(super) is_final: bool,
}

/// One page of a history.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) events: Vec<Value>,
    pub(super) next: Option<String>,
}

/// Keeps the body of a response.
#[derive(Clone, Debug, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = context.response().body().bytes() {
            *self.0.lock() = body.to_vec();
        }
        Ok(())
    }
}

impl From<NoSlot> for WorkflowError {
    fn from(error: NoSlot) -> Self {
        Self::Unavailable {
            reason: error.to_string(),
            source: Some(Box::new(error)),
        }
    }
}

/// An error that the caller does not handle separately.
fn unavailable<E>(error: SdkError<E>) -> WorkflowError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let reason = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => format!("{}", DisplayErrorContext(&error)),
    };
    WorkflowError::Unavailable {
        reason,
        source: Some(Box::new(error)),
    }
}

fn no_task<E>(error: SdkError<E>) -> WorkflowError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error.code() {
        Some("TaskDoesNotExist" | "TaskTimedOut" | "InvalidToken") => WorkflowError::NoSuchTask,
        _ => unavailable(error),
    }
}

/// The status of an execution that ended.
fn status_of(status: &types::ExecutionStatus) -> Option<ExecutionStatus> {
    match status {
        types::ExecutionStatus::Succeeded => Some(ExecutionStatus::Succeeded),
        types::ExecutionStatus::Failed => Some(ExecutionStatus::Failed),
        types::ExecutionStatus::TimedOut => Some(ExecutionStatus::TimedOut),
        types::ExecutionStatus::Aborted => Some(ExecutionStatus::Aborted),
        _ => None,
    }
}

impl Calls {
    pub(super) fn new(config: &SdkConfig, budget: ReadBudget) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(CALL)
            .operation_attempt_timeout(TRY)
            .build();
        let config = aws_sdk_sfn::config::Builder::from(config).timeout_config(timeouts);
        Self {
            client: Client::from_conf(config.build()),
            budget,
        }
    }

    /// Whether the state machine exists, and its definition.
    pub(super) async fn definition(&self, machine: &str) -> Result<Option<String>, WorkflowError> {
        let call = self.client.describe_state_machine();
        match call.state_machine_arn(machine).send().await {
            Ok(found) => Ok(Some(found.definition)),
            Err(error) => match error.code() {
                Some("StateMachineDoesNotExist" | "StateMachineDeleting") => Ok(None),
                _ => Err(unavailable(error)),
            },
        }
    }

    pub(super) async fn start(
        &self,
        machine: &str,
        name: &str,
        input: &str,
    ) -> Result<Started, WorkflowError> {
        let call = self.client.start_execution().state_machine_arn(machine);
        match call.name(name).input(input).send().await {
            Ok(_) => Ok(Started::New),
            Err(error) => match error.code() {
                Some("ExecutionAlreadyExists") => Ok(Started::Already),
                Some("StateMachineDoesNotExist" | "StateMachineDeleting") => {
                    Err(WorkflowError::NotDeployed {
                        arn: machine.to_owned(),
                    })
                }
                Some(code) if REFUSALS.contains(&code) => Err(WorkflowError::Refused {
                    name: code.to_owned(),
                    reason: error.message().unwrap_or_default().to_owned(),
                }),
                _ => Err(unavailable(error)),
            },
        }
    }

    pub(super) async fn stop(
        &self,
        arn: &str,
        name: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let call = self.client.stop_execution().execution_arn(arn);
        match call.error(error).cause(cause).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => {
                Err(WorkflowError::UnknownExecution(name.to_owned()))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn redrive(&self, arn: &str, name: &str) -> Result<(), WorkflowError> {
        match self
            .client
            .redrive_execution()
            .execution_arn(arn)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Some("ExecutionNotRedrivable") => Err(WorkflowError::NotRedrivable {
                    name: name.to_owned(),
                    reason: error.message().unwrap_or_default().to_owned(),
                }),
                Some("ExecutionDoesNotExist") => {
                    Err(WorkflowError::UnknownExecution(name.to_owned()))
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    /// `None` if there is no such execution.
    pub(super) async fn describe(&self, arn: &str) -> Result<Option<Described>, WorkflowError> {
        self.budget.take().await?;
        match self
            .client
            .describe_execution()
            .execution_arn(arn)
            .send()
            .await
        {
            Ok(found) => Ok(Some(Described {
                started: Time::from_millis(found.start_date.to_millis().unwrap_or_default()),
                end: status_of(&found.status).map(|status| End {
                    status,
                    output: found.output.map(Into::into),
                    error: found.error,
                    cause: found.cause,
                }),
                // AWS reports the same for a running execution, and the description may be older
                // than the end.
                is_final: found.status != types::ExecutionStatus::Running
                    && found.redrive_status == Some(ExecutionRedriveStatus::NotRedrivable),
            })),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn history(
        &self,
        arn: &str,
        limit: usize,
        newest_first: bool,
        token: Option<String>,
    ) -> Result<Page, WorkflowError> {
        let body = Body::default();
        self.budget.take().await?;
        let call = self
            .client
            .get_execution_history()
            .execution_arn(arn)
            .max_results(i32::try_from(limit).unwrap_or(i32::MAX))
            .reverse_order(newest_first)
            .set_next_token(token)
            .customize()
            .interceptor(body.clone());
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => {
                let name = arn.rsplit(':').next().unwrap_or(arn);
                return Err(WorkflowError::UnknownExecution(name.to_owned()));
            }
            Err(error) => return Err(unavailable(error)),
        };
        let body = std::mem::take(&mut *body.0.lock());
        let mut body: Value =
            serde_json::from_slice(&body).map_err(|error| WorkflowError::Unavailable {
                reason: format!("a history cannot be read: {error}"),
                source: Some(Box::new(error)),
            })?;
        let events = match body["events"].take() {
            Value::Array(events) => events,
            _ => Vec::new(),
        };
        Ok(Page {
            events,
            next: answer.next_token,
        })
    }

    pub(super) async fn task_success(
        &self,
        token: &str,
        output: &str,
    ) -> Result<(), WorkflowError> {
        let call = self
            .client
            .send_task_success()
            .task_token(token)
            .output(output);
        call.send().await.map(|_| ()).map_err(no_task)
    }

    pub(super) async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let call = self.client.send_task_failure().task_token(token);
        let sent = call.error(error).cause(cause).send().await;
        sent.map(|_| ()).map_err(no_task)
    }
}
