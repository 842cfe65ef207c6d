//! Random ids.

use uuid::Uuid;

/// A random version 4 UUID.
pub(crate) fn random() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
