//! The kit of the integration tests: real servers in processes of their own, and clients of every
//! door. It judges nothing.
//!
//! | module | what |
//! |---|---|
//! | [`server`] | [`Home`]: a fresh directory with configuration, job types and data; [`Server`]: the built binary, serving it |
//! | [`client`] | [`Client`]: GraphQL over HTTP |
//! | [`aws`] | DynamoDB and Step Functions, emulated |
//! | [`lambda`] | the functions on AWS Lambda, and what invokes them |
//! | [`proxy`] | breaks and counts the calls of such a service |
//! | [`s3`] | S3, emulated |
//! | [`watch`] | [`Watch`]: a subscription through one of the [`Door`]s |

pub mod aws;
mod client;
pub mod lambda;
pub mod proxy;
pub mod s3;
mod server;
mod watch;

pub use client::{Client, code_of};
pub use server::{Home, Server, json_file};
pub use watch::{Door, Said, Watch};

use std::future::Future;
use std::time::Duration;

/// Time that a test waits for what must come. Only a failing test waits to its end; machines may be
/// slow.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// What a watcher selects.
pub const JOB: &str = "id type owner status progress message attempt version execution error { name message step } steps { name status progress attempt itemsDone itemsTotal }";

/// `onJob` with [`JOB`].
pub fn on_job() -> String {
    format!("subscription($id: ID!, $after: Int) {{ onJob(id: $id, after: $after) {{ {JOB} }} }}")
}
