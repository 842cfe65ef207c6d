//! Which resource is done by whom: Lambda functions by the host, activities by whoever polls, nested executions by the engine itself, the
//! rest by `services`. Anything else fails at once with an error that says so. It does no work itself.

use std::sync::Arc;

use asl::{Pattern, Resource};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(crate) use crate::activity::Activities;
use crate::lambda::{Caller, Host, Outcome};
use crate::nested::Nested;
use crate::services::{self, ServiceSettings, Services};
use crate::task::{Responder, TaskKey, TaskRequest, TaskRunner};

/// The runner of the server.
#[derive(Clone, Debug)]
pub struct Runner {
    lambda: Host,
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
            activities: Arc::default(),
            services: Services::new(services),
            nested: Nested::default(),
        }
    }

    /// The Lambda host.
    #[must_use]
    pub fn lambda(&self) -> &Host {
        &self.lambda
    }
}

/// Whether this runner does a resource.
pub(crate) fn supports(resource: &Resource) -> bool {
    match resource {
        Resource::Lambda { .. } | Resource::Activity { .. } => true,
        Resource::Service {
            service,
            action,
            pattern,
        } => match (service.as_str(), action.as_str()) {
            ("lambda", "invoke") => {
                matches!(
                    pattern,
                    Pattern::RequestResponse | Pattern::WaitForTaskToken
                )
            }
            ("states", "startExecution") => true,
            _ => services::knows(resource),
        },
    }
}

impl TaskRunner for Runner {
    fn run(&self, request: TaskRequest, responder: Responder) {
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
                    self.nested
                        .start(self.clone(), request.clone(), responder, *pattern);
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

/// What a function answered, as text; the engine reads it.
fn text(payload: &Bytes) -> Result<Arc<str>, json::Refused> {
    json::text(payload).map(Arc::from)
}

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
            Outcome::Success { payload, .. } => match text(&payload) {
                Ok(text) => self.0.succeeded(text),
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
struct InvokeParameters<'a> {
    function_name: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    invocation_type: Option<String>,
}

impl Runner {
    /// `lambda:invoke`, plain or with a callback.
    fn invoke(&self, request: &TaskRequest, responder: Responder, pattern: Pattern) {
        let parameters: InvokeParameters<'_> = match serde_json::from_str(&request.task.payload) {
            Ok(parameters) => parameters,
            Err(error) => {
                return responder.failed(
                    "States.Runtime",
                    format!("the parameters of lambda:invoke cannot be read: {error}"),
                );
            }
        };
        let payload = parameters.payload.map_or("{}", RawValue::get);
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let event = parameters.invocation_type.as_deref() == Some("Event");
        let waits = pattern == Pattern::WaitForTaskToken;
        if event {
            responder.started(None);
            let output = response(json!({}), 202);
            if waits {
                responder.submitted(output);
            } else {
                responder.succeeded(output);
            }
            self.lambda
                .invoke(&parameters.function_name, payload, None, Box::new(Unheard));
            return;
        }
        let caller = Box::new(Service { responder, waits });
        self.lambda.invoke(
            &parameters.function_name,
            payload,
            Some(request.key),
            caller,
        );
    }
}

#[derive(Debug)]
struct Unheard;

impl Caller for Unheard {
    fn finished(self: Box<Self>, _: Outcome) {}
}

/// `lambda:invoke`: the response of the Invoke API is the result.
#[derive(Debug)]
struct Service {
    responder: Responder,
    waits: bool,
}

fn response(payload: Value, status: u16) -> Arc<str> {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut response = json!({
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {"X-Amz-Executed-Version": ["$LATEST"], "x-amzn-RequestId": [id], "Content-Type": ["application/json"]},
            "HttpHeaders": {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": id},
            "HttpStatusCode": status,
        },
        "SdkResponseMetadata": {"RequestId": id},
        "StatusCode": status,
    });
    if status == 202
        && let Some(fields) = response.as_object_mut()
    {
        fields.shift_remove("ExecutedVersion");
        fields.shift_remove("Payload");
    }
    json::write(&response).into()
}

impl Caller for Service {
    fn started(&self) {
        self.responder.started(None);
    }

    fn finished(self: Box<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Success { payload, .. } => match json::text(&payload).and_then(json::read) {
                Ok(_) if self.waits && payload.is_empty() => {}
                Ok(payload) if self.waits => self.responder.submitted(response(payload, 200)),
                Ok(payload) => self.responder.succeeded(response(payload, 200)),
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
