//! The wrapper around a handler. It gives the handler a typed input and a job handle. A panic, an
//! invalid input or a failure becomes a named Lambda error. The last report is sent before the
//! response. `lambda_runtime` polls for the events.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, Service, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::client::Client;
use crate::error::Failure;
use crate::job::Job;

/// The error name for a panic in a handler.
pub const PANIC_ERROR: &str = "Panic";

/// A handler without its types: from the event to the output, as JSON text. The runtime is compiled
/// for this type once, not once for each handler of a program.
type AnyHandler = dyn Fn(Value, Client) -> Invocation + Send + Sync;

/// One invocation of a handler.
type Invocation = Pin<Box<dyn Future<Output = Result<Box<RawValue>, Failure>> + Send>>;

/// The variables that `lambda_runtime` reads from the environment before its first event.
const REQUIRED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// Serves invocations of `handler` until the Lambda host ends. The crate's documentation has an
/// example.
///
/// # Errors
/// A missing variable of the environment (the error names it), or the end of the Runtime API: the
/// process should end.
pub async fn run<I, O, E, H, R>(handler: H) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
    E: Into<Failure> + Send + 'static,
    H: Fn(I, Job) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
{
    let handler = Arc::new(handler);
    serve(Arc::new(move |event, client| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let output = invoke(&*handler, client, event).await?;
            to_raw_value(&output).map_err(|error| {
                let message = format!("the output cannot be written as JSON: {error}");
                Failure::new("InvalidOutput", message)
            })
        })
    }))
    .await
}

/// Serves invocations until the Lambda host ends.
async fn serve(handler: Arc<AnyHandler>) -> Result<(), lambda_runtime::Error> {
    let missing: Vec<_> = REQUIRED
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(format!(
            "this is a Lambda function: a Lambda host starts it and sets {missing}; name it in a [functions] \
             section of the configuration, or give it to AWS Lambda"
        )
        .into());
    }
    if let Some(address) = std::env::var("AWS_LAMBDA_RUNTIME_API")
        .ok()
        .as_deref()
        .and_then(with_scheme)
    {
        return Err(start_again(&address));
    }
    let client = Client::new();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let running = handler(event.payload, client.clone());
        async move { running.await.map_err(Diagnostic::from) }
    }))
    .await
}

/// A local host serves many functions and distinguishes them by a path: `127.0.0.1:9001/resize`.
/// The runtime client of Rust accepts a path only after a scheme (others, such as Python's, accept
/// no scheme), and it reads the variable itself.
fn with_scheme(address: &str) -> Option<String> {
    (address.contains('/') && !address.contains("://")).then(|| format!("http://{address}"))
}

/// Replaces this process by the same program with the address in the form that the runtime client
/// accepts. The process id stays the same. Returns only on failure. (A process cannot change its
/// own environment safely while threads run.)
#[cfg(unix)]
fn start_again(address: &str) -> lambda_runtime::Error {
    use std::os::unix::process::CommandExt;
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let mut command = std::process::Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .exec()
        .into()
}

#[cfg(not(unix))]
fn start_again(address: &str) -> lambda_runtime::Error {
    format!("set AWS_LAMBDA_RUNTIME_API to {address}: an address with a path needs its scheme here")
        .into()
}

/// `handler` as a service for `lambda_runtime::run`, or for a test that calls it directly.
///
/// The input is deserialized from the whole event. An input type with a field `job` therefore sees
/// the raw object too.
pub fn service<I, O, E, H, R>(
    handler: H,
) -> impl Service<LambdaEvent<Value>, Response = O, Error = Diagnostic, Future: Send> + Send
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
    E: Into<Failure> + Send + 'static,
    H: Fn(I, Job) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, E>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let client = Client::new();
    service_fn(move |event: LambdaEvent<Value>| {
        let (handler, client) = (Arc::clone(&handler), client.clone());
        async move {
            invoke(&*handler, client, event.payload)
                .await
                .map_err(Diagnostic::from)
        }
    })
}

async fn invoke<I, O, E, H, R>(handler: &H, client: Client, event: Value) -> Result<O, Failure>
where
    I: DeserializeOwned,
    E: Into<Failure>,
    H: Fn(I, Job) -> R,
    R: Future<Output = Result<O, E>>,
{
    let job = Job::with_client(&event, client)?;
    let input = serde_json::from_value::<I>(event).map_err(|error| {
        Failure::new(
            "InvalidInput",
            format!("the input does not fit this function: {error}"),
        )
    })?;
    // The handler is dropped after a panic, so its unfinished state is never seen.
    let running = AssertUnwindSafe(async { handler(input, job.clone()).await }).catch_unwind();
    let result = match running.await {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(Failure::new(
            PANIC_ERROR,
            format!("the function panicked: {}", words(&*panic)),
        )),
    };
    if let Err(error) = job.flush().await {
        tracing::warn!(job_id = job.id(), %error, "the last report did not arrive");
    }
    result
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::with_scheme;

    #[test]
    fn only_an_address_with_a_path_gets_a_scheme() {
        assert_eq!(
            with_scheme("127.0.0.1:9001/resize").as_deref(),
            Some("http://127.0.0.1:9001/resize")
        );
        assert_eq!(with_scheme("127.0.0.1:9001"), None);
        assert_eq!(with_scheme("http://127.0.0.1:9001/resize"), None);
    }
}
