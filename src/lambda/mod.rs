//! The functions on AWS Lambda. Each has a program in `src/bin`, which only calls the `main` of its
//! module. They add no rule: they decode an event, call the use cases or the nodes, and say which
//! records of the event are done.
//!
//! | module | event | what |
//! |---|---|---|
//! | [`publish`] | records of the job table's stream | publishes them to the nodes |
//! | [`execution`] | entries of the state machines' log, ends of executions | applies them to the jobs |
//! | [`http`] | a request of API Gateway | queries and mutations without a server |
//! | [`intake`] | messages of SQS | makes each a job |
//! | [`sweep`] | a schedule | starts what was not started, deletes what has expired |
//! | [`settings`] | | the variables of a function |
//! | `start` | | from the start of the process to its first event |

pub mod execution;
pub mod http;
pub mod intake;
pub mod publish;
pub mod settings;
mod start;
pub mod sweep;
