//! EventBridge: the events of executions, and rules that choose among events. Pure.

use serde_json::{Value, json};

use crate::pattern::Pattern;
use crate::scope::Scope;
use crate::time;

/// Maximum bytes of an event's input and output; more is left out.
pub const DATA_BYTES: usize = 248 * 1024;

/// What an execution's event says.
#[derive(Clone, Debug)]
pub struct ExecutionFacts<'a> {
    /// The state machine's name.
    pub machine: &'a str,
    /// The execution's name.
    pub name: &'a str,
    /// AWS's word: `RUNNING`, `SUCCEEDED`, …
    pub status: &'a str,
    /// When it started, in milliseconds since the Unix epoch.
    pub started: i64,
    /// When it ended.
    pub stopped: Option<i64>,
    /// Its input, JSON.
    pub input: &'a str,
    /// Its output, JSON.
    pub output: Option<&'a str>,
    /// The error's name.
    pub error: Option<&'a str>,
    /// The error's text.
    pub cause: Option<&'a str>,
    /// How often it was redriven.
    pub redrives: u32,
    /// When it was last redriven.
    pub redriven: Option<i64>,
    /// Whether it can be redriven.
    pub is_redrivable: bool,
}

/// An event on the bus.
#[must_use]
pub fn event(
    scope: &Scope,
    id: &str,
    now: i64,
    source: &str,
    detail_type: &str,
    resources: &[String],
    detail: Value,
) -> Value {
    json!({
        "version": "0",
        "id": id,
        "detail-type": detail_type,
        "source": source,
        "account": scope.account,
        "time": time::seconds(now),
        "region": scope.region,
        "resources": resources,
        "detail": detail,
    })
}

/// The event "Step Functions Execution Status Change".
#[must_use]
pub fn execution_event(scope: &Scope, id: &str, now: i64, facts: &ExecutionFacts<'_>) -> Value {
    let arn = scope.execution(facts.machine, facts.name);
    let output_bytes = facts.output.map_or(0, str::len);
    let included = facts.input.len() + output_bytes <= DATA_BYTES;
    let details = json!({ "included": included });
    let reason = (!facts.is_redrivable)
        .then(|| format!("Execution is {} and cannot be redriven", facts.status));
    let detail = json!({
        "executionArn": arn,
        "stateMachineArn": scope.machine(facts.machine),
        "stateMachineVersionArn": null,
        "stateMachineAliasArn": null,
        "name": facts.name,
        "status": facts.status,
        "startDate": facts.started,
        "stopDate": facts.stopped,
        "input": included.then_some(facts.input),
        "output": facts.output.filter(|_| included),
        "inputDetails": details,
        "outputDetails": facts.output.map(|_| details.clone()),
        "error": facts.error,
        "cause": facts.cause,
        "redriveCount": facts.redrives,
        "redriveDate": facts.redriven,
        "redriveStatus": if facts.is_redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" },
        "redriveStatusReason": reason,
    });
    let kind = "Step Functions Execution Status Change";
    event(scope, id, now, "aws.states", kind, &[arn], detail)
}

/// A rule: events that match go to a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Which events.
    pub pattern: Pattern,
    /// The function.
    pub function: String,
}
