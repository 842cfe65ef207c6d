//! `JobHistory`: a page of an execution's history.

use std::sync::Arc;

use async_graphql::{Context, SimpleObject};
use job::Job;
use resolvers::Resolvers;

use super::int;
use crate::graphql::error::to_graphql;
use crate::graphql::schema::allowance::Allowance;
use crate::graphql::schema::scalar::AwsJson;

/// Events that are read at once.
const HISTORY_PART: usize = 50;
/// Size in bytes of a page of a history from which on it ends, before its limit of events.
const HISTORY_BYTES: usize = 1024 * 1024;

/// Events of a history in one page (AWS's `GetExecutionHistory`: 1,000).
pub const HISTORY_PAGE: usize = 1_000;

/// A page of an execution's history.
#[derive(Clone, Debug, SimpleObject)]
pub struct JobHistory {
    /// The events as `GetExecutionHistory` shows them, oldest first.
    events: Vec<AwsJson>,
    /// The id of the last event, if more follow; the next page is `after` this id.
    next: Option<i32>,
}

/// Reads a page of a job's history.
///
/// # Errors
/// An argument is out of its range, or the history cannot be read.
pub(super) async fn read(
    job: &Job,
    ctx: &Context<'_>,
    after: i32,
    limit: i32,
) -> async_graphql::Result<JobHistory> {
    let bad = |argument: &'static str, reason: &str| {
        let reason = reason.to_owned();
        to_graphql(resolvers::Error::BadInput { argument, reason })
    };
    let after = u64::try_from(after).map_err(|_| bad("after", "must not be negative"))?;
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=HISTORY_PAGE).contains(limit))
        .ok_or_else(|| bad("limit", "must be from 1 to 1000"))?;
    let allowance = ctx.data_opt::<Arc<Allowance>>();
    let resolvers = ctx.data::<Resolvers>()?;
    let mut events = Vec::new();
    let (mut last, mut bytes, mut next) = (after, 0, None);
    // Read in parts, and no longer than the answer may be: an event may hold a whole input and
    // a whole output.
    while events.len() < limit {
        let part = (limit - events.len()).min(HISTORY_PART);
        let page = resolvers.history_of(job, last, part).await;
        let page = page.map_err(to_graphql)?;
        for event in &page.events {
            let text = event.to_string();
            bytes += text.len();
            events.push(AwsJson(text.into()));
        }
        next = page.next;
        let is_over = allowance.is_some_and(|allowance| allowance.is_over());
        match next {
            Some(id) if bytes < HISTORY_BYTES && !is_over => last = id,
            _ => break,
        }
    }
    Ok(JobHistory {
        events,
        next: next.map(int),
    })
}
