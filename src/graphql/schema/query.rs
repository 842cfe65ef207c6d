//! The query fields.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use resolvers::jobs::ListJobs;
use resolvers::store::Sort;
use resolvers::{Caller, Resolvers};

use crate::graphql::error::to_graphql;
use crate::graphql::schema::allowance::Allowance;
use crate::graphql::schema::filter::JobFilter;
use crate::graphql::schema::object::{JobObject, JobPageObject, JobStatsObject, JobTypeObject};
use crate::graphql::schema::scalar::AwsDateTime;

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum JobSort {
    /// The newest job first.
    Newest,
    /// The oldest job first.
    Oldest,
}

/// Reading jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query;

#[Object]
impl Query {
    /// The job with this id; null if there is no such job that the caller may see.
    async fn get_job(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<Option<JobObject>> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let id = id
            .parse()
            .map_err(|error| to_graphql(resolvers::Error::InvalidId(error)))?;
        let job = resolvers.get_job(caller, id).await.map_err(to_graphql)?;
        Ok(job.map(JobObject))
    }

    /// The jobs that the caller may see, in pages of at most 100.
    async fn list_jobs(
        &self,
        ctx: &Context<'_>,
        filter: Option<JobFilter>,
        sort: Option<JobSort>,
        #[graphql(default = 20)] limit: i32,
        next_token: Option<String>,
    ) -> async_graphql::Result<JobPageObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let list = ListJobs {
            filter: filter
                .unwrap_or_default()
                .into_filter()
                .map_err(to_graphql)?,
            sort: match sort {
                Some(JobSort::Oldest) => Sort::Oldest,
                Some(JobSort::Newest) | None => Sort::Newest,
            },
            limit: limit.into(),
            next_token,
        };
        let page = resolvers
            .list_jobs(caller, list)
            .await
            .map_err(to_graphql)?;
        Ok(JobPageObject {
            items: page.items.into_iter().map(JobObject).collect(),
            next_token: page.next_token,
        })
    }

    /// The job types that can be submitted.
    async fn list_job_types(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<JobTypeObject>> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let types = resolvers.list_job_types(caller).map_err(to_graphql)?;
        Ok(types.into_iter().map(JobTypeObject).collect())
    }

    /// Counts and durations of the jobs that the caller may see, submitted at `since` or later.
    async fn job_stats(
        &self,
        ctx: &Context<'_>,
        since: Option<AwsDateTime>,
    ) -> async_graphql::Result<JobStatsObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let since = since.map(|since| since.0);
        let read = async {
            resolvers
                .job_stats(caller, since)
                .await
                .map(Arc::new)
                .map_err(to_graphql)
        };
        let stats = match ctx.data_opt::<Arc<Allowance>>() {
            Some(allowance) => allowance.stats.get(since, read).await?,
            None => read.await?,
        };
        Ok(JobStatsObject::from(&*stats))
    }
}
