//! Defaults of settings.

/// Default address of the public listener.
pub const LISTEN: &str = "127.0.0.1:8080";
/// Default data directory.
pub const DATA: &str = "data";
/// Default configuration file, read if it exists.
pub const FILE: &str = "jobcast.toml";
/// Default log filter.
pub const LOG: &str = "info";
