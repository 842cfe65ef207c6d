//! Which resource is done by whom: Lambda functions by the host, activities by whoever polls, nested executions by the engine itself, the
//! rest by `services`. Anything else fails at once with an error that says so. It does no work itself.

use std::sync::Arc;

use asl::{Pattern, Resource};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use crate::activity::Activities;
use crate::engine::{EngineError, Started, Status};
use crate::lambda::{Caller, Host, Outcome};
use crate::services::{self, ServiceSettings, Services};
use crate::task::{Responder, TaskKey, TaskRequest, TaskRunner};

/// The runner of the server.
#[derive(Clone, Debug)]
pub struct Runner {
    lambda: Host,
    pub(crate) activities: Arc<Activities>,
    services: Services,
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
                    tokio::spawn(start_execution(request.clone(), responder, *pattern));
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
    }
}

/// A payload that the engine and the connection share.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn text(payload: &Bytes) -> Arc<str> {
    String::from_utf8_lossy(payload).into()
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
            Outcome::Success { payload, .. } => self.0.succeeded(text(&payload)),
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
    response.to_string().into()
}

impl Caller for Service {
    fn started(&self) {
        self.responder.started(None);
    }

    fn finished(self: Box<Self>, outcome: Outcome) {
        match outcome {
            Outcome::Success { payload, .. } => match serde_json::from_slice(&payload) {
                Ok(_) if self.waits && payload.is_empty() => {}
                Ok(payload) if self.waits => self.responder.submitted(response(payload, 200)),
                Ok(payload) => self.responder.succeeded(response(payload, 200)),
                Err(error) => self.responder.failed(
                    "States.Runtime",
                    format!("The function's response is not JSON: {error}"),
                ),
            },
            Outcome::Failed { error, payload, .. } => {
                self.responder
                    .failed(error, String::from_utf8_lossy(&payload));
            }
            Outcome::Refused { error, message } => self.responder.failed(error, message),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartParameters {
    state_machine_arn: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

/// `states:startExecution`, plain or waiting for the end. Done again after a crash it finds the execution that it started before.
async fn start_execution(request: TaskRequest, responder: Responder, pattern: Pattern) {
    let Some(engine) = responder.engine() else {
        return;
    };
    let parameters: StartParameters = match serde_json::from_str(&request.task.payload) {
        Ok(parameters) => parameters,
        Err(error) => {
            return responder.failed(
                "States.Runtime",
                format!("the parameters of states:startExecution cannot be read: {error}"),
            );
        }
    };
    let machine = parameters
        .state_machine_arn
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let own_name = parameters.name.is_none();
    let name = parameters.name.unwrap_or_else(|| nested_name(&request));
    let input: Arc<str> = match parameters.input {
        None => "{}".into(),
        Some(Value::String(text)) => text.into(),
        Some(value) => value.to_string().into(),
    };
    let started = engine.start(&machine, &name, input.clone()).await;
    let at = match started {
        Ok(Started::New(at)) => at,
        Ok(Started::Already(earlier))
            if own_name || (earlier.input == input && earlier.status == Status::Running) =>
        {
            earlier.started
        }
        Ok(Started::Already(_)) => {
            return responder.failed(
                "StepFunctions.ExecutionAlreadyExistsException",
                format!("Execution Already Exists: '{name}'"),
            );
        }
        Err(EngineError::UnknownMachine(_)) => {
            return responder.failed(
                "StepFunctions.StateMachineDoesNotExistException",
                format!(
                    "State Machine Does Not Exist: '{}'",
                    parameters.state_machine_arn
                ),
            );
        }
        Err(EngineError::Closed) => return,
        Err(error) => {
            return responder.failed("StepFunctions.AWSStepFunctionsException", error.to_string());
        }
    };
    responder.started(None);
    let arn = engine.execution_arn(&machine, &name);
    let submitted: Arc<str> = json!({"ExecutionArn": arn, "StartDate": at.as_millisecond()})
        .to_string()
        .into();
    match pattern {
        Pattern::RequestResponse => return responder.succeeded(submitted),
        Pattern::WaitForTaskToken => return responder.submitted(submitted),
        Pattern::Sync | Pattern::Sync2 => {}
    }
    let Ok(end) = engine.end(Some(&machine), &name).await else {
        return;
    };
    let value = |text: &str| match pattern {
        Pattern::Sync2 => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::from(text),
    };
    let mut result = json!({
        "ExecutionArn": arn,
        "Input": value(&input),
        "InputDetails": {"Included": true},
        "Name": name,
        "StartDate": at.as_millisecond(),
        "StateMachineArn": engine.machine_arn(&machine),
        "Status": end.status.name(),
        "StopDate": jiff::Timestamp::now().as_millisecond(),
    });
    if let Some(output) = &end.output {
        result["Output"] = value(output);
        result["OutputDetails"] = json!({"Included": true});
    }
    if let Some(error) = &end.error {
        result["Error"] = json!(error);
    }
    if let Some(cause) = &end.cause {
        result["Cause"] = json!(cause);
    }
    if end.status == Status::Succeeded {
        responder.succeeded(result.to_string().into());
    } else {
        responder.failed("States.TaskFailed", result.to_string());
    }
}

/// The same task attempt always names the same execution.
fn nested_name(request: &TaskRequest) -> String {
    let mut hash = Sha256::new();
    hash.update(request.machine.as_bytes());
    hash.update([0]);
    hash.update(request.execution.as_bytes());
    hash.update(request.key.execution.to_be_bytes());
    hash.update(request.key.task.0.to_be_bytes());
    let hash = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}
