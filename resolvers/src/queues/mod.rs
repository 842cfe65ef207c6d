//! Queues of messages that become jobs.
//!
//! | module | what |
//! |---|---|
//! | [`local`] | the durable queues of the embedded service, with their dead letters |
//! | `schema` | their tables |
//! | `sqs` | the dead-letter queues of SQS (feature `aws`) |
//!
//! A queue does not read its messages: what a message means is decided where it is taken.

pub mod local;
mod schema;
#[cfg(feature = "aws")]
pub mod sqs;

#[cfg(test)]
mod tests;
