//! The integration tests: one binary, real servers on free ports, fresh data directories.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod architecture;
mod chaos;
mod delivery;
mod nodes;
