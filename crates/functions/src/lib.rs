//! For people who write functions: the job behind an event, its progress, its files, and errors that Retry and Catch
//! can name.
//!
//! This is not the server and knows nothing of how jobs are stored: it speaks to Jobcast with plain HTTP, and to the
//! Lambda Runtime API through `lambda_runtime`, so the same binary runs under `jobcast serve` and on AWS Lambda.
//!
//! # A function in one screen
//!
//! ```no_run
//! use functions::{Failure, Job};
//! use serde::Deserialize;
//! use serde_json::{Value, json};
//!
//! #[derive(Deserialize)]
//! struct Input {
//!     names: Vec<String>,
//! }
//!
//! async fn greet(input: Input, job: Job) -> Result<Value, Failure> {
//!     if input.names.is_empty() {
//!         return Err(Failure::new("NobodyToGreet", "`names` is empty: give at least one name"));
//!     }
//!     let mut greetings = String::new();
//!     for (index, name) in input.names.iter().enumerate() {
//!         greetings.push_str(&format!("Hello, {name}!\n"));
//!         job.items(index as u64 + 1, input.names.len() as u64);
//!     }
//!     let file = job.upload("greetings.txt", "text/plain", greetings.into_bytes()).await?;
//!     Ok(json!({ "url": file.get_url }))
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), functions::lambda_runtime::Error> {
//!     functions::run(greet).await
//! }
//! ```
//!
//! and in the state machine, a retry for what may pass and a catch for what will not:
//!
//! ```json
//! "Greet": {
//!   "Type": "Task",
//!   "Resource": "arn:aws:lambda:us-east-1:123456789012:function:greet",
//!   "Parameters": {
//!     "names.$": "$.names",
//!     "job": {
//!       "id.$": "$.job.id", "reportUrl.$": "$.job.reportUrl", "reportToken.$": "$.job.reportToken",
//!       "step.$": "$$.State.Name"
//!     }
//!   },
//!   "Retry": [{ "ErrorEquals": ["ServiceUnavailable"], "MaxAttempts": 3, "BackoffRate": 2 }],
//!   "Catch": [{ "ErrorEquals": ["NobodyToGreet"], "Next": "SayNothing" }],
//!   "End": true
//! }
//! ```
//!
//! # The map
//!
//! * [`Job`] (`job.rs`): the `job` object of the event; progress, items, heartbeat.
//! * `report.rs`: the throttle: one slot, the newest wins, the last is always sent.
//! * [`Uploaded`], [`Download`] (`files.rs`): files by signed addresses, streamed.
//! * [`Places`] (`places.rs`): which addresses of a job may be read.
//! * [`Error`], [`Failure`] (`error.rs`): what can go wrong, and its name in a state machine.
//! * [`run`], [`service`] (`service.rs`): the wrapper around a handler.
//! * `client.rs`: the one HTTP client, GraphQL over it, and the retry.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod client;
mod error;
mod files;
mod job;
mod places;
mod report;
mod service;

pub use client::{Client, MAX_ATTEMPTS, MAX_REPLY_BYTES, RETRY_FIRST_DELAY, RETRY_MAX_DELAY};
pub use error::{Error, Failure};
pub use files::{Download, MAX_UPLOAD_BYTES, Uploaded};
pub use job::{Job, MAX_MESSAGE_BYTES};
pub use places::Places;
pub use report::{FLUSH_TIMEOUT, REPORT_INTERVAL};
pub use service::{PANIC_ERROR, run, service};

/// The Lambda runtime this crate is built on, so that a function needs no second dependency.
pub use lambda_runtime;
