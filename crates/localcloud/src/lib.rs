//! An AWS on loopback for tests and benchmarks. It is never part of the shipped binary.
//!
//! What decides is pure and held to recordings of AWS (`tests/recordings.rs`); the cloud on top of
//! it moves bytes.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use localcloud::{Cloud, Fault, FunctionConfig, Settings};
//! use serde_json::json;
//!
//! let program = vec!["target/debug/lambda-intake".to_owned()];
//! let cloud = Cloud::start(Settings {
//!     functions: vec![FunctionConfig::new("intake", program)],
//!     ..Settings::default()
//! })
//! .await?;
//! let queue = cloud.create_queue("intake", &json!({"VisibilityTimeout": "30"}))?;
//! cloud.map(&json!({"EventSourceArn": queue, "FunctionName": "intake"}))?;
//! cloud.faults().next("dynamodb:PutItem", 3, Fault::Throttle);
//! // AWS's SDKs reach the cloud with these variables, as its functions do.
//! let variables = cloud.environment();
//! println!("{variables:?} {:?}", cloud.counts().now());
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`cloud`] | the cloud: one endpoint, functions, mappings, pushes |
//! | [`faults`], [`counts`] | what goes wrong on purpose, and what was called |
//! | [`pattern`] | event patterns: filters of mappings, rules of EventBridge |
//! | [`mapping`] | event source mappings of streams and queues |
//! | [`record`] | records of DynamoDB and Kinesis streams |
//! | [`sqs`] | queues, dead letters, moving them back |
//! | [`execution_log`] | log entries of executions, and subscriptions |
//! | [`event_bus`] | events of executions, and rules |
//! | [`scope`], [`time`] | ARNs and times as AWS writes them |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod cloud;
pub mod counts;
pub mod event_bus;
pub mod execution_log;
pub mod faults;
pub mod mapping;
pub mod pattern;
pub mod record;
pub mod scope;
pub mod sqs;
pub mod time;

pub use cloud::{Cloud, LogSettings, Settings, StartError, Timing};
pub use counts::Counted;
pub use faults::{Fault, Faults};
pub use workflow::lambda::FunctionConfig;
