//! Chooses the code that does the work of a resource: the Lambda host for functions, workers that
//! poll for activities, the engine itself for nested executions, and `services` for the rest. Any
//! other resource fails at once with an error that says so.

use std::fmt;
use std::sync::Arc;

use asl::{Pattern, Resource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(crate) use crate::activity::Activities;
use crate::ids;
use crate::lambda::invoke::{Asked, Mode, Nobody};
use crate::lambda::{Caller, Host, Outcome, function_name};
use crate::nested::Nested;
use crate::services::{ServiceSettings, Services};
use crate::task::{Responder, TaskKey, TaskRequest, TaskRunner};

/// Brings the payloads that a redriven execution gives to its tasks up to date: an execution keeps
/// its first input, including what was only valid then.
pub trait Refresh: Send + Sync + fmt::Debug {
    /// The payload of a task, given the execution's name and how often it was redriven (at least
    /// once). `None`: it is not changed.
    fn refresh(&self, execution: &str, redrives: u32, payload: &str) -> Option<Arc<str>>;
}

/// The runner of the server.
#[derive(Clone, Debug)]
pub struct Runner {
    lambda: Host,
    refresh: Option<Arc<dyn Refresh>>,
    pub(crate) activities: Arc<Activities>,
    pub(crate) services: Services,
    nested: Nested,
}

impl Runner {
    /// Runs functions on `lambda`; no other service is configured.
    #[must_use]
    pub fn new(lambda: Host) -> Runner {
        Runner::with_services(lambda, ServiceSettings::default())
    }

    /// Runs functions on `lambda` and calls services as configured.
    #[must_use]
    pub fn with_services(lambda: Host, services: ServiceSettings) -> Runner {
        Runner {
            lambda,
            refresh: None,
            activities: Arc::default(),
            services: Services::new(services),
            nested: Nested::default(),
        }
    }

    /// The same, with what brings the payloads of redriven executions up to date.
    #[must_use]
    pub fn with_refresh(self, refresh: Arc<dyn Refresh>) -> Runner {
        Runner {
            refresh: Some(refresh),
            ..self
        }
    }

    /// The Lambda host.
    #[must_use]
    pub fn lambda(&self) -> &Host {
        &self.lambda
    }
}

impl TaskRunner for Runner {
    fn run(&self, mut request: TaskRequest, responder: Responder) {
        if request.redrives > 0
            && let Some(refresh) = &self.refresh
            && let Some(payload) =
                refresh.refresh(&request.execution, request.redrives, &request.task.payload)
        {
            request.task.payload = payload;
        }
        let task = &request.task;
        match &task.resource {
            Resource::Lambda { function } => {
                let payload = Bytes::from_owner(Text(task.payload.clone()));
                let caller = Box::new(Plain(responder));
                self.lambda
                    .invoke(function, payload, Some(request.key), caller);
            }
            Resource::Activity { arn } => self.activities.schedule(arn, &request, responder),
            Resource::Service {
                service,
                action,
                pattern,
            } => match (service.as_str(), action.as_str()) {
                ("lambda", "invoke") => self.invoke(&request, responder, *pattern),
                ("states", "startExecution") => {
                    self.nested.start(request.clone(), responder, *pattern);
                }
                _ => self.services.run(&request, responder),
            },
        }
    }

    fn read_items(&self, request: asl::ReadItems, responder: Responder) {
        self.services.read_items(request, responder);
    }

    fn write_results(&self, request: asl::WriteResults, responder: Responder) {
        self.services.write_results(request, responder);
    }

    fn cancel(&self, key: TaskKey) {
        self.lambda.cancel(key);
        self.activities.cancel(key);
        self.services.cancel(key);
        self.nested.cancel(key);
    }
}

/// A payload that the engine and the connection share.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why a response is no result.
fn unreadable(refused: &json::Refused) -> String {
    format!("The function's response is {refused}")
}

/// A function named by its ARN: its response is the result.
#[derive(Debug)]
struct Plain(Responder);

impl Caller for Plain {
    fn started(&self) {
        self.0.started(None);
    }

    fn finished(self: Box<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Success { payload, .. } => match json::text(&payload) {
                Ok(payload) => self.0.succeeded(payload.into()),
                Err(refused) => self.0.failed("States.Runtime", unreadable(&refused)),
            },
            Outcome::Failed { error, payload, .. } => {
                self.0.failed(error, String::from_utf8_lossy(&payload));
            }
            Outcome::Refused { error, message } => self.0.failed(error, message),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InvokeParameters {
    function_name: String,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    invocation_type: Option<String>,
    #[serde(default)]
    qualifier: Option<String>,
    #[serde(default)]
    client_context: Option<String>,
    #[serde(default)]
    log_type: Option<String>,
}

impl Runner {
    /// `lambda:invoke`, plain or with a callback.
    fn invoke(&self, request: &TaskRequest, responder: Responder, pattern: Pattern) {
        let parameters: InvokeParameters = match json::object(&request.task.payload) {
            Ok(parameters) => parameters,
            Err(error) => {
                return responder.failed(
                    "States.Runtime",
                    format!("the parameters of lambda:invoke cannot be read: {error}"),
                );
            }
        };
        let asked = Asked {
            function: &parameters.function_name,
            qualifier: parameters.qualifier.as_deref(),
            client_context: parameters.client_context.as_deref(),
            log_type: parameters.log_type.as_deref(),
            invocation_type: parameters.invocation_type.as_deref(),
        };
        let (mode, extras) = match asked.check() {
            Ok(checked) => checked,
            Err((kind, message)) => {
                responder.started(None);
                return responder.failed(format!("Lambda.{kind}"), message);
            }
        };
        let function = &parameters.function_name;
        let payload = parameters.payload.map_or_else(
            || Bytes::from_static(b"{}"),
            |payload| Bytes::from(Box::<str>::from(payload).into_boxed_bytes()),
        );
        let waits = pattern == Pattern::WaitForTaskToken;
        if mode == Mode::RequestResponse {
            let tail = extras.as_ref().is_some_and(|extras| extras.tail);
            let caller = Box::new(Service {
                responder,
                waits,
                tail,
            });
            return self
                .lambda
                .invoke_with(function, payload, Some(request.key), extras, caller);
        }
        responder.started(None);
        if mode == Mode::DryRun
            && let Some(message) = self.lambda.lacks(function_name(function))
        {
            return responder.failed("Lambda.ResourceNotFoundException", message);
        }
        let status = if mode == Mode::Event { 202 } else { 204 };
        let output = response(None, status, None);
        if waits {
            responder.submitted(output);
        } else {
            responder.succeeded(output);
        }
        if mode == Mode::Event {
            self.lambda
                .invoke_with(function, payload, None, extras, Box::new(Nobody));
        }
    }
}

/// `lambda:invoke`: the response of the Invoke API is the result.
#[derive(Debug)]
struct Service {
    responder: Responder,
    waits: bool,
    /// The end of the function's output is part of the result.
    tail: bool,
}

/// The answer of the Invoke API, as Step Functions shows it; without a payload that of an
/// invocation that no caller waits for.
fn response(payload: Option<Value>, status: u16, log: Option<&[u8]>) -> Arc<str> {
    let id = ids::random();
    let mut response = json!({
        "ExecutedVersion": "$LATEST",
        "LogResult": log.map(|log| STANDARD.encode(log)),
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {"X-Amz-Executed-Version": ["$LATEST"], "x-amzn-RequestId": [id], "Content-Type": ["application/json"]},
            "HttpHeaders": {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": id},
            "HttpStatusCode": status,
        },
        "SdkResponseMetadata": {"RequestId": id},
        "StatusCode": status,
    });
    if let Some(fields) = response.as_object_mut() {
        if payload.is_none() {
            fields.shift_remove("ExecutedVersion");
            fields.shift_remove("Payload");
        }
        if log.is_none() {
            fields.shift_remove("LogResult");
        }
    }
    json::write(&response).into()
}

impl Caller for Service {
    fn started(&self) {
        self.responder.started(None);
    }

    fn finished(self: Box<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Success { payload, log } => match json::text(&payload).and_then(json::read) {
                Ok(payload) => {
                    let log = self.tail.then_some(&log[..]);
                    let output = response(Some(payload), 200, log);
                    if self.waits {
                        self.responder.submitted(output);
                    } else {
                        self.responder.succeeded(output);
                    }
                }
                Err(refused) => self
                    .responder
                    .failed("States.Runtime", unreadable(&refused)),
            },
            Outcome::Failed { error, payload, .. } => {
                self.responder
                    .failed(error, String::from_utf8_lossy(&payload));
            }
            Outcome::Refused { error, message } => self.responder.failed(error, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::InvokeParameters;

    #[test]
    fn the_parameters_of_a_function_are_an_object() {
        for (payload, taken) in [
            (r#"{"FunctionName": "f", "Payload": {"n": 1.50}}"#, true),
            (r#"{"FunctionName": "f"}"#, true),
            (r#"["f", {"n": 1}]"#, false),
            (r#"["f", null, null, null, null, null]"#, false),
            (r#""f""#, false),
        ] {
            let read = json::object::<InvokeParameters>(payload);
            assert_eq!(read.is_ok(), taken, "{payload}");
        }
        let payload = r#"{"FunctionName": "f", "Payload": {"n":  1.50}}"#;
        let read = json::object::<InvokeParameters>(payload).unwrap();
        assert_eq!(
            read.payload.unwrap().get(),
            r#"{"n":  1.50}"#,
            "as it is written"
        );
    }
}
