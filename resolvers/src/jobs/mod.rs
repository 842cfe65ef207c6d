//! The use cases: one function per GraphQL field, with its name. Arguments and results are plain
//! values.
//!
//! | file | fields |
//! |---|---|
//! | `submit` | `submitJob`, `submitJobs` |
//! | `control` | `cancelJob`, `retryJob`, `resumeJob` |
//! | `report` | `reportProgress`, `createUpload`, `createWatchToken` |
//! | `read` | `getJob`, `listJobs`, `listJobTypes`, `Job.input`, `Job.result`, a job's history |
//! | `stats` | `jobStats` |
//! | `purge` | no field: deletes expired jobs with their files |
//! | `quota` | the limits of `createUpload` for one caller |
//! | `execution` | no field: applies the workflow's events |
//! | `pushed` | no field: applies events of executions that AWS pushes |
//! | `sweep` | no field: reconciles jobs with their executions |

mod control;
mod execution;
mod purge;
#[cfg(feature = "aws")]
mod pushed;
mod quota;
mod read;
mod report;
mod schema;
mod stats;
mod submit;
mod sweep;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use job::Time;
use tokio_util::task::TaskTracker;

pub use execution::ExecutionEvents;
pub use purge::{PURGE_JOBS, Purged, purge};
#[cfg(feature = "aws")]
pub use pushed::AppliedPushes;
pub use quota::{UPLOAD_BYTES as UPLOAD_BYTES_OF_A_CALLER, UPLOADS as UPLOADS_OF_A_CALLER};
pub use read::{JobPage, ListJobs};
pub use report::{ReportProgress, WATCH_TOKEN_SECONDS, WatchToken};
pub use schema::check_schema;
pub use stats::{DurationStats, JobStats, STATS_JOBS};
pub use submit::SubmitJob;
pub use sweep::{RECONCILE_AFTER_MILLIS, START_AFTER_MILLIS, Sweep, Sweeps, Swept};

use crate::files::Files;
use crate::store::JobStore;
use crate::token::Signer;
use crate::workflow::Workflow;

/// The settings of the use cases.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address for the reports of functions: `http://127.0.0.1:8080/graphql`.
    pub report_url: String,
    /// Time for which a finished job is kept, in milliseconds; `None`: for ever.
    pub retention_millis: Option<i64>,
    /// Time for which a job's functions may report, in milliseconds from its submission or retry.
    pub report_life_millis: i64,
}

/// The use cases over their ports.
#[derive(Clone, Debug)]
pub struct Resolvers {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    store: Arc<dyn JobStore>,
    workflow: Arc<dyn Workflow>,
    files: Files,
    signer: Signer,
    settings: Settings,
    schemas: schema::Schemas,
    /// The starts that continue after their submit was acknowledged.
    starts: TaskTracker,
    /// The quotas of uploads.
    quota: quota::Quota,
    /// The name of this process in leases.
    holder: String,
    /// The pushed events that could not be applied yet.
    #[cfg(feature = "aws")]
    pushed: pushed::Waiting,
}

impl Resolvers {
    /// The use cases over these ports.
    pub fn new(
        store: Arc<dyn JobStore>,
        workflow: Arc<dyn Workflow>,
        files: Files,
        signer: Signer,
        settings: Settings,
    ) -> Resolvers {
        Resolvers {
            parts: Arc::new(Parts {
                store,
                workflow,
                files,
                signer,
                settings,
                schemas: schema::Schemas::default(),
                starts: TaskTracker::new(),
                quota: quota::Quota::default(),
                holder: format!("{:032x}", rand::random::<u128>()),
                #[cfg(feature = "aws")]
                pushed: pushed::Waiting::default(),
            }),
        }
    }

    /// The job store.
    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.parts.store
    }

    /// The workflow.
    pub fn workflow(&self) -> &Arc<dyn Workflow> {
        &self.parts.workflow
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.parts.files
    }

    /// The signer of this server's tokens.
    pub fn signer(&self) -> &Signer {
        &self.parts.signer
    }

    /// Waits until every acknowledged submit was passed to the workflow. The next sweep completes
    /// interrupted ones.
    pub async fn settle(&self) {
        self.parts.starts.close();
        self.parts.starts.wait().await;
    }
}

/// The time on this machine's clock.
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
