//! Executions: start, stop, describe, list, history, redrive.

use serde_json::{Value, json};

use super::error::ApiError;
use super::{Api, Reply, optional, page, page_token, position, seconds, text};
use crate::alarm::timestamp;
use crate::engine::{Started, Status, Stored};

/// The state machine and the name in an execution's ARN.
pub(super) fn parse_arn(arn: &str) -> Result<(&str, &str), ApiError> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "states", _, _, "execution", machine, name] => Ok((machine, name)),
        _ => Err(ApiError::new(
            "InvalidArn",
            &format!(
                "Invalid Arn: 'Resource type not valid in this context: {}'",
                parts.get(5).unwrap_or(&"")
            ),
        )),
    }
}

impl Api {
    pub(super) async fn stored(&self, parameters: &Value) -> Result<Stored, ApiError> {
        let arn = text(parameters, "executionArn")?;
        let (machine, name) = parse_arn(arn)?;
        self.engine
            .row(name, machine)
            .await
            .map_err(|error| match error {
                crate::EngineError::UnknownExecution(_) => ApiError::new(
                    "ExecutionDoesNotExist",
                    &format!("Execution Does Not Exist: '{arn}'"),
                ),
                other => other.into(),
            })
    }

    pub(super) async fn start_execution(&self, parameters: &Value) -> Reply {
        let arn = text(parameters, "stateMachineArn")?;
        let machine = self.machine(arn)?;
        let input = optional(parameters, "input").unwrap_or("{}");
        let name = optional(parameters, "name").map_or_else(
            || {
                uuid::Builder::from_random_bytes(rand::random())
                    .into_uuid()
                    .to_string()
            },
            str::to_owned,
        );
        let arn = self.engine.execution_arn(machine.name(), &name);
        let started = self
            .engine
            .start(machine.name(), &name, input.into())
            .await?;
        let at = match started {
            Started::New(at) => at,
            Started::Already(earlier)
                if earlier.status == Status::Running && &*earlier.input == input =>
            {
                earlier.started
            }
            Started::Already(_) => {
                return Err(ApiError::new(
                    "ExecutionAlreadyExists",
                    &format!("Execution Already Exists: '{arn}'"),
                ));
            }
        };
        Ok(json!({"executionArn": arn, "startDate": seconds(at)}))
    }

    pub(super) async fn stop_execution(&self, parameters: &Value) -> Reply {
        let row = self.stored(parameters).await?;
        let [error, cause] =
            ["error", "cause"].map(|name| optional(parameters, name).map(str::to_owned));
        self.engine.stop_stored(&row, error, cause).await?;
        let row = self.stored(parameters).await?;
        let stopped = row.stopped.map_or_else(jiff::Timestamp::now, timestamp);
        Ok(json!({"stopDate": seconds(stopped)}))
    }

    pub(super) async fn describe_execution(&self, parameters: &Value) -> Reply {
        let row = self.stored(parameters).await?;
        let mut reply = json!({
            "executionArn": self.engine.execution_arn(&row.machine, &row.name),
            "stateMachineArn": self.engine.machine_arn(&row.machine),
            "name": row.name,
            "status": row.status.name(),
            "startDate": seconds(timestamp(row.started)),
            "input": row.input,
            "inputDetails": {"included": true},
            "redriveCount": row.redrives,
        });
        if let Some(stopped) = row.stopped {
            reply["stopDate"] = seconds(timestamp(stopped));
        }
        if let Some(output) = &row.output {
            reply["output"] = json!(output);
            reply["outputDetails"] = json!({"included": true});
        }
        if let Some(error) = &row.error {
            reply["error"] = json!(error);
        }
        if let Some(cause) = &row.cause {
            reply["cause"] = json!(cause);
        }
        let why_not = match row.status {
            Status::Running => Some("Execution is RUNNING and cannot be redriven"),
            Status::Succeeded => Some("Execution is SUCCEEDED and cannot be redriven"),
            _ => None,
        };
        let redrive = if why_not.is_none() {
            "REDRIVABLE"
        } else {
            "NOT_REDRIVABLE"
        };
        reply["redriveStatus"] = json!(redrive);
        if let Some(reason) = why_not {
            reply["redriveStatusReason"] = json!(reason);
        }
        Ok(reply)
    }

    pub(super) async fn list_executions(&self, parameters: &Value) -> Reply {
        let machine = self.machine(text(parameters, "stateMachineArn")?)?;
        let status = match optional(parameters, "statusFilter") {
            None => None,
            Some("RUNNING") => Some(Status::Running),
            Some("SUCCEEDED") => Some(Status::Succeeded),
            Some("FAILED") => Some(Status::Failed),
            Some("TIMED_OUT") => Some(Status::TimedOut),
            Some("ABORTED") => Some(Status::Aborted),
            Some("PENDING_REDRIVE") => return Ok(json!({"executions": []})),
            Some(other) => {
                return Err(ApiError::validation(&format!(
                    "Value '{other}' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: [PENDING_REDRIVE, \
                     SUCCEEDED, ABORTED, FAILED, TIMED_OUT, RUNNING]"
                )));
            }
        };
        let limit = page(parameters, 1_000, 100)?;
        let before = position(parameters)?.map(|before| before.cast_signed());
        let listed = self
            .engine
            .list(Some(machine.name()), status, before, limit)
            .await?;
        let next = (listed.len() == limit)
            .then(|| {
                listed
                    .last()
                    .map(|last| page_token(last.id.cast_unsigned()))
            })
            .flatten();
        let executions: Vec<Value> = listed
            .iter()
            .map(|one| {
                let mut line = json!({
                    "executionArn": self.engine.execution_arn(&one.machine, &one.name),
                    "stateMachineArn": self.engine.machine_arn(&one.machine),
                    "name": one.name,
                    "status": one.status.name(),
                    "startDate": seconds(one.started),
                    "redriveCount": 0,
                });
                if let Some(stopped) = one.stopped {
                    line["stopDate"] = seconds(stopped);
                }
                line
            })
            .collect();
        let mut reply = json!({"executions": executions});
        if let Some(next) = next {
            reply["nextToken"] = json!(next);
        }
        Ok(reply)
    }

    pub(super) async fn get_execution_history(&self, parameters: &Value) -> Reply {
        let row = self.stored(parameters).await?;
        let limit = page(parameters, 1_000, 100)?;
        let reverse = parameters.get("reverseOrder") == Some(&Value::Bool(true));
        let at = position(parameters)?;
        let (mut events, next) = if reverse {
            let all = self.whole_history(&row).await?;
            let before = at.unwrap_or(u64::MAX);
            let page: Vec<Value> = all
                .into_iter()
                .rev()
                .filter(|event| event["id"].as_u64().is_some_and(|id| id < before))
                .take(limit)
                .collect();
            let last = page.last().and_then(|event| event["id"].as_u64());
            (page, last.filter(|last| *last > 1))
        } else {
            let history = self.engine.history_of(&row, at.unwrap_or(0), limit).await?;
            (history.events, history.next)
        };
        if parameters.get("includeExecutionData") == Some(&Value::Bool(false)) {
            events.iter_mut().for_each(without_data);
        }
        let mut reply = json!({"events": events});
        if let Some(next) = next {
            reply["nextToken"] = json!(page_token(next));
        }
        Ok(reply)
    }

    async fn whole_history(&self, row: &Stored) -> Result<Vec<Value>, ApiError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.engine.history_of(row, after, 1_000).await?;
            all.extend(page.events);
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }

    pub(super) async fn redrive_execution(&self, parameters: &Value) -> Reply {
        let row = self.stored(parameters).await?;
        self.engine.redrive_stored(&row).await?;
        Ok(json!({"redriveDate": seconds(jiff::Timestamp::now())}))
    }
}

/// Removes inputs and outputs from an event's details.
fn without_data(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else {
        return;
    };
    for details in fields.values_mut().filter_map(Value::as_object_mut) {
        for name in ["input", "output", "parameters", "cause"] {
            details.shift_remove(name);
        }
    }
}
