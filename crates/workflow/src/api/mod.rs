//! The Step Functions API (AWS JSON 1.0): one operation per `X-Amz-Target`. Only requests and
//! responses are here: executions are in the engine, and created resources are in the catalog.
//!
//! State machines of the directory are here beside those that the API created; only their files
//! change them. Requests are not authenticated. A caller whose access key is a twelve-digit number
//! works under that account, as with other emulators; names are unique over all accounts.

mod activity;
mod alias;
mod configuration;
mod definition;
mod error;
mod execution;
mod express;
mod history;
mod machine;
mod map_run;
mod shape;
mod tag;
mod task;
mod test_state;
mod variables;
mod version;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use self::error::ApiError;
use self::shape::Shape;
use crate::Engine;
use crate::catalog::{MachineRecord, Tables};
use crate::ids;
use crate::lambda::http::{Answer, collect};
use crate::runner::Runner;
use crate::timers::now;

/// Bytes of a request: a definition has 1 MiB, escaped in JSON.
pub(crate) const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// The API of one engine.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) runner: Runner,
}

/// A request.
#[derive(Debug)]
struct Call {
    parameters: Value,
    /// The account that new ARNs have.
    account: String,
}

impl Call {
    fn shape(&self) -> Shape<'_> {
        Shape::of(&self.parameters)
    }
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
        let account = account_of(&parts).unwrap_or_else(|| self.engine.settings().account.clone());
        let Ok(body) = collect(body, REQUEST_BYTES).await else {
            return ApiError::new(
                "SerializationException",
                "the request is too large or broken",
            )
            .answer();
        };
        let parameters = match json::text(&body).and_then(json::read) {
            Ok(parameters @ Value::Object(_)) => parameters,
            _ if body.is_empty() => json!({}),
            Ok(_) => {
                let message = "the request's body must be a JSON object";
                return ApiError::new("SerializationException", message).answer();
            }
            Err(refused) => {
                let message = format!("the request's body is {refused}");
                return ApiError::new("SerializationException", message).answer();
            }
        };
        let call = Call {
            parameters,
            account,
        };
        match self.operate(operation, &call).await {
            Ok(reply) => {
                let mut answer = Response::new(Full::new(Bytes::from(reply.to_string())));
                let json = HeaderValue::from_static("application/x-amz-json-1.0");
                answer.headers_mut().insert(CONTENT_TYPE, json);
                answer
            }
            Err(error) => error.answer(),
        }
    }

    async fn operate(&self, operation: &str, call: &Call) -> Reply {
        match operation {
            "CreateActivity" => self.create_activity(call).await,
            "CreateStateMachine" => self.create_state_machine(call).await,
            "CreateStateMachineAlias" => self.create_state_machine_alias(call).await,
            "DeleteActivity" => self.delete_activity(call).await,
            "DeleteStateMachine" => self.delete_state_machine(call).await,
            "DeleteStateMachineAlias" => self.delete_state_machine_alias(call).await,
            "DeleteStateMachineVersion" => self.delete_state_machine_version(call).await,
            "DescribeActivity" => self.describe_activity(call).await,
            "DescribeExecution" => self.describe_execution(call).await,
            "DescribeMapRun" => self.describe_map_run(call).await,
            "DescribeStateMachine" => self.describe_state_machine(call).await,
            "DescribeStateMachineAlias" => self.describe_state_machine_alias(call).await,
            "DescribeStateMachineForExecution" => {
                self.describe_state_machine_for_execution(call).await
            }
            "GetActivityTask" => self.get_activity_task(call).await,
            "GetExecutionHistory" => self.get_execution_history(call).await,
            "ListActivities" => self.list_activities(call).await,
            "ListExecutions" => self.list_executions(call).await,
            "ListMapRuns" => self.list_map_runs(call).await,
            "ListStateMachineAliases" => self.list_state_machine_aliases(call).await,
            "ListStateMachineVersions" => self.list_state_machine_versions(call).await,
            "ListStateMachines" => self.list_state_machines(call).await,
            "ListTagsForResource" => self.list_tags_for_resource(call).await,
            "PublishStateMachineVersion" => self.publish_state_machine_version(call).await,
            "RedriveExecution" => self.redrive_execution(call).await,
            "SendTaskFailure" => self.send_task_failure(call).await,
            "SendTaskHeartbeat" => self.send_task_heartbeat(call).await,
            "SendTaskSuccess" => self.send_task_success(call).await,
            "StartExecution" => self.start_execution(call).await,
            "StartSyncExecution" => self.start_sync_execution(call).await,
            "StopExecution" => self.stop_execution(call).await,
            "TagResource" => self.tag_resource(call).await,
            "TestState" => self.test_state(call).await,
            "UntagResource" => self.untag_resource(call).await,
            "UpdateMapRun" => self.update_map_run(call).await,
            "UpdateStateMachine" => self.update_state_machine(call).await,
            "UpdateStateMachineAlias" => self.update_state_machine_alias(call).await,
            "ValidateStateMachineDefinition" => definition::validate(call),
            other => Err(ApiError::unknown_operation(&format!(
                "the embedded Step Functions has no operation `{other}`"
            ))),
        }
    }

    /// Looks into the catalog.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(Tables<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let read = self
            .engine
            .database()
            .read_row(move |connection| look(Tables(connection)));
        Ok(read.await?)
    }

    /// Changes the catalog: all of `change`, or nothing of it.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(Tables<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let written = self
            .engine
            .database()
            .write(move |write| change(Tables(write.connection())));
        Ok(written.await?)
    }

    /// An ARN of a resource of the service.
    fn arn(&self, account: &str, kind: &str, name: &str) -> String {
        self.engine.settings().scope(account).states(kind, name)
    }
}

/// The account that the request's access key names.
fn account_of(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let key = header.split_once("Credential=")?.1.split('/').next()?;
    let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| key.to_owned())
}

/// Seconds since the Unix epoch with milliseconds, as AWS JSON writes times.
fn seconds(at: jiff::Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1_000.0)
}

/// As [`seconds`], of a time as the tables hold it.
fn stored_seconds(at: i64) -> Value {
    seconds(crate::timers::timestamp(at))
}

fn uuid() -> String {
    ids::random().to_string()
}

/// The token of the page that follows a position: opaque to callers.
fn page_token(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(position)
}

/// The position of a page's token.
fn position(token: Option<&str>) -> Result<Option<String>, ApiError> {
    token
        .map(|token| {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok();
            bytes
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(ApiError::invalid_token)
        })
        .transpose()
}

/// As [`position`], a number.
fn numbered(token: Option<&str>) -> Result<Option<i64>, ApiError> {
    position(token)?
        .map(|position| position.parse().map_err(|_| ApiError::invalid_token()))
        .transpose()
}

/// Sets the token when there is another page.
fn with_next(mut reply: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        reply["nextToken"] = json!(next);
    }
    reply
}

/// A state machine of the catalog.
fn required(tables: &Tables<'_>, name: &str, arn: &str) -> Result<MachineRecord, ApiError> {
    tables
        .machine(name)?
        .ok_or_else(|| ApiError::no_machine(arn))
}
