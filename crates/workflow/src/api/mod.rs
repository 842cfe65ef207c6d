//! The Step Functions API (AWS JSON 1.0): one operation per `X-Amz-Target`. Requests and responses only; what they mean is the engine's.

mod error;
mod execution;
mod machine;
mod task;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use self::error::ApiError;
use crate::Engine;
use crate::lambda::http::{Answer, collect};
use crate::runner::Runner;

/// Bytes of a request: a definition has 1 MiB, escaped in JSON.
pub(crate) const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// The API of one engine.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) runner: Runner,
}

type Reply = Result<Value, ApiError>;

impl Api {
    pub(crate) fn new(engine: Engine, runner: Runner) -> Api {
        Api { engine, runner }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let target = parts.headers.get("x-amz-target");
        let target = target.and_then(|value| value.to_str().ok());
        let Some(operation) = target.and_then(|target| target.strip_prefix("AWSStepFunctions."))
        else {
            return ApiError::unknown_operation("the header X-Amz-Target is missing").answer();
        };
        let Ok(body) = collect(body, REQUEST_BYTES).await else {
            return ApiError::new(
                "SerializationException",
                "the request is too large or broken",
            )
            .answer();
        };
        let parameters = match serde_json::from_slice::<Value>(&body) {
            Ok(parameters @ Value::Object(_)) => parameters,
            _ if body.is_empty() => json!({}),
            _ => return ApiError::new("SerializationException", "").answer(),
        };
        match self.operate(operation, &parameters).await {
            Ok(reply) => {
                let mut answer = Response::new(Full::new(Bytes::from(reply.to_string())));
                let json = HeaderValue::from_static("application/x-amz-json-1.0");
                answer.headers_mut().insert(CONTENT_TYPE, json);
                answer
            }
            Err(error) => error.answer(),
        }
    }

    async fn operate(&self, operation: &str, parameters: &Value) -> Reply {
        match operation {
            "StartExecution" => self.start_execution(parameters).await,
            "StopExecution" => self.stop_execution(parameters).await,
            "DescribeExecution" => self.describe_execution(parameters).await,
            "ListExecutions" => self.list_executions(parameters).await,
            "GetExecutionHistory" => self.get_execution_history(parameters).await,
            "RedriveExecution" => self.redrive_execution(parameters).await,
            "SendTaskSuccess" => self.send_task_success(parameters).await,
            "SendTaskFailure" => self.send_task_failure(parameters).await,
            "SendTaskHeartbeat" => self.send_task_heartbeat(parameters).await,
            "GetActivityTask" => self.get_activity_task(parameters).await,
            "ListStateMachines" => self.list_state_machines(parameters),
            "DescribeStateMachine" => self.describe_state_machine(parameters),
            "DescribeStateMachineForExecution" => {
                self.describe_state_machine_for_execution(parameters).await
            }
            "ValidateStateMachineDefinition" => validate(parameters),
            other => Err(ApiError::unknown_operation(&format!(
                "the embedded Step Functions has no operation `{other}`"
            ))),
        }
    }
}

fn validate(parameters: &Value) -> Reply {
    let definition = text(parameters, "definition")?;
    let diagnostics = asl::validate(definition);
    let failed = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == asl::Severity::Error);
    let diagnostics: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            json!({
                "severity": diagnostic.severity,
                "code": diagnostic.code,
                "location": diagnostic.location,
                "message": diagnostic.message,
            })
        })
        .collect();
    let result = if failed { "FAIL" } else { "OK" };
    Ok(json!({"result": result, "diagnostics": diagnostics, "truncated": false}))
}

/// A text that must be there.
fn text<'a>(parameters: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    parameters.get(name).and_then(Value::as_str).ok_or_else(|| {
        ApiError::validation(&format!(
            "Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn optional<'a>(parameters: &'a Value, name: &str) -> Option<&'a str> {
    parameters.get(name).and_then(Value::as_str)
}

/// Seconds since the Unix epoch with milliseconds, as AWS JSON writes times.
fn seconds(at: jiff::Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1_000.0)
}

/// How many a page may have: 0 is the most.
fn page(parameters: &Value, most: usize, usual: usize) -> Result<usize, ApiError> {
    match parameters.get("maxResults").and_then(Value::as_u64) {
        None | Some(0) => Ok(usual),
        Some(count) if count <= most as u64 => Ok(count as usize),
        Some(count) => Err(ApiError::validation(&format!(
            "Value '{count}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to {most}"
        ))),
    }
}

/// Position tokens of pages: opaque to callers.
fn page_token(position: u64) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(position.to_string())
}

fn position(parameters: &Value) -> Result<Option<u64>, ApiError> {
    use base64::Engine as _;
    let Some(token) = optional(parameters, "nextToken") else {
        return Ok(None);
    };
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            ApiError::new(
                "InvalidToken",
                &format!("Invalid Token: 'Invalid token: {token}'"),
            )
        })
}

fn status_of(kind: &str) -> StatusCode {
    match kind {
        "ServiceException" | "InternalServerError" => StatusCode::INTERNAL_SERVER_ERROR,
        "UnknownOperationException" => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    }
}
