//! What AWS's semantics are, in our own words: the tests of what decides in localcloud. They need
//! no recordings.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod configs;
mod entries;
mod patterns;
mod queues;
mod records;
mod shards;
