//! Which action a request is, and errors in the form of each service.

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::inner::Bytes;
use crate::faults::Fault;

/// A service behind the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    DynamoDb,
    Streams,
    StepFunctions,
    Sqs,
    Lambda,
    Events,
}

/// An action as IAM names it, such as `dynamodb:PutItem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) service: Service,
    /// The operation alone.
    pub(super) operation: String,
    pub(super) name: String,
}

impl Action {
    /// The action of a request; `None` when it is of no service.
    pub(super) fn of(parts: &Parts) -> Option<Action> {
        let target = parts.headers.get("x-amz-target");
        let Some(target) = target.and_then(|value| value.to_str().ok()) else {
            return lambda(&parts.method, parts.uri.path());
        };
        let (service, operation) = target.split_once('.')?;
        let (service, prefix) = match service {
            "DynamoDB_20120810" => (Service::DynamoDb, "dynamodb"),
            "DynamoDBStreams_20120810" => (Service::Streams, "dynamodb"),
            "AWSStepFunctions" => (Service::StepFunctions, "states"),
            "AmazonSQS" => (Service::Sqs, "sqs"),
            "AWSEvents" => (Service::Events, "events"),
            _ => return None,
        };
        Some(Action {
            service,
            operation: operation.to_owned(),
            name: format!("{prefix}:{operation}"),
        })
    }

    /// The answer of a fault that refuses.
    pub(super) fn refusal(&self, fault: &Fault) -> Option<Response<Bytes>> {
        let (status, code, message) = match fault {
            Fault::Throttle => {
                let status = if self.service == Service::Lambda {
                    429
                } else {
                    400
                };
                (status, self.throttled(), "Rate exceeded".to_owned())
            }
            Fault::Deny => (
                if self.service == Service::Lambda {
                    403
                } else {
                    400
                },
                "AccessDeniedException",
                format!(
                    "User: arn:aws:sts::000000000000:assumed-role/localcloud/session is not \
                     authorized to perform: {} because no identity-based policy allows the {} \
                     action",
                    self.name, self.name
                ),
            ),
            Fault::Refuse {
                status,
                code,
                message,
            } => (*status, *code, message.clone()),
            _ => return None,
        };
        Some(error(self.service, status, code, &message))
    }

    fn throttled(&self) -> &'static str {
        match self.service {
            Service::DynamoDb if self.operation.contains("Table") => "ThrottlingException",
            Service::DynamoDb => "ProvisionedThroughputExceededException",
            Service::Streams => "LimitExceededException",
            Service::StepFunctions | Service::Events => "ThrottlingException",
            Service::Sqs => "RequestThrottled",
            Service::Lambda => "TooManyRequestsException",
        }
    }
}

fn lambda(method: &Method, path: &str) -> Option<Action> {
    let rest = path.strip_prefix("/2015-03-31/")?;
    let operation = if rest.starts_with("functions/") && rest.ends_with("/invocations") {
        "InvokeFunction"
    } else {
        let id = rest
            .strip_prefix("event-source-mappings")?
            .trim_matches('/');
        match (method, id.is_empty()) {
            (&Method::POST, true) => "CreateEventSourceMapping",
            (&Method::GET, true) => "ListEventSourceMappings",
            (&Method::GET, false) => "GetEventSourceMapping",
            (&Method::PUT, false) => "UpdateEventSourceMapping",
            (&Method::DELETE, false) => "DeleteEventSourceMapping",
            _ => return None,
        }
    };
    Some(Action {
        service: Service::Lambda,
        operation: operation.to_owned(),
        name: format!("lambda:{operation}"),
    })
}

/// An error in a service's form.
pub(super) fn error(service: Service, status: u16, code: &str, message: &str) -> Response<Bytes> {
    let namespace = match service {
        Service::DynamoDb | Service::Streams => "com.amazonaws.dynamodb.v20120810#",
        Service::Sqs => "com.amazonaws.sqs#",
        Service::StepFunctions | Service::Lambda | Service::Events => "",
    };
    let body = json!({"__type": format!("{namespace}{code}"), "message": message});
    let mut answer = json_answer(status, &body);
    let headers = answer.headers_mut();
    if let Ok(value) = HeaderValue::from_str(code) {
        headers.insert("x-amzn-errortype", value);
    }
    if service == Service::Sqs
        && let Ok(value) = HeaderValue::from_str(&format!("{code};Sender"))
    {
        headers.insert("x-amzn-query-error", value);
    }
    answer
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let json = HeaderValue::from_static("application/x-amz-json-1.0");
    answer.headers_mut().insert("content-type", json);
    answer
}
