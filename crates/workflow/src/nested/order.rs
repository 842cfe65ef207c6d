//! `states:startExecution` as a Task state calls it: the start of an execution, with the members'
//! names, errors and results of that integration.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::arn::ArnError;
use crate::engine::{Status, Stored};
use crate::start::{StartError, StartRequest, StartedExecution, check_input};
use crate::timers::timestamp;
use crate::{Engine, EngineError, ids};

/// What a task asks for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NestedRequest {
    state_machine_arn: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

impl NestedRequest {
    /// Reads a task's payload.
    pub(super) fn read(payload: &str) -> Result<NestedRequest, String> {
        let payload = json::read_made(payload).map_err(|refused| format!("it is {refused}"))?;
        json::object_of(payload).map_err(|error| error.to_string())
    }
}

/// An execution that a task started, or found started by itself.
pub(super) struct NestedExecution {
    /// The ARN by which [`Api::end`] and [`Api::stop`] find it.
    pub(super) arn: String,
    /// What the service answers.
    pub(super) accepted: Value,
}

/// The name and the cause of a task's error.
pub(super) type NestedError = (String, String);

/// The executions that tasks start, of one engine.
#[derive(Debug)]
pub(super) struct NestedExecutions(pub(super) Engine);

impl NestedExecutions {
    /// Starts the execution. `own_name` is the name when the task gives none; `again` says that the
    /// task may have started it before.
    pub(super) async fn start(
        &self,
        request: &NestedRequest,
        own_name: &str,
        again: bool,
    ) -> Result<NestedExecution, NestedError> {
        let input = match &request.input {
            None => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => json::write(value),
        };
        let machine = &request.state_machine_arn;
        let machine = if machine.starts_with("arn:") {
            machine.clone()
        } else {
            self.0.machine_arn(machine)
        };
        let request = StartRequest {
            machine: &machine,
            name: Some(request.name.as_deref().unwrap_or(own_name)),
            input: &input,
        };
        let StartedExecution { arn, at } = self
            .begin(request, again)
            .await
            .map_err(|error| named(&error))?;
        let mut accepted = json!({"ExecutionArn": arn, "StartDate": at.as_millisecond()});
        let (id, kind) = (ids::random(), "application/x-amz-json-1.0");
        accepted["SdkHttpMetadata"] = json!({
            "AllHttpHeaders": {"x-amzn-RequestId": [id], "Content-Type": [kind]},
            "HttpHeaders": {"x-amzn-RequestId": id, "Content-Type": kind},
            "HttpStatusCode": 200,
        });
        accepted["SdkResponseMetadata"] = json!({"RequestId": id});
        Ok(NestedExecution { arn, accepted })
    }

    async fn begin(
        &self,
        request: StartRequest<'_>,
        again: bool,
    ) -> Result<StartedExecution, StartError> {
        check_input(request.input)?;
        let target = self.0.target(request.machine).await?;
        let name = request
            .name
            .map_or_else(|| ids::random().to_string(), str::to_owned);
        let machine = target.machine.name().clone();
        match self.0.start_target(target, &name, request.input).await {
            Err(error @ StartError::AlreadyExists(_)) if again => {
                // It ended while no task waited for it.
                let row = self.0.row(&name, &machine).await?;
                if &*row.input == request.input {
                    return Ok(StartedExecution {
                        arn: self.0.stored_arn(&row),
                        at: timestamp(row.started),
                    });
                }
                Err(error)
            }
            other => other,
        }
    }

    /// Waits for the end: the task's result, or its error. `parsed` gives input and output as JSON
    /// instead of as texts.
    pub(super) async fn end(
        &self,
        arn: &str,
        parsed: bool,
    ) -> Result<Result<Value, NestedError>, EngineError> {
        let row = match self.0.stored(arn).await {
            Ok(row) => row,
            Err(error) => return Ok(Err(named(&error))),
        };
        self.0.end(Some(&row.machine), &row.name).await?;
        let row = self.0.row(&row.name, &row.machine).await?;
        let result = self.result(&row, parsed);
        Ok(if row.status == Status::Succeeded {
            Ok(result)
        } else {
            Err(("States.TaskFailed".to_owned(), json::write(&result)))
        })
    }

    fn result(&self, row: &Stored, parsed: bool) -> Value {
        let data = |text: &str| match parsed {
            true => json::read_made(text).unwrap_or_default(),
            false => Value::from(text),
        };
        let millis = |at: i64| json!(timestamp(at).as_millisecond());
        let mut result = json!({
            "ExecutionArn": self.0.stored_arn(row),
            "Input": data(&row.input),
            "InputDetails": {"Included": true},
            "Name": row.name,
            "RedriveCount": row.redrives,
            "RedriveStatus": if row.status == Status::Succeeded { "NOT_REDRIVABLE" } else { "REDRIVABLE" },
            "StartDate": millis(row.started),
            "StateMachineArn": self.0.stored_machine_arn(row),
            "Status": row.status.name(),
        });
        if row.status == Status::Succeeded {
            result["RedriveStatusReason"] = json!("Execution is SUCCEEDED and cannot be redriven");
        }
        if let Some(stopped) = row.stopped {
            result["StopDate"] = millis(stopped);
        }
        if let Some(output) = &row.output {
            result["Output"] = data(output);
            result["OutputDetails"] = json!({"Included": true});
        }
        if let Some(error) = &row.error {
            result["Error"] = json!(error);
        }
        if let Some(cause) = &row.cause {
            result["Cause"] = json!(cause);
        }
        result
    }

    /// Stops an execution whose task is no longer waited for.
    pub(super) async fn stop(&self, arn: &str) {
        let stopped = match self.0.stored(arn).await {
            Ok(row) => self.0.stop_stored(&row, None, None).await,
            Err(_) => return,
        };
        if let Err(error) = stopped {
            tracing::warn!(%error, arn, "a nested execution was not stopped");
        }
    }
}

/// An error as the integration names it.
fn named(error: &StartError) -> NestedError {
    let (kind, message) = match error {
        StartError::Arn(ArnError::Invalid(_)) => ("InvalidArn", error.to_string()),
        StartError::Arn(ArnError::NoMachine(_)) => ("StateMachineDoesNotExist", error.to_string()),
        StartError::Arn(ArnError::NoExecution(_)) => ("ExecutionDoesNotExist", error.to_string()),
        StartError::InvalidName(_) => ("InvalidName", error.to_string()),
        StartError::InvalidInput(_) => ("InvalidExecutionInput", error.to_string()),
        StartError::AlreadyExists(_) => ("ExecutionAlreadyExists", error.to_string()),
        StartError::Engine(error) => error.in_api(),
    };
    let name = match kind {
        "ExecutionAlreadyExists"
        | "ExecutionLimitExceeded"
        | "InvalidArn"
        | "InvalidExecutionInput"
        | "InvalidName"
        | "StateMachineDeleting"
        | "StateMachineDoesNotExist" => kind,
        _ => "AWSStepFunctions",
    };
    let status = if kind == "ServiceException" { 500 } else { 400 };
    let id = ids::random();
    (
        format!("StepFunctions.{name}Exception"),
        format!(
            "{message} (Service: AWSStepFunctions; Status Code: {status}; Error Code: {kind}; Request ID: {id}; Proxy: null)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::NestedRequest;

    #[test]
    fn a_nested_request_is_an_object() {
        for (payload, taken) in [
            (r#"{"StateMachineArn": "m", "Input": [1]}"#, true),
            (r#"{"StateMachineArn": 1, "StateMachineArn": "m"}"#, true),
            (r#"["m", null, null]"#, false),
            (r#"["m"]"#, false),
            (r#""m""#, false),
            ("null", false),
            ("{}", false),
        ] {
            assert_eq!(NestedRequest::read(payload).is_ok(), taken, "{payload}");
        }
    }
}
