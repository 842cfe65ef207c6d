//! A step that does nothing. The benchmark uses it to measure the cost of a step.

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

/// A number that counts the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Number of steps so far.
    #[serde(default)]
    pub n: u64,
}

/// `{"n": n}` to `{"n": n + 1}`, without a report.
///
/// # Errors
/// None.
pub async fn noop(counter: Counter, _job: Job) -> Result<Counter, Failure> {
    Ok(Counter {
        n: counter.n.wrapping_add(1),
    })
}
