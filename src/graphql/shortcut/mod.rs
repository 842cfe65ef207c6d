//! Shortcuts.

pub(super) mod on_job;
pub(super) mod payload;
#[cfg(test)]
mod payload_tests;
mod plain_field;
pub(super) mod publish_job;
