//! The subscription fields. Each is executed in two situations: once when a client subscribes, to
//! find what it asks to watch ([`RequestedWatch`]), and once for each event and group of watchers,
//! to make the payload ([`crate::realtime::hub::Event`]). The data of the request decides between
//! the two.

use std::sync::Arc;

use async_graphql::{Context, ID, Subscription as GraphqlSubscription};
use futures_util::stream::{self, Stream};
use job::{Filter, JobId, Version};
use parking_lot::Mutex;

use crate::graphql::error::{coded, to_graphql};
use crate::graphql::schema::filter::JobFilter;
use crate::graphql::schema::object::{JobChangeObject, JobObject};
use crate::realtime::hub::Event;

/// A watch that a subscription requests by its arguments.
#[derive(Clone, Debug)]
pub enum RequestedWatch {
    /// `onJob`.
    Job {
        /// The job.
        id: JobId,
        /// The version that the client has.
        after: Option<Version>,
    },
    /// `onJobs`.
    Jobs(Box<Filter>),
}

/// The watches that the fields of a document request. More than one is an error of the document.
#[derive(Debug, Default)]
pub struct RequestedWatches(pub Mutex<Vec<RequestedWatch>>);

/// Watching jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscription;

#[GraphqlSubscription]
impl Subscription {
    /// One job: first its current version (unless `after` is that version), then newer versions. A
    /// version may be skipped if a newer one follows. Ends when the job is finished. If `after` is
    /// higher than the job's version, the store was restored from a backup: the current version is
    /// sent, and then newer ones.
    async fn on_job(
        &self,
        ctx: &Context<'_>,
        id: ID,
        after: Option<i32>,
    ) -> async_graphql::Result<impl Stream<Item = Option<JobObject>> + use<>> {
        if let Ok(requested) = ctx.data::<Arc<RequestedWatches>>() {
            let id = id
                .parse()
                .map_err(|error| to_graphql(resolvers::Error::InvalidId(error)))?;
            let after = after
                .map(u64::try_from)
                .transpose()
                .map_err(|_| {
                    coded(
                        "after must not be negative: it is a version of the job",
                        "BadRequest",
                    )
                })?
                .map(Version);
            requested.0.lock().push(RequestedWatch::Job { id, after });
        }
        Ok(stream::iter(match ctx.data::<Event>() {
            Ok(Event::Job(job)) => Some(Some(JobObject(job.clone()))),
            _ => None,
        }))
    }

    /// A live list: first the matching jobs (at most 100, the newest), then SNAPSHOT, then each
    /// change of a matching job.
    async fn on_jobs(
        &self,
        ctx: &Context<'_>,
        filter: Option<JobFilter>,
    ) -> async_graphql::Result<impl Stream<Item = Option<JobChangeObject>> + use<>> {
        if let Ok(requested) = ctx.data::<Arc<RequestedWatches>>() {
            let filter = filter
                .unwrap_or_default()
                .into_filter()
                .map_err(to_graphql)?;
            filter.check().map_err(to_graphql)?;
            requested
                .0
                .lock()
                .push(RequestedWatch::Jobs(Box::new(filter)));
        }
        Ok(stream::iter(match ctx.data::<Event>() {
            Ok(Event::Jobs(change)) => Some(Some(JobChangeObject {
                kind: change.kind.into(),
                job: change.job.clone().map(JobObject),
            })),
            _ => None,
        }))
    }
}
