//! `JobStats`: counts and durations.

use async_graphql::SimpleObject;
use resolvers::jobs::{DurationStats, JobStats};

use super::int;
use super::job::JobStatus;

/// The number of jobs with a status.
#[derive(Clone, Debug, SimpleObject)]
pub struct StatusCount {
    /// The status.
    status: JobStatus,
    /// The number of jobs.
    count: i32,
}

/// Durations of the succeeded jobs of a type.
#[derive(Clone, Debug, SimpleObject)]
pub struct TypeDuration {
    /// The job type.
    #[graphql(name = "type")]
    job_type: String,
    /// Number of jobs that succeeded.
    count: i32,
    /// Median duration, in milliseconds.
    p50_millis: i32,
    /// 95th percentile of the duration, in milliseconds.
    p95_millis: i32,
}

/// Counts and durations of the newest jobs.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobStats")]
pub struct JobStatsObject {
    /// Number of jobs that were counted.
    total: i32,
    /// Whether there are more jobs than were counted (the 10,000 newest).
    truncated: bool,
    /// Counts by status, with an entry for every status.
    by_status: Vec<StatusCount>,
    /// Durations by type.
    durations: Vec<TypeDuration>,
}

impl From<&JobStats> for JobStatsObject {
    fn from(stats: &JobStats) -> Self {
        let duration = |stats: &DurationStats| TypeDuration {
            job_type: stats.job_type.clone(),
            count: int(stats.count),
            p50_millis: int(stats.p50_millis),
            p95_millis: int(stats.p95_millis),
        };
        let count = |(status, count): &(job::Status, usize)| StatusCount {
            status: (*status).into(),
            count: int(*count),
        };
        Self {
            total: int(stats.total),
            truncated: stats.truncated,
            by_status: stats.by_status.iter().map(count).collect(),
            durations: stats.durations.iter().map(duration).collect(),
        }
    }
}
