//! From the start of a function's process to its first event: variables, log, runtime.

use std::process::ExitCode;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Builder;

use super::settings::{SettingsError, Variables};
use crate::log::filter::FilterError;
use crate::server::ServeError;

/// The variables that every Lambda host sets.
const HOST: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// The name of a failed event's error.
const FAILED: &str = "EventNotHandled";

/// Why a function does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(
        "this is a Lambda function: AWS Lambda, or another Lambda host, starts it and sets {0}"
    )]
    NoHost(String),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the variable JOBCAST_LOG is not valid: {0}")]
    Log(#[from] FilterError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the runtime of the program does not start: {0}")]
    Runtime(std::io::Error),
    #[error("the Lambda host is gone: {0}")]
    Host(lambda_runtime::Error),
}

/// Runs a function until its host ends it. `threads` is the number of threads besides those that
/// wait for files and names.
pub(super) fn run<F, R>(threads: usize, function: F) -> ExitCode
where
    F: FnOnce(Variables) -> R,
    R: Future<Output = Result<(), StartError>>,
{
    let variables = Variables::of_process();
    let ended = prepare(&variables).and_then(|()| {
        let mut builder = match threads {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let builder = builder.enable_all().thread_stack_size(json::THREAD_STACK);
        let builder = builder.worker_threads(threads);
        let runtime = builder.build().map_err(StartError::Runtime)?;
        runtime.block_on(function(variables))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not have begun.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(variables: &Variables) -> Result<(), StartError> {
    let missing: Vec<_> = HOST
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(StartError::NoHost(missing.join(", ")));
    }
    let log = variables.log()?;
    crate::log::init(&log.filter, log.format)?;
    // A second installation fails, which is right: the first one is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(())
}

/// Answers events until the host ends the process. An error fails the whole event.
pub(super) async fn answer<I, O, H, R>(handler: H) -> Result<(), StartError>
where
    I: DeserializeOwned,
    O: Serialize,
    H: Fn(LambdaEvent<I>) -> R,
    R: Future<Output = Result<O, lambda_runtime::Error>>,
{
    let named = |event| {
        let answering = handler(event);
        async move {
            answering.await.map_err(|error| Diagnostic {
                error_type: FAILED.to_owned(),
                error_message: error.to_string(),
            })
        }
    };
    let served = lambda_runtime::run(service_fn(named)).await;
    served.map_err(StartError::Host)
}
