//! A node without its listeners: the use cases, GraphQL and the live connections over a store and a
//! workflow. The server, the tests of several nodes and the benchmarks assemble it here.

use std::sync::Arc;

use resolvers::Resolvers;
use resolvers::files::Files;
use resolvers::jobs::Settings;
use resolvers::store::{JobStore, StoreError};
use resolvers::token::Signer;
use resolvers::workflow::Workflow;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{ApiKey, Authenticator, Oidc};
use crate::graphql::rate::SubmitRate;
use crate::graphql::{Executor, schema};
use crate::http::Doors;
use crate::realtime::Realtime;
use crate::session::{self, Sessions};

/// The tasks of a node that run beside its requests.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Cancelled when the tasks are to end.
    pub stop: CancellationToken,
    tasks: TaskTracker,
}

impl Background {
    /// Runs a task until it ends or the node stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// The tasks, to spawn ones that watch `stop` themselves.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Ends the tasks, and waits for them.
    pub async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The parts of a node.
#[derive(Debug)]
pub struct Node {
    /// The jobs.
    pub store: Arc<dyn JobStore>,
    /// The executions.
    pub workflow: Arc<dyn Workflow>,
    /// The files.
    pub files: Files,
    /// Signs and checks the node's tokens.
    pub signer: Signer,
    /// The settings of the use cases.
    pub jobs: Settings,
    /// Whether this node publishes the store's change feed. Without it the node publishes only what
    /// `publishJob` gives it.
    pub follows_changes: bool,
    /// Whether GraphQL operations may take shortcuts. Tests compare nodes with and without them.
    pub shortcuts: bool,
    /// The real-time side.
    pub realtime: Realtime,
    /// The keys of API-key callers.
    pub api_keys: Vec<ApiKey>,
    /// The identity providers.
    pub issuers: Vec<Oidc>,
    /// The limit of each caller's submissions.
    pub submit_rate: SubmitRate,
    /// The settings of the live connections.
    pub sessions: session::Settings,
}

impl Node {
    /// A node that follows its store's changes, with default limits, without a broker and without
    /// callers other than those of its tokens.
    #[must_use]
    pub fn new(
        store: Arc<dyn JobStore>,
        workflow: Arc<dyn Workflow>,
        files: Files,
        signer: Signer,
        jobs: Settings,
    ) -> Self {
        Self {
            store,
            workflow,
            files,
            signer,
            jobs,
            follows_changes: true,
            shortcuts: true,
            realtime: Realtime::default(),
            api_keys: Vec::new(),
            issuers: Vec::new(),
            submit_rate: SubmitRate::default(),
            sessions: session::Settings::default(),
        }
    }

    /// Connects the parts and starts the real-time tasks. `stopping` is cancelled when the node
    /// stops taking work. The recorder of metrics must be installed before.
    ///
    /// # Errors
    /// [`StoreError`]: the change feed cannot be opened.
    pub async fn assemble(
        self,
        background: &Background,
        stopping: CancellationToken,
    ) -> Result<Doors, StoreError> {
        let feed = match self.follows_changes {
            true => Some(self.store.changes(None).await?),
            false => None,
        };
        let (tasks, stop) = (&background.tasks, &background.stop);
        let (hub, publisher) = self.realtime.start(&self.store, feed, tasks, stop);
        let signer = self.signer.clone();
        let resolvers = Resolvers::new(self.store, self.workflow, self.files, signer, self.jobs);
        let executor = Executor::new(
            schema(resolvers.clone(), publisher, self.submit_rate),
            resolvers.clone(),
            Arc::new(Authenticator::new(self.api_keys, self.issuers, self.signer)),
        );
        let executor = match self.shortcuts {
            true => executor,
            false => executor.without_shortcuts(),
        };
        let drain = stopping.clone();
        Ok(Doors {
            sessions: Sessions::new(hub, executor.clone(), drain, self.sessions),
            executor,
            resolvers,
            intake: None,
            stopping,
        })
    }
}
