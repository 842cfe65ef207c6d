//! The object types of the schema: jobs, and what belongs to them.

mod history;
mod job;
mod job_type;
mod list;
mod result;
mod stats;
mod step;

pub use job::{JobObject, JobStatus};
pub use job_type::JobTypeObject;
pub use list::{JobChangeObject, JobPageObject};
pub use result::{SubmitJobResult, UploadObject, WatchTokenObject};
pub use stats::JobStatsObject;

/// A count as GraphQL's `Int`, which has 32 bits with its sign. A larger count becomes the largest
/// `Int`.
pub(in crate::graphql) fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}
