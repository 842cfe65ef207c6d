//! The error of a benchmark.

/// An error of a benchmark. It is only shown to the user.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;
