//! The output: text that cannot control a terminal, tables and JSON, and a running job as bars or
//! as lines.

pub(crate) mod bars;
pub(crate) mod config;
pub(crate) mod job;
pub(crate) mod lines;
pub(crate) mod output;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod view;
