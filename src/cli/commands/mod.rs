//! The commands: one module for each, and their helpers `demo_jobs` (the jobs of `demo`), `upload`
//! (the fields of an input that are addresses of files) and `check` (`types --check`).

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod create_table;
pub(crate) mod demo;
pub(crate) mod demo_jobs;
pub(crate) mod dlq;
pub(crate) mod enqueue;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod serve;
pub(crate) mod submit;
pub(crate) mod types;
pub(crate) mod upload;
pub(crate) mod watch;
