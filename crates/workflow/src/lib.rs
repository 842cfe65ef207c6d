//! The embedded Step Functions: the durable driver of `asl`, the Lambda host, and the wire APIs of
//! the internal listener.
//!
//! | module | what |
//! |---|---|
//! | [`Engine`] | starts, drives and shows executions; everything is written to the journal before it has an effect |
//! | [`Machines`] | the directory of `NAME.asl.json` files |
//! | `catalog` | state machines, activities and tags that the API created |
//! | [`task`] | the boundary to the code that does the work of a Task state |
//! | [`lambda`] | functions as processes behind the Lambda Runtime API |
//! | [`runner`] | which code does the work of a resource: Lambda, activities, nested executions, services |
//! | [`services`] | DynamoDB, SQS, HTTP endpoints, buckets |
//! | [`internal`] | the internal listener: Runtime API, Invoke API, Step Functions API |
//! | [`guard`] | which requests a listener on loopback admits: none of a web page |
//! | [`secret`] | the secret that callers of such a listener present, where one is required |
//!
//! The crate does not depend on jobs or GraphQL. A caller that follows executions gives a
//! [`Listener`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod activity;
mod api;
mod arn;
mod catalog;
mod engine;
pub mod guard;
mod ids;
pub mod internal;
mod json_error;
pub mod lambda;
mod machines;
mod nested;
pub mod runner;
pub mod secret;
pub mod services;
mod start;
mod supported;
mod target;
pub mod task;
mod timers;

pub use asl::Severity;
pub use engine::{
    Definition, Description, Earlier, End, Engine, EngineError, ExecutionEvent, History, Listed,
    Listener, NoListener, OpenError, Settings, Started, Status, limits,
};
pub use machines::{Checked, Machine, Machines, MachinesError, Problem, decode_text, read_text};
