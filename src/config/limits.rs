//! Limits of settings that several files of the configuration name.

/// Minimum size of a secret in bytes.
pub const SECRET_BYTES: usize = 32;
