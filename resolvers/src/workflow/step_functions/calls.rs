//! The calls of the SDK, with their errors converted to the port's. Histories are read as the JSON
//! that the service sends, because the port returns them in this form.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sfn::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::{ExecutionRedriveStatus, ExecutionStatus};
use job::Time;
use parking_lot::Mutex;
use serde_json::Value;

use crate::aws::{CallFailed, bounded};
use crate::workflow::{Started, WorkflowError};

#[derive(Debug)]
pub(super) struct Calls(Client);

/// The result of `DescribeExecution`.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) started: Time,
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

/// An error that the caller does not handle separately. Its cause is in the log; its reason is for
/// clients of the API.
fn unavailable<E>(error: SdkError<E>) -> WorkflowError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let failed = CallFailed::new("the state machines", &error);
    failed.log();
    WorkflowError::Unavailable {
        reason: failed.outward().to_owned(),
        source: Some(Box::new(failed)),
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

impl Calls {
    pub(super) fn new(config: &SdkConfig) -> Calls {
        Calls(Client::new(&bounded(config)))
    }

    pub(super) async fn start(
        &self,
        machine: &str,
        name: &str,
        input: &str,
    ) -> Result<Started, WorkflowError> {
        let call = self.0.start_execution().state_machine_arn(machine);
        match call.name(name).input(input).send().await {
            Ok(_) => Ok(Started::New),
            Err(error) => match error.code() {
                Some("ExecutionAlreadyExists") => Ok(Started::Already),
                Some("StateMachineDoesNotExist" | "StateMachineDeleting") => {
                    Err(WorkflowError::UnknownType(machine.to_owned()))
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    /// The definition of a state machine; `None` if there is no such state machine.
    pub(super) async fn definition(&self, machine: &str) -> Result<Option<String>, WorkflowError> {
        let call = self.0.describe_state_machine().state_machine_arn(machine);
        match call.send().await {
            Ok(found) => Ok(Some(found.definition)),
            Err(error) if error.code() == Some("StateMachineDoesNotExist") => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn stop(
        &self,
        arn: &str,
        name: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let call = self.0.stop_execution().execution_arn(arn);
        match call.error(error).cause(cause).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => {
                Err(WorkflowError::UnknownExecution(name.to_owned()))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn redrive(&self, arn: &str, name: &str) -> Result<(), WorkflowError> {
        match self.0.redrive_execution().execution_arn(arn).send().await {
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
        match self.0.describe_execution().execution_arn(arn).send().await {
            Ok(found) => Ok(Some(Described {
                started: Time::from_millis(found.start_date.to_millis().unwrap_or_default()),
                // AWS reports the same for a running execution, and the description may be older
                // than the end.
                is_final: found.status != ExecutionStatus::Running
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
        let call = self
            .0
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
                return Err(WorkflowError::UnknownExecution(arn.to_owned()));
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
        let call = self.0.send_task_success().task_token(token).output(output);
        call.send().await.map(|_| ()).map_err(no_task)
    }

    pub(super) async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let call = self.0.send_task_failure().task_token(token);
        let sent = call.error(error).cause(cause).send().await;
        sent.map(|_| ()).map_err(no_task)
    }
}
