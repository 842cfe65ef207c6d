//! `jobStats`: counts and durations over the newest jobs.

use std::collections::BTreeMap;

use job::filter::Condition;
use job::{Filter, Status, Time};

use super::Resolvers;
use crate::Error;
use crate::caller::Caller;
use crate::store::{ListQuery, Sort};

/// Maximum number of jobs that are counted, the newest ones. It bounds the time of the query.
pub const STATS_JOBS: usize = 10_000;

/// The result of `jobStats`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStats {
    /// Number of jobs that were counted.
    pub total: usize,
    /// Whether there are more jobs than were counted ([`STATS_JOBS`]). Then the figures are those
    /// of the newest jobs.
    pub truncated: bool,
    /// Number of jobs per status, with an entry for every status.
    pub by_status: Vec<(Status, usize)>,
    /// Durations of the succeeded jobs, by type.
    pub durations: Vec<DurationStats>,
}

/// Durations of the jobs of one type, from start to success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationStats {
    /// The job type.
    pub job_type: String,
    /// Number of jobs that succeeded.
    pub count: usize,
    /// Median duration, in milliseconds.
    pub p50_millis: i64,
    /// 95th percentile of the duration, in milliseconds.
    pub p95_millis: i64,
}

impl Resolvers {
    /// Counts and durations of the jobs that the caller may see, submitted at `since` or later.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Unavailable`].
    pub async fn job_stats(&self, caller: &Caller, since: Option<Time>) -> Result<JobStats, Error> {
        let mut filter = Filter::default();
        filter.created_at.extend(since.map(Condition::Ge));
        let mut query = ListQuery {
            filter: caller.narrow(filter)?,
            sort: Sort::Newest,
            limit: job::limits::LIST_PAGE,
            after: None,
        };
        let mut stats = JobStats::default();
        let mut counts = BTreeMap::new();
        let mut durations: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        loop {
            let page = self.parts.store.list(&query).await?;
            for job in &page.jobs {
                stats.total += 1;
                *counts.entry(job.status).or_insert(0) += 1;
                if let (Status::Succeeded, Some(started), Some(finished)) =
                    (job.status, job.started_at, job.finished_at)
                {
                    let took = finished.as_millis() - started.as_millis();
                    durations
                        .entry(job.job_type.clone())
                        .or_default()
                        .push(took.max(0));
                }
            }
            query.after = page.next;
            stats.truncated = page.next.is_some();
            if !stats.truncated || stats.total >= STATS_JOBS {
                break;
            }
        }
        stats.by_status = Status::ALL
            .into_iter()
            .map(|status| (status, counts.get(&status).copied().unwrap_or(0)))
            .collect();
        stats.durations = durations
            .into_iter()
            .map(|(job_type, took)| of_type(job_type, took))
            .collect();
        Ok(stats)
    }
}

fn of_type(job_type: String, mut took: Vec<i64>) -> DurationStats {
    took.sort_unstable();
    // Nearest rank.
    let rank = |percent: usize| took[(took.len() * percent).div_ceil(100).max(1) - 1];
    DurationStats {
        count: took.len(),
        p50_millis: rank(50),
        p95_millis: rank(95),
        job_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        for (took, p50, p95) in [
            (vec![7], 7, 7),
            (vec![2, 1], 1, 2),
            ((1..=100).collect(), 50, 95),
        ] {
            let stats = of_type("t".into(), took);
            assert_eq!((stats.p50_millis, stats.p95_millis), (p50, p95));
        }
    }
}
