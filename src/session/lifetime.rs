//! How long a connection lives: its lifetime, a drain, and the end of its credentials. Random parts
//! keep connections that began together from ending together.

use std::time::Duration;

use job::Time;

use super::limits;
use super::metrics::now_millis;

/// The lifetime of a new connection.
pub(super) fn lifetime() -> Duration {
    limits::LIFETIME - rand::random_range(Duration::ZERO..limits::LIFETIME_JITTER)
}

/// The time until a drain closes a connection.
pub(super) fn drain_delay() -> Duration {
    rand::random_range(Duration::ZERO..limits::DRAIN_SPREAD)
}

/// The time until credentials end, at most the lifetime of a connection.
pub(super) fn remaining(ends_at: Time) -> Duration {
    let millis = ends_at.as_millis().saturating_sub(now_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(limits::LIFETIME)
}
