//! Executions: start, stop, describe, list, redrive.

use std::sync::Arc;

use asl::WorkflowType;
use serde_json::{Value, json};

use super::error::ApiError;
use super::shape::{ARN, CAUSE, DATA, ERROR, EXECUTIONS_PAGE_TOKEN, NAME, Shape};
use super::{Api, Call, Reply, numbered, page_token, seconds, stored_seconds, uuid, with_next};
use crate::arn::{MachineArn, Qualifier};
use crate::engine::{Filter, Status, Stored};
use crate::start::StartRequest;
use crate::timers::timestamp;

/// The filter of executions that wait for a redrive of their own: there are none here.
const PENDING: &str = "PENDING_REDRIVE";
const STATUSES: &[&str] = &[
    PENDING,
    "SUCCEEDED",
    "ABORTED",
    "FAILED",
    "TIMED_OUT",
    "RUNNING",
];

/// The input of an execution, and what it ended with, as far as it did.
pub(super) fn show_data(
    shown: &mut Value,
    input: &str,
    output: &Option<Arc<str>>,
    error: &Option<String>,
    cause: &Option<String>,
) {
    shown["input"] = json!(input);
    shown["inputDetails"] = json!({"included": true});
    if let Some(output) = output {
        shown["output"] = json!(output);
        shown["outputDetails"] = json!({"included": true});
    }
    if let Some(error) = error {
        shown["error"] = json!(error);
    }
    if let Some(cause) = cause {
        shown["cause"] = json!(cause);
    }
}

fn status_of(word: &str) -> Option<Status> {
    [
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::TimedOut,
        Status::Aborted,
    ]
    .into_iter()
    .find(|status| status.name() == word)
}

/// Reads the members of a request that starts an execution.
///
/// # Errors
/// The request does not have the required shape, or the name or the input is invalid.
pub(super) fn start_request<'a>(shape: &mut Shape<'a>) -> Result<StartRequest<'a>, ApiError> {
    let machine = shape.arn("stateMachineArn");
    let name = shape.optional("name", NAME);
    let input = shape.secret("input", DATA).unwrap_or("{}");
    shape.optional("traceHeader", 0..=256);
    shape.check()?;
    let request = StartRequest {
        machine,
        name,
        input,
    };
    request.check()?;
    Ok(request)
}

impl Api {
    pub(super) fn execution_arn(&self, row: &Stored) -> String {
        self.engine.stored_arn(row)
    }

    pub(super) async fn start_execution(&self, call: &Call) -> Reply {
        let request = start_request(&mut call.shape())?;
        let target = self.engine.target(request.machine).await?;
        let name = request.name.map_or_else(uuid, str::to_owned);
        let begun = self
            .engine
            .start_target(target, &name, request.input)
            .await?;
        Ok(json!({"executionArn": begun.arn, "startDate": seconds(begun.at)}))
    }

    pub(super) async fn stop_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let [error, cause] = [("error", ERROR), ("cause", CAUSE)]
            .map(|(at, limits)| shape.secret(at, limits).map(str::to_owned));
        shape.check()?;
        let row = self.engine.stored(arn).await?;
        self.engine.stop_stored(&row, error, cause).await?;
        let row = self.engine.stored(arn).await?;
        let stopped = row.stopped.map_or_else(jiff::Timestamp::now, timestamp);
        Ok(json!({"stopDate": seconds(stopped)}))
    }

    /// The version and the alias that an execution was started by.
    fn show_origin(&self, row: &Stored, shown: &mut Value) {
        let arn = self.engine.stored_machine_arn(row);
        if let Some(version) = row.origin.version {
            shown["stateMachineVersionArn"] = json!(format!("{arn}:{version}"));
        }
        if let Some(alias) = &row.origin.alias {
            shown["stateMachineAliasArn"] = json!(format!("{arn}:{alias}"));
        }
        shown["stateMachineArn"] = json!(arn);
    }

    pub(super) async fn describe_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let included = shape.word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
        shape.check()?;
        let row = self.engine.stored(arn).await?;
        let with_data = included != Some("METADATA_ONLY");
        let mut reply = json!({
            "executionArn": self.execution_arn(&row),
            "name": row.name,
            "status": row.status.name(),
            "startDate": stored_seconds(row.started),
            "redriveCount": row.redrives,
        });
        self.show_origin(&row, &mut reply);
        if let Some(stopped) = row.stopped {
            reply["stopDate"] = stored_seconds(stopped);
        }
        if let Some(redriven) = self.redriven(&row).await? {
            reply["redriveDate"] = redriven;
        }
        if with_data {
            show_data(&mut reply, &row.input, &row.output, &row.error, &row.cause);
        }
        let why_not = match row.status {
            Status::Running => Some("Execution is RUNNING and cannot be redriven"),
            Status::Succeeded => Some("Execution is SUCCEEDED and cannot be redriven"),
            _ => None,
        };
        reply["redriveStatus"] = json!(match why_not {
            None => "REDRIVABLE",
            Some(_) => "NOT_REDRIVABLE",
        });
        if let Some(reason) = why_not {
            reply["redriveStatusReason"] = json!(reason);
        }
        Ok(reply)
    }

    pub(super) async fn list_executions(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let machine = shape.optional("stateMachineArn", ARN);
        let map_run = shape.optional("mapRunArn", 1..=2_000);
        let status = shape.word("statusFilter", STATUSES);
        let redriven = shape.word("redriveFilter", &["REDRIVEN", "NOT_REDRIVEN"]);
        let limit = shape.page();
        let token = shape.optional("nextToken", EXECUTIONS_PAGE_TOKEN);
        shape.check()?;
        let before = numbered(token)?;
        let redriven = redriven.map(|word| word == "REDRIVEN");
        let arn = match (machine, map_run) {
            (Some(arn), None) => arn,
            (None, Some(arn)) => {
                return self
                    .list_children(arn, status, redriven, limit, before)
                    .await;
            }
            _ => {
                return Err(ApiError::invalid(
                    "Must specify exactly one of stateMachineArn and mapRunArn",
                ));
            }
        };
        let filter = self.filter(arn).await?;
        if status == Some(PENDING) {
            return Ok(json!({"executions": []}));
        }
        let filter = Filter {
            status: status.and_then(status_of),
            redriven,
            ..filter
        };
        let mut rows = self.engine.rows(filter, before, limit + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| page_token(&row.id.to_string()));
        let executions: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut line = json!({
                    "executionArn": self.execution_arn(row),
                    "name": row.name,
                    "status": row.status.name(),
                    "startDate": stored_seconds(row.started),
                    "redriveCount": row.redrives,
                });
                self.show_origin(row, &mut line);
                if let Some(stopped) = row.stopped {
                    line["stopDate"] = stored_seconds(stopped);
                }
                line
            })
            .collect();
        Ok(with_next(json!({"executions": executions}), next))
    }

    /// The executions of a state machine, of one of its versions, or those that one of its aliases
    /// started.
    async fn filter(&self, arn: &str) -> Result<Filter, ApiError> {
        let parsed = MachineArn::parse(arn)?;
        let machine = Some(parsed.name.to_owned());
        if self.engine.machines().get(parsed.name).is_some() {
            return match parsed.qualifier {
                None => Ok(Filter {
                    machine,
                    ..Filter::default()
                }),
                Some(_) => Err(ApiError::no_machine(arn)),
            };
        }
        let (name, whole) = (parsed.name.to_owned(), arn.to_owned());
        let (version, alias) = match parsed.qualifier {
            None => (None, None),
            Some(Qualifier::Version(number)) => (Some(number), None),
            Some(Qualifier::Alias(alias)) => (None, Some(alias.to_owned())),
        };
        let wanted = alias.clone();
        self.read(move |tables| {
            let none = || ApiError::no_machine(&whole);
            let record = tables.machine(&name)?.ok_or_else(none)?;
            if record.kind == WorkflowType::Express {
                return Err(ApiError::wrong_type());
            }
            if let Some(number) = version {
                tables.version(&name, number)?.ok_or_else(none)?;
            }
            if let Some(alias) = &wanted {
                tables.alias(&name, alias)?.ok_or_else(none)?;
            }
            Ok(())
        })
        .await?;
        Ok(Filter {
            machine,
            version,
            alias,
            ..Filter::default()
        })
    }

    pub(super) async fn redrive_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        shape.optional("clientToken", 1..=64);
        shape.check()?;
        let row = self.engine.stored(arn).await?;
        self.engine.redrive_stored(&row).await?;
        Ok(json!({"redriveDate": seconds(jiff::Timestamp::now())}))
    }

    /// When an execution was last redriven.
    async fn redriven(&self, row: &Stored) -> Result<Option<Value>, ApiError> {
        if row.redrives == 0 {
            return Ok(None);
        }
        let history = self.whole_history(row).await?;
        let last = history
            .into_iter()
            .rev()
            .find(|event| event["type"] == "ExecutionRedriven");
        Ok(last.map(|mut event| event["timestamp"].take()))
    }
}
