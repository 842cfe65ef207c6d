//! Executions: start, stop, describe, list, redrive.

use std::sync::Arc;

use asl::WorkflowType;
use serde_json::{Value, json};

use super::arn::{self, MachineArn, Qualifier};
use super::error::ApiError;
use super::shape::{ARN, CAUSE, DATA, ERROR, EXECUTIONS_PAGE_TOKEN, NAME, Shape};
use super::{Api, Call, Reply, numbered, page_token, seconds, stored_seconds, uuid, with_next};
use crate::alarm::timestamp;
use crate::engine::{Filter, Started, Status, Stored, is_name};
use crate::target::Target;

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

/// What is wrong with a text that should be JSON, in the words of AWS's parser where it can be said so shortly.
pub(super) fn check_json(text: &str) -> Result<(), String> {
    let Err(refused) = json::check(text) else {
        return Ok(());
    };
    let error = match refused.reason {
        json::Reason::Depth(_) | json::Reason::Range | json::Reason::Surrogate => None,
        _ => serde_json::from_str::<serde::de::IgnoredAny>(text).err(),
    };
    let Some(error) = error else {
        return Err(format!("the text is {refused}"));
    };
    if text.trim().is_empty() {
        return Err("Invalid execution input.".to_owned());
    }
    let at = offset(text, error.line(), error.column());
    let rest = text.get(at..).unwrap_or_default();
    let word = |from: &str| -> String {
        from.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '$')
            .collect()
    };
    // serde tells where it stopped: the word that is no JSON began before.
    let start = text[..at.min(text.len())]
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .map_or(0, |index| {
            index + text[index..].chars().next().map_or(1, char::len_utf8)
        });
    let begun = word(&text[start..]);
    let kind = error.to_string();
    if kind.starts_with("EOF") {
        return Err("Unexpected end-of-input".to_owned());
    }
    if kind.starts_with("key must be a string")
        && let Some(found) = rest.chars().next()
    {
        return Err(format!(
            "Unexpected character ('{found}' (code {})): was expecting double-quote to start field name",
            u32::from(found)
        ));
    }
    if begun.starts_with(char::is_alphabetic) {
        return Err(format!(
            "Unrecognized token '{begun}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
        ));
    }
    match rest.chars().next() {
        Some(found) => Err(format!(
            "Unexpected character ('{found}' (code {})): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' \
             or 'false')",
            u32::from(found)
        )),
        None => Err(kind),
    }
}

/// The byte that a line and a column name.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (begin + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The members that start an execution.
pub(super) struct Order<'a> {
    pub(super) machine: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) input: &'a str,
}

impl<'a> Order<'a> {
    pub(super) fn read(shape: &mut Shape<'a>) -> Result<Order<'a>, ApiError> {
        let machine = shape.arn("stateMachineArn");
        let name = shape.optional("name", NAME);
        let input = shape.secret("input", DATA).unwrap_or("{}");
        shape.optional("traceHeader", 0..=256);
        shape.check()?;
        if let Some(name) = name.filter(|name| !is_name(name)) {
            return Err(ApiError::invalid_name(name));
        }
        check_json(input).map_err(|told| {
            ApiError::new(
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{told}'"),
            )
        })?;
        Ok(Order {
            machine,
            name,
            input,
        })
    }
}

impl Api {
    /// The account in an execution's ARN.
    pub(super) fn account_of<'a>(&'a self, row: &'a Stored) -> &'a str {
        let own = &self.engine.settings().account;
        row.origin.account.as_deref().unwrap_or(own)
    }

    pub(super) fn execution_arn(&self, row: &Stored) -> String {
        let name = format!("{}:{}", row.machine, row.name);
        self.arn(self.account_of(row), "execution", &name)
    }

    /// The execution that an ARN names.
    pub(super) async fn stored(&self, arn: &str) -> Result<Stored, ApiError> {
        let (machine, name) = arn::execution(arn)?;
        self.engine
            .row(name, machine)
            .await
            .map_err(|error| match error {
                crate::EngineError::UnknownExecution(_) => ApiError::no_execution(arn),
                other => other.into(),
            })
    }

    pub(super) async fn start_execution(&self, call: &Call) -> Reply {
        let order = Order::read(&mut call.shape())?;
        let target = self.target(order.machine).await?;
        let name = order.name.map_or_else(uuid, str::to_owned);
        let (arn, at) = self.begin(target, &name, order.input).await?;
        Ok(json!({"executionArn": arn, "startDate": seconds(at)}))
    }

    /// Starts an execution: its ARN and when it began.
    pub(super) async fn begin(
        &self,
        target: Target,
        name: &str,
        input: &str,
    ) -> Result<(String, jiff::Timestamp), ApiError> {
        let row_name = match target.kind {
            WorkflowType::Standard => name.to_owned(),
            WorkflowType::Express => format!("{name}:{}", uuid()),
        };
        let arn = target.execution_arn(&self.engine, &row_name);
        let Target {
            machine,
            kind,
            origin,
            ..
        } = target;
        let started = self
            .engine
            .start_machine(machine, &row_name, input.into(), kind, origin)
            .await?;
        match started {
            Started::New(at) => Ok((arn, at)),
            Started::Already(earlier)
                if earlier.status == Status::Running && &*earlier.input == input =>
            {
                Ok((arn, earlier.started))
            }
            Started::Already(_) => Err(ApiError::new(
                "ExecutionAlreadyExists",
                format!("Execution Already Exists: '{arn}'"),
            )),
        }
    }

    pub(super) async fn stop_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let [error, cause] = [("error", ERROR), ("cause", CAUSE)]
            .map(|(at, limits)| shape.secret(at, limits).map(str::to_owned));
        shape.check()?;
        let row = self.stored(arn).await?;
        self.engine.stop_stored(&row, error, cause).await?;
        let row = self.stored(arn).await?;
        let stopped = row.stopped.map_or_else(jiff::Timestamp::now, timestamp);
        Ok(json!({"stopDate": seconds(stopped)}))
    }

    /// The version and the alias that an execution was started by.
    fn show_origin(&self, row: &Stored, shown: &mut Value) {
        let arn = self.arn(self.account_of(row), "stateMachine", &row.machine);
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
        let row = self.stored(arn).await?;
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

    /// The executions of a state machine, of one of its versions, or those that one of its aliases started.
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
        let row = self.stored(arn).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_told_in_the_parser_s_words() {
        for (text, want) in [
            ("{}", ""),
            ("2", ""),
            ("", "Invalid execution input."),
            (
                "not some json",
                "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
            (
                "{'not': 'json'",
                "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
            ),
            ("[1, ", "Unexpected end-of-input"),
            (
                "{\"a\": nul}",
                "Unrecognized token 'nul': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
        ] {
            let told = check_json(text).err().unwrap_or_default();
            assert_eq!(told, want, "{text}");
        }
    }
}
