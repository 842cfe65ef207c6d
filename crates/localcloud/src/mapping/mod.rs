//! Event source mappings: what connects a stream or a queue with a function. Pure.
//!
//! | module | what |
//! |---|---|
//! | `config` | the settings of a mapping: defaults, ranges, errors, and as AWS shows them |
//! | `registry` | all mappings: create, update, list, delete |
//! | `filter` | which records and messages a mapping lets through |
//! | `shard` | a shard of a stream: batches, retries, checkpoints, halving, age |
//! | `messages` | a batch of a queue's messages: the event, and which of them are done |
//! | `answer` | what a function says about the records of its batch |
//! | `destination` | what a failure destination receives |

pub mod answer;
pub mod config;
pub mod destination;
pub mod filter;
pub mod messages;
pub mod registry;
pub mod shard;
