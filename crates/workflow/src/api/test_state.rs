//! `TestState`: one state, tried alone. What its fields make of the data is `asl`'s; a Task without
//! a mock is really done.

use asl::{Before, Diagnostic, Outcome, Resource, Start, Trial, TrialStatus, WorkflowType};
use serde_json::{Map, Value, json};

use super::definition;
use super::error::ApiError;
use super::shape::{ARN, CAUSE, DATA, DEFINITION, ERROR, NAME, Shape};
use super::{Api, Call, Reply, uuid};
use crate::arn;
use crate::engine::{Origin, Started, Status};
use crate::services::Exchange;
use crate::start::check_input;

const TRACE: &str = "TRACE";
const LEVELS: &[&str] = &["INFO", "DEBUG", TRACE];
const MODES: &[&str] = &["PRESENT", "STRICT", "NONE"];

/// The state machine that a Task without a mock is run in.
const MACHINE: &str = "TestState";

/// The members of a request.
struct Order<'a> {
    definition: &'a str,
    role: Option<&'a str>,
    input: &'a str,
    level: &'a str,
    reveal: bool,
    name: Option<&'a str>,
    variables: Option<&'a str>,
    context: Option<&'a str>,
    mock: Option<Mock<'a>>,
    retries: Option<i64>,
    caused_by: Option<&'a str>,
    failures: Option<i64>,
    items: Option<&'a str>,
}

#[derive(Default)]
struct Mock<'a> {
    result: Option<&'a str>,
    error: Option<(Option<&'a str>, Option<&'a str>)>,
}

impl<'a> Order<'a> {
    fn read(mut shape: Shape<'a>) -> Result<Order<'a>, ApiError> {
        let mut order = Order {
            definition: shape.text("definition", DEFINITION),
            role: shape.optional("roleArn", ARN),
            input: shape.secret("input", DATA).unwrap_or("{}"),
            level: shape.word("inspectionLevel", LEVELS).unwrap_or("INFO"),
            reveal: shape.flag("revealSecrets").unwrap_or(false),
            name: shape.optional("stateName", NAME),
            variables: shape.secret("variables", DATA),
            context: shape.secret("context", DATA),
            mock: None,
            retries: None,
            caused_by: None,
            failures: None,
            items: None,
        };
        if let Some(given) = shape.structure("mock") {
            let mut mock = Mock::default();
            shape.within("mock", given, |inner| {
                mock.result = inner.secret("result", DATA);
                inner.word("fieldValidationMode", MODES);
                let error = inner.structure("errorOutput");
                mock.error = error.map(|members| {
                    let (mut error, mut cause) = (None, None);
                    inner.within("errorOutput", members, |inner| {
                        error = inner.secret("error", ERROR);
                        cause = inner.secret("cause", CAUSE);
                    });
                    (error, cause)
                });
            });
            order.mock = Some(mock);
        }
        if let Some(given) = shape.structure("stateConfiguration") {
            shape.within("stateConfiguration", given, |inner| {
                order.retries = inner.number("retrierRetryCount", 0..=i64::from(u32::MAX));
                order.caused_by = inner.optional("errorCausedByState", NAME);
                order.failures = inner.number("mapIterationFailureCount", 0..=i64::MAX);
                order.items = inner.secret("mapItemReaderData", DATA);
            });
        }
        shape.check()?;
        Ok(order)
    }

    /// What only a mock makes sense of, and what none does.
    fn check(&self) -> Result<(), ApiError> {
        let Some(mock) = &self.mock else {
            let given = [
                ("RetrierRetryCount", self.retries.is_some()),
                ("ErrorCausedByState", self.caused_by.is_some()),
                ("MapIterationFailureCount", self.failures.is_some()),
                ("MapItemReaderData", self.items.is_some()),
            ];
            return match given.iter().find(|(_, given)| *given) {
                None => Ok(()),
                Some((what, _)) => Err(ApiError::invalid(format!(
                    "TestState does not support {what} when a mock is not specified."
                ))),
            };
        };
        if self.reveal {
            return Err(ApiError::invalid(
                "TestState does not support RevealSecrets when a mock is specified.",
            ));
        }
        if mock.result.is_some() == mock.error.is_some() {
            return Err(ApiError::invalid(
                "A mock must have exactly one of result and errorOutput.",
            ));
        }
        Ok(())
    }

    fn outcome(&self) -> Result<Option<Outcome>, ApiError> {
        let Some(mock) = &self.mock else {
            return Ok(None);
        };
        if let Some((error, cause)) = mock.error {
            return Ok(Some(Outcome::Error {
                error: error.map(str::to_owned),
                cause: cause.map(str::to_owned),
            }));
        }
        let text = mock.result.unwrap_or("null");
        let result = json::read(text).map_err(|refused| {
            let message = "Mocked result must be valid JSON.";
            ApiError::invalid(format!("{message} It is {refused}"))
        })?;
        Ok(Some(Outcome::Result(result)))
    }
}

impl Api {
    pub(super) async fn test_state(&self, call: &Call) -> Reply {
        let order = Order::read(call.shape())?;
        order.check()?;
        check_input(order.input)?;
        let before = Before {
            variables: object("variables", order.variables)?,
            context: Value::Null,
            retries: order
                .retries
                .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            failures: order.failures.map(i64::unsigned_abs),
            items: items(order.items)?,
        };
        let (machine, name) = (uuid(), uuid());
        let scope = self.engine.settings().scope(&call.account);
        let start = Start {
            execution_arn: scope.execution(WorkflowType::Express, &machine, &name),
            execution_name: name,
            role_arn: order.role.unwrap_or_default().to_owned(),
            state_machine_arn: scope.machine(&machine),
            state_machine_name: machine,
            start_time: jiff::Timestamp::now(),
            input: order.input.into(),
            kind: WorkflowType::Express,
            seed: rand::random(),
        };
        let trial = trial(&order, start.clone(), before.clone())?;
        let outcome = order.outcome()?;
        check_type(&order, &trial, outcome.as_ref())?;
        let context = match order.context {
            None => usual_context(&start, &trial, order.role, before.retries),
            Some(text) => given_context(text, &trial)?,
        };
        let trial = self::trial(&order, start, Before { context, ..before })?;
        let mut exchange = Exchange::default();
        let outcome = match outcome {
            Some(outcome) => Some(outcome),
            None => match trial.request() {
                Ok(Some((resource, payload))) => {
                    let services = &self.runner.services;
                    if order.reveal && services.hides(&resource) {
                        return Err(ApiError::secrets_hidden());
                    }
                    match services.exchange(&resource, &payload, order.reveal).await {
                        Some((result, seen)) => {
                            exchange = seen;
                            Some(outcome_of(result))
                        }
                        None => Some(self.really(&resource, &payload).await?),
                    }
                }
                Ok(None) => None,
                Err(tried) => return Ok(shown(*tried, order.level)),
            },
        };
        let mut reply = shown(trial.run(outcome), order.level);
        if order.level == TRACE {
            let seen = [
                ("request", exchange.request),
                ("response", exchange.response),
            ];
            for (name, seen) in seen
                .into_iter()
                .filter_map(|(name, seen)| Some((name, seen?)))
            {
                reply["inspectionData"][name] = seen;
            }
        }
        Ok(reply)
    }

    /// Does a Task for real: an execution of this one state.
    async fn really(&self, resource: &Resource, payload: &str) -> Result<Outcome, ApiError> {
        let name = match resource {
            Resource::Lambda { function } => function.clone(),
            Resource::Service { .. } => arn::integration(resource),
            _ => {
                return Err(ApiError::invalid(
                    "TestState does not support activities when a mock is not specified.",
                ));
            }
        };
        let state = json!({"Type": "Task", "Resource": name, "End": true});
        let machine = json!({"StartAt": "StateName", "States": {"StateName": state}}).to_string();
        definition::parse(&machine, WorkflowType::Express)?;
        let machine = self.engine.machine_of(MACHINE, machine.into())?;
        let name = format!("{}:{}", uuid(), uuid());
        let started = self
            .engine
            .start_machine(
                machine,
                &name,
                payload.into(),
                WorkflowType::Express,
                Origin::default(),
            )
            .await?;
        debug_assert!(matches!(started, Started::New(_)), "the name is new");
        let end = self.engine.end(Some(MACHINE), &name).await?;
        Ok(match end.output {
            Some(output) => Outcome::Result(json::read_made(&output).unwrap_or_default()),
            None if end.status == Status::TimedOut => Outcome::Error {
                error: Some("States.Timeout".to_owned()),
                cause: None,
            },
            None => Outcome::Error {
                error: end.error,
                cause: end.cause,
            },
        })
    }
}

fn outcome_of(result: Result<Value, (String, String)>) -> Outcome {
    match result {
        Ok(result) => Outcome::Result(result),
        Err((error, cause)) => Outcome::Error {
            error: Some(error),
            cause: Some(cause),
        },
    }
}

fn trial(order: &Order<'_>, start: Start, before: Before) -> Result<Trial, ApiError> {
    let failed = |problems: Vec<Diagnostic>| definition::refused(&problems, order.definition);
    let found = Trial::new(order.definition, order.name, start, before).map_err(failed)?;
    found.ok_or_else(|| {
        let name = order.name.unwrap_or_default();
        ApiError::invalid(format!(
            "State '{name}' does not exist in the state machine definition"
        ))
    })
}

/// What the type of the state allows.
fn check_type(order: &Order<'_>, trial: &Trial, outcome: Option<&Outcome>) -> Result<(), ApiError> {
    let kind = trial.kind();
    let Some(outcome) = outcome else {
        return match kind {
            "Map" | "Parallel" => Err(ApiError::new(
                "InvalidDefinition",
                "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, \
                 Choice]",
            )),
            "Task" if order.role.is_none() => Err(ApiError::invalid(
                "RoleArn must be specified when testing a Task state",
            )),
            _ => Ok(()),
        };
    };
    if !matches!(kind, "Task" | "Map" | "Parallel") {
        return Err(ApiError::invalid(format!(
            "State type '{kind}' is not supported when a mock is specified"
        )));
    }
    let listed = kind == "Parallel" || (kind == "Map" && !trial.has_writer());
    if let (Outcome::Result(result), true) = (outcome, listed) {
        let Some(items) = result.as_array() else {
            return Err(ApiError::invalid("Mocked result must be an array."));
        };
        if trial.branches().is_some_and(|count| count != items.len()) {
            return Err(ApiError::invalid(
                "Mocked result must contain the same number of items as number of Parallel branches.",
            ));
        }
    }
    let iterations = trial.iterations();
    if let (Some(failures), Some(count)) = (order.failures, iterations)
        && usize::try_from(failures).is_ok_and(|failures| failures > count)
    {
        return Err(ApiError::invalid(
            "Map iteration failure count must be less than or equal to the number of Map iterations",
        ));
    }
    if order.items.is_some() && !trial.has_reader() {
        return Err(ApiError::invalid(
            "MapItemReaderData is only supported for a Map state with an ItemReader",
        ));
    }
    Ok(())
}

fn object(what: &str, text: Option<&str>) -> Result<Map<String, Value>, ApiError> {
    let Some(text) = text else {
        return Ok(Map::new());
    };
    match json::read(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(ApiError::invalid(format!(
            "The {what} must be a JSON object"
        ))),
    }
}

fn items(text: Option<&str>) -> Result<Option<Vec<Value>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match json::read(text) {
        Ok(Value::Array(items)) => Ok(Some(items)),
        _ => Err(ApiError::invalid(
            "MapItemReaderData must be a JSON array of the items",
        )),
    }
}

/// The context object of a request that gives none.
fn usual_context(start: &Start, trial: &Trial, role: Option<&str>, retries: u32) -> Value {
    let at = format!("{:.3}", start.start_time);
    let mut context = json!({
        "Execution": {
            "Id": start.execution_arn,
            "Input": json::read(&start.input).unwrap_or_default(),
            "Name": start.execution_name,
            "RoleArn": role,
            "StartTime": at,
        },
        "StateMachine": {"Id": start.state_machine_arn, "Name": start.state_machine_name},
        "State": {"Name": "StateName", "EnteredTime": at},
    });
    if matches!(trial.kind(), "Task" | "Map" | "Parallel") {
        context["State"]["RetryCount"] = json!(retries);
    }
    if trial.has_token() {
        context["Task"] = json!({"Token": uuid()});
    }
    context
}

/// Fields of a context object that a request may give, with their types.
const CONTEXT: &[(&str, &[(&str, &str)])] = &[
    (
        "Execution",
        &[
            ("Id", "a string"),
            ("Input", ""),
            ("Name", "a string"),
            ("RoleArn", "a string"),
            ("StartTime", "a string"),
            ("RedriveCount", "a number"),
            ("RedriveTime", "a string"),
        ],
    ),
    (
        "State",
        &[
            ("EnteredTime", "a string"),
            ("Name", "a string"),
            ("RetryCount", "a number"),
        ],
    ),
    ("StateMachine", &[("Id", "a string"), ("Name", "a string")]),
    ("Task", &[("Token", "a string")]),
];

fn given_context(text: &str, trial: &Trial) -> Result<Value, ApiError> {
    let wrong =
        |what: String| ApiError::invalid(format!("Invalid Context object provided: {what}"));
    let context = json::read(text).map_err(|_| wrong("it must be valid JSON".to_owned()))?;
    let Some(fields) = context.as_object() else {
        return Err(wrong("it must be a JSON object".to_owned()));
    };
    for (field, value) in fields {
        let Some((_, inner)) = CONTEXT.iter().find(|(known, _)| known == field) else {
            return Err(wrong(format!(
                "'{field}' field is not supported when mocking a Context object"
            )));
        };
        let Some(members) = value.as_object() else {
            return Err(wrong(format!("{field} must be an object")));
        };
        for (member, value) in members {
            let known = inner.iter().find(|(known, _)| known == member);
            let Some((_, wanted)) = known else {
                return Err(wrong(format!(
                    "'{field}.{member}' field is not supported when mocking a Context object"
                )));
            };
            let fits = match *wanted {
                "a string" => value.is_string(),
                "a number" => value.is_number(),
                _ => true,
            };
            if !fits {
                return Err(wrong(format!("{field}.{member} must be {wanted}")));
            }
        }
    }
    if fields.contains_key("Task") && !trial.has_token() {
        return Err(wrong(
            "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern"
                .to_owned(),
        ));
    }
    Ok(context)
}

fn shown(tried: asl::Tried, level: &str) -> Value {
    let status = match tried.status {
        TrialStatus::Succeeded => "SUCCEEDED",
        TrialStatus::Failed => "FAILED",
        TrialStatus::Retriable => "RETRIABLE",
        TrialStatus::CaughtError => "CAUGHT_ERROR",
    };
    let mut reply = json!({"status": status});
    let texts = [
        ("output", tried.output.as_deref()),
        ("error", tried.error.as_deref()),
        ("cause", tried.cause.as_deref()),
        ("nextState", tried.next.as_deref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            reply[name] = json!(text);
        }
    }
    if level != "INFO" {
        reply["inspectionData"] = Value::Object(tried.inspection);
    }
    reply
}
