//! The server, put together. The adapters are chosen here and nowhere else: `embedded` or `aws` makes them, and the rest does not ask which.
//!
//! | module | what |
//! |---|---|
//! | `embedded` | SQLite, the engine of `workflow`, a directory of files: all in this process |
//! | `aws` | DynamoDB and Step Functions (feature `aws`) |
//! | `bucket` | files in S3 (feature `aws`) |
//! | `commands` | whether the command of a function can be run |
//! | `private` | the directory of files, closed to other users |
//! | `job_types` | the state machines of the job types |
//! | `listener` | addresses |
//! | `open_files` | the limit of open files |
//! | `error` | why a server does not start |

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod bucket;
mod commands;
mod embedded;
mod error;
mod job_types;
mod listener;
mod open_files;
mod private;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use resolvers::Resolvers;
use resolvers::files::{Files, GET_LIFE_MILLIS};
use resolvers::jobs::{ExecutionEvents, PURGE_JOBS, Settings, now};
use resolvers::store::JobStore;
use resolvers::token::Signer;
use resolvers::workflow::Workflow;
use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workflow::Machines;

use self::embedded::Embedded;
use self::listener::{base, listen, local};
use crate::auth::{Authenticator, Oidc};
use crate::chaos::Chaos;
use crate::config::{Config, ConfigError, PublicUrl};
use crate::graphql::rate::SubmitRate;
use crate::graphql::{Executor, schema};
use crate::http::guard::{DEVELOPMENT_ORIGINS, Guard};
use crate::http::{self, Doors, operations};
use crate::peers;
use crate::realtime::Realtime;
use crate::realtime::broker::valkey::{self, Valkey};
use crate::realtime::broker::{Broker, BrokerError};
use crate::session::{self, Sessions};

pub use self::error::ServeError;
pub use self::open_files::allow_open_files;

/// Where the server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public listener.
    pub public: SocketAddr,
    /// The internal one, where functions and executions run in this process.
    pub internal: Option<SocketAddr>,
}

/// What adapters are made from.
struct Parts<'a> {
    config: &'a Config,
    machines: Machines,
    /// The public listener.
    public: SocketAddr,
    /// Where the workflow tells what executions do.
    events: &'a Arc<ExecutionEvents>,
    /// Ends what serves beside the public listener.
    stop: &'a CancellationToken,
}

/// The adapters, and what comes with them.
struct Adapters {
    store: Arc<dyn JobStore>,
    workflow: Arc<dyn Workflow>,
    /// The files.
    objects: Arc<dyn ObjectStore>,
    /// Bytes of a part of an upload.
    part_bytes: usize,
    signer: Signer,
    /// Whether files go by their age. In a bucket that is a life-cycle rule's to do.
    sweeps_files: bool,
    /// Where functions report.
    report_url: String,
    /// Whether this node publishes what the store's change feed brings.
    follows_changes: bool,
    /// The internal listener.
    internal: Option<SocketAddr>,
    /// What runs in this process behind them; kept to the end of the server.
    behind: Option<Embedded>,
}

/// Requests in flight have this long to finish after a stop was asked for.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// How often expired jobs are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How often old files are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Serves until `shutdown` is cancelled; then requests finish, live connections are told to come back, and open executions stay where they
/// are for the next start. `ready` is called once, when every listener answers.
///
/// # Errors
/// [`ServeError`]; then nothing was served.
pub async fn serve(
    config: Config,
    ready: impl FnOnce(Addresses),
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    operations::recorder();
    let machines = job_types::machines(&config)?;
    let issuers = config.auth.oidc.iter().cloned();
    let issuers = issuers
        .map(|issuer| Oidc::open(issuer, now()))
        .collect::<Result<_, _>>()?;
    let public = listen(config.listen)?;
    let address = local(&public)?;
    let events = Arc::new(ExecutionEvents::default());
    let background = CancellationToken::new();
    let adapters = adapters(Parts {
        config: &config,
        machines,
        public: address,
        events: &events,
        stop: &background,
    })
    .await?;
    let Adapters { store, signer, .. } = adapters;
    let addresses = Addresses {
        public: address,
        internal: adapters.internal,
    };
    let settings = Settings {
        report_url: adapters.report_url,
        retention_millis: Some(millis(config.retention)),
        report_life_millis: millis(config.report_life),
    };
    let resolvers = Resolvers::new(
        Arc::clone(&store),
        adapters.workflow,
        Files::new(adapters.objects, signer.clone(), base(&config, address))
            .with_parts_of(adapters.part_bytes),
        signer.clone(),
        settings,
    );

    let feed = match adapters.follows_changes {
        true => Some(store.changes(None).await?),
        false => None,
    };
    let tasks = TaskTracker::new();
    let chaos = config.chaos.map(Chaos::new);
    let realtime = Realtime {
        broker: broker(&config)?,
        chaos: chaos.clone(),
        repair_every: config.repair_every,
    };
    let (hub, publisher) = realtime.start(&store, feed, &tasks, &background);
    events.run(&resolvers, &tasks, &background);
    let (stop, purging) = (background.clone(), purge(resolvers.clone()));
    tasks.spawn(async move { stop.run_until_cancelled(purging).await });
    if adapters.sweeps_files {
        let life = millis(config.retention).saturating_add(GET_LIFE_MILLIS);
        let (stop, sweeping) = (background.clone(), sweep(resolvers.clone(), life));
        tasks.spawn(async move { stop.run_until_cancelled(sweeping).await });
    }

    let auth = Arc::new(Authenticator::new(
        config.auth.api_keys.clone(),
        issuers,
        signer,
    ));
    let rate = config.limits.submits_per_second.map(SubmitRate::new);
    let rate = rate.unwrap_or_default();
    let executor = Executor::new(
        schema(resolvers.clone(), publisher, rate),
        resolvers.clone(),
        auth,
    );
    let doors = Doors {
        sessions: Sessions::new(
            hub,
            executor.clone(),
            shutdown.child_token(),
            session_settings(&config, chaos),
        ),
        executor,
        resolvers: resolvers.clone(),
        stopping: shutdown.clone(),
    };
    let settings = http_settings(&config, address);
    let sessions = Arc::clone(&doors.sessions);
    ready(addresses);
    let close = CancellationToken::new();
    let mut serving = std::pin::pin!(http::serve(public, doors, settings, close.clone()));
    tokio::select! {
        () = &mut serving => {}
        () = drained(&shutdown, &sessions) => {
            close.cancel();
            if tokio::time::timeout(FINISH_WITHIN, serving).await.is_err() {
                tracing::warn!("some requests did not end in time");
            }
        }
    }
    if tokio::time::timeout(FINISH_WITHIN, resolvers.settle())
        .await
        .is_err()
    {
        tracing::warn!("some work behind the requests did not end in time");
    }
    if let Some(embedded) = &adapters.behind {
        embedded.shutdown().await;
    }
    background.cancel();
    tasks.close();
    tasks.wait().await;
    drop(adapters.behind);
    tracing::info!("stopped");
    Ok(())
}

fn http_settings(config: &Config, address: SocketAddr) -> http::Settings {
    let open = !config.auth.is_configured();
    let url = config.public_url.as_ref();
    let usual = || {
        let development = if open { DEVELOPMENT_ORIGINS } else { &[] };
        development.iter().map(ToString::to_string).collect()
    };
    let guard = Guard {
        loopback_only: address.ip().is_loopback() && url.is_none_or(PublicUrl::is_loopback),
        open,
        origins: config.allowed_origins.clone().unwrap_or_else(usual),
        own: url.map(|url| url.origin().to_owned()),
    };
    http::Settings {
        guard,
        places: peers::places(getrlimit(Resource::Nofile).current),
        per_address: config.limits.strangers_per_address,
        prefix: url.map_or("", PublicUrl::path).to_owned(),
        guards_metrics: !open && !config.open_metrics,
        ..http::Settings::default()
    }
}

fn session_settings(config: &Config, chaos: Option<Chaos>) -> session::Settings {
    let (limits, usual) = (config.limits, session::Settings::default());
    session::Settings {
        connections: limits.connections.unwrap_or(usual.connections),
        per_caller: limits.connections_per_caller.unwrap_or(usual.per_caller),
        chaos,
        ..usual
    }
}

/// The adapters that the configuration asks for.
async fn adapters(parts: Parts<'_>) -> Result<Adapters, ServeError> {
    match &parts.config.aws {
        None => embedded::open(parts).await,
        #[cfg(feature = "aws")]
        Some(aws) => aws::open(aws, parts).await,
        #[cfg(not(feature = "aws"))]
        Some(_) => Err(ServeError::Config(ConfigError::BuiltWithoutAws)),
    }
}

/// Creates the table of `[aws]`, with all that the job store needs, and returns its name once it can be used.
///
/// # Errors
/// [`ServeError`].
pub async fn create_table(config: &Config) -> Result<String, ServeError> {
    match &config.aws {
        None => Err(ServeError::Config(ConfigError::NoAws)),
        #[cfg(feature = "aws")]
        Some(aws) => aws::create_table(aws).await.map(|()| aws.table.clone()),
        #[cfg(not(feature = "aws"))]
        Some(_) => Err(ServeError::Config(ConfigError::BuiltWithoutAws)),
    }
}

fn broker(config: &Config) -> Result<Option<Arc<dyn Broker>>, BrokerError> {
    let prefix = config.broker.prefix.as_deref().unwrap_or(valkey::PREFIX);
    let url = config.broker.url.as_ref();
    let broker = url.map(|url| Valkey::new(&url.0, prefix)).transpose()?;
    Ok(broker.map(|broker| Arc::new(broker) as Arc<dyn Broker>))
}

/// Ready when the server was asked to stop and the live connections are gone, or have had their time. Meanwhile the listener
/// goes on: who comes now hears 503 and comes back later, rather than finding nobody.
async fn drained(shutdown: &CancellationToken, sessions: &Sessions<Executor>) {
    shutdown.cancelled().await;
    tracing::info!("stopping: requests finish, live connections are told to come back");
    let gone = async {
        while sessions.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(FINISH_WITHIN, gone).await.is_err() {
        tracing::warn!("some connections did not close in time");
    }
}

/// A directory as an object store.
fn directory(path: PathBuf) -> Result<LocalFileSystem, ServeError> {
    let opened = LocalFileSystem::new_with_prefix(path);
    let files = opened.map_err(|error| ServeError::Io {
        what: "the directory of the files cannot be opened",
        source: std::io::Error::other(error),
    })?;
    Ok(files.with_automatic_cleanup(true))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Deletes old files that no job took along when it went: a file is for a job that is submitted or runs while the file's address lives, and a
/// finished job is kept for its retention.
async fn sweep(resolvers: Resolvers, life_millis: i64) {
    loop {
        let before = now().plus_millis(life_millis.saturating_neg());
        match resolvers.files().delete_older(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old files were deleted"),
            Err(error) => {
                tracing::warn!(%error, "old files were not deleted; the next round tries again")
            }
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Deletes jobs that have expired, with their files.
async fn purge(resolvers: Resolvers) {
    loop {
        match resolvers.purge(now()).await {
            Ok(purged) if purged.jobs == PURGE_JOBS => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "expired jobs were not deleted; the next round tries again")
            }
        }
        tokio::time::sleep(PURGE_EVERY).await;
    }
}
