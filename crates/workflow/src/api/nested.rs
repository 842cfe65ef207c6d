//! `states:startExecution` as Task states call it: the same operation, with the members' names, errors and results of that integration.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::execution::{Order, check_json};
use super::{Api, uuid};
use crate::EngineError;
use crate::engine::{Status, Stored};
use crate::timers::timestamp;

/// What a task asks for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NestedOrder {
    state_machine_arn: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

impl NestedOrder {
    /// Reads a task's payload.
    pub(crate) fn read(payload: &str) -> Result<NestedOrder, String> {
        let payload = json::read_made(payload).map_err(|refused| format!("it is {refused}"))?;
        json::object_of(payload).map_err(|error| error.to_string())
    }
}

/// An execution that a task started, or found started by itself.
pub(crate) struct NestedExecution {
    /// The ARN by which [`Api::nested_end`] and [`Api::nested_stop`] find it.
    pub(crate) arn: String,
    /// What the service answers.
    pub(crate) accepted: Value,
}

/// The name and the cause of a task's error.
pub(crate) type NestedError = (String, String);

impl Api {
    /// Starts the execution. `own_name` is the name when the task gives none; `again` says that the task may have started it before.
    pub(crate) async fn nested_start(
        &self,
        order: &NestedOrder,
        own_name: &str,
        again: bool,
    ) -> Result<NestedExecution, NestedError> {
        let input = match &order.input {
            None => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => json::write(value),
        };
        let machine = &order.state_machine_arn;
        let machine = if machine.starts_with("arn:") {
            machine.clone()
        } else {
            self.engine.machine_arn(machine)
        };
        let order = Order {
            machine: &machine,
            name: Some(order.name.as_deref().unwrap_or(own_name)),
            input: &input,
        };
        let (arn, at) = self
            .nested_begin(order, again)
            .await
            .map_err(|error| named(&error))?;
        let mut accepted = json!({"ExecutionArn": arn, "StartDate": at.as_millisecond()});
        let (id, kind) = (uuid(), "application/x-amz-json-1.0");
        accepted["SdkHttpMetadata"] = json!({
            "AllHttpHeaders": {"x-amzn-RequestId": [id], "Content-Type": [kind]},
            "HttpHeaders": {"x-amzn-RequestId": id, "Content-Type": kind},
            "HttpStatusCode": 200,
        });
        accepted["SdkResponseMetadata"] = json!({"RequestId": id});
        Ok(NestedExecution { arn, accepted })
    }

    async fn nested_begin(
        &self,
        order: Order<'_>,
        again: bool,
    ) -> Result<(String, jiff::Timestamp), ApiError> {
        check_json(order.input).map_err(|told| {
            ApiError::new(
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{told}'"),
            )
        })?;
        let target = self.target(order.machine).await?;
        let name = order.name.map_or_else(uuid, str::to_owned);
        let machine = target.machine.name().clone();
        match self.begin(target, &name, order.input).await {
            Err(error) if again && error.is("ExecutionAlreadyExists") => {
                // It ended while nobody could hear of it.
                let row = self.engine.row(&name, &machine).await?;
                if &*row.input == order.input {
                    return Ok((self.execution_arn(&row), timestamp(row.started)));
                }
                Err(error)
            }
            other => other,
        }
    }

    /// Waits for the end: the task's result, or its error. `parsed` gives input and output as JSON instead of as texts.
    pub(crate) async fn nested_end(
        &self,
        arn: &str,
        parsed: bool,
    ) -> Result<Result<Value, NestedError>, EngineError> {
        let row = match self.stored(arn).await {
            Ok(row) => row,
            Err(error) => return Ok(Err(named(&error))),
        };
        self.engine.end(Some(&row.machine), &row.name).await?;
        let row = self.engine.row(&row.name, &row.machine).await?;
        let result = self.nested_result(&row, parsed);
        Ok(if row.status == Status::Succeeded {
            Ok(result)
        } else {
            Err(("States.TaskFailed".to_owned(), json::write(&result)))
        })
    }

    fn nested_result(&self, row: &Stored, parsed: bool) -> Value {
        let data = |text: &str| match parsed {
            true => json::read_made(text).unwrap_or_default(),
            false => Value::from(text),
        };
        let millis = |at: i64| json!(timestamp(at).as_millisecond());
        let mut result = json!({
            "ExecutionArn": self.execution_arn(row),
            "Input": data(&row.input),
            "InputDetails": {"Included": true},
            "Name": row.name,
            "RedriveCount": row.redrives,
            "RedriveStatus": if row.status == Status::Succeeded { "NOT_REDRIVABLE" } else { "REDRIVABLE" },
            "StartDate": millis(row.started),
            "StateMachineArn": self.arn(self.account_of(row), "stateMachine", &row.machine),
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

    /// Stops an execution whose task nobody waits for any more.
    pub(crate) async fn nested_stop(&self, arn: &str) {
        let stopped = match self.stored(arn).await {
            Ok(row) => self.engine.stop_stored(&row, None, None).await,
            Err(_) => return,
        };
        if let Err(error) = stopped {
            tracing::warn!(%error, arn, "a nested execution was not stopped");
        }
    }
}

/// An error as the integration names it.
fn named(error: &ApiError) -> NestedError {
    let (kind, message) = error.parts();
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
    (
        format!("StepFunctions.{name}Exception"),
        format!(
            "{message} (Service: AWSStepFunctions; Status Code: {status}; Error Code: {kind}; Request ID: {}; Proxy: null)",
            uuid()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::NestedOrder;

    #[test]
    fn an_order_is_an_object() {
        for (payload, taken) in [
            (r#"{"StateMachineArn": "m", "Input": [1]}"#, true),
            (r#"{"StateMachineArn": 1, "StateMachineArn": "m"}"#, true),
            (r#"["m", null, null]"#, false),
            (r#"["m"]"#, false),
            (r#""m""#, false),
            ("null", false),
            ("{}", false),
        ] {
            assert_eq!(NestedOrder::read(payload).is_ok(), taken, "{payload}");
        }
    }
}
