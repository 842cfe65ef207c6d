//! The server: it opens the adapters, assembles the node and serves until it is stopped. The
//! adapters are chosen here and nowhere else: `embedded` or `aws` opens them, and the other modules
//! do not depend on the choice.
//!
//! | module | what |
//! |---|---|
//! | `adapters` | what an adapter needs and gives |
//! | [`node`] | the node over its adapters, without listeners |
//! | `embedded` | SQLite, the engine of `workflow`, a directory of files: all in this process |
//! | `aws` | DynamoDB and Step Functions (feature `aws`) |
//! | `bucket` | files in S3 (feature `aws`) |
//! | `cleaning` | deletes expired jobs and old files |
//! | `commands` | whether the command of a function can be run |
//! | `invoked` | a node without listeners, for the functions on AWS Lambda (feature `lambda`) |
//! | `private` | the directory of files, closed to other users |
//! | `job_types` | the state machines of the job types |
//! | `listener` | addresses |
//! | `open_files` | the limit of open files |
//! | `error` | why a server does not start |

mod adapters;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod bucket;
mod cleaning;
mod commands;
mod embedded;
mod error;
#[cfg(feature = "lambda")]
mod invoked;
mod job_types;
mod listener;
pub mod node;
mod open_files;
mod private;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use resolvers::Resolvers;
use resolvers::files::{Files, GET_LIFE_MILLIS};
use resolvers::jobs::{ExecutionEvents, Settings, now};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::adapters::{AdapterContext, Adapters, millis};
use self::embedded::Embedded;
use self::listener::{base, listen, local};
use self::node::{Background, Node};
use crate::auth::Oidc;
use crate::chaos::Chaos;
use crate::config::{Config, ConfigError, PublicUrl};
use crate::graphql::Executor;
use crate::graphql::rate::SubmitRate;
use crate::http::guard::{Guard, usual_origins};
use crate::http::{self, Doors, operations};
use crate::intake::{Intake, LocalIntake, worker};
use crate::peers;
use crate::realtime::Realtime;
use crate::realtime::broker::valkey::{self, Valkey};
use crate::realtime::broker::{Broker, BrokerError, authorities};
use crate::session::{self, Sessions};

pub use self::embedded::SUPERVISE;
pub use self::error::ServeError;
#[cfg(feature = "lambda")]
pub use self::invoked::{InvokedNode, invoked, store};
pub use self::open_files::allow_open_files;

/// Time allowed for requests in flight to finish after a stop.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The addresses of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public listener.
    pub public: SocketAddr,
    /// The internal one, where functions and executions run in this process.
    pub internal: Option<SocketAddr>,
    /// The listener of operations, where one is configured.
    pub operations: Option<SocketAddr>,
}

/// Serves until `shutdown` is cancelled. Then requests finish, live connections are closed with the
/// request to connect again, and open executions are kept for the next start. `ready` is called
/// once, when every listener answers.
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
    let issuers = issuers(&config)?;
    let listener = listen(config.listen)?;
    let public = local(&listener)?;
    let probes = config.operations_listen.map(listen).transpose()?;
    let operations = probes.as_ref().map(local).transpose()?;
    let events = Arc::new(ExecutionEvents::default());
    let background = Background::default();
    let mut adapters = open(AdapterContext {
        config: &config,
        machines,
        public,
        events: &events,
        checks_at_start: true,
        stop: &background.stop,
    })
    .await?;
    let embedded = adapters.embedded.take();
    let (internal, sweeps_files) = (adapters.internal, adapters.sweeps_files);
    let queues = adapters.queues.take();
    let sweeps = adapters.sweeps;
    let purge_every = adapters.purge_every;
    let node = node(&config, public, adapters, issuers)?;
    let drain = CancellationToken::new();
    let mut doors = Doors {
        // The probes fail from the signal on, and the sessions go on until the drain.
        stopping: shutdown.clone(),
        ..node.assemble(&background, drain.clone()).await?
    };
    if let Some(listener) = probes {
        let (doors, stop) = (doors.clone(), background.stop.clone());
        let settings = operations_settings(&listener)?;
        let serving = http::serve(listener, doors, settings, stop);
        background.tasks().spawn(serving);
    }
    let resolvers = doors.resolvers.clone();
    if let Some((queues, owners)) = queues.zip(config.intake.owners()) {
        let intake = Intake::new(resolvers.clone(), owners.clone());
        let (settings, stop) = (config.intake.settings(), shutdown.clone());
        background.spawn(worker::run(queues.clone(), intake, settings, stop));
        doors.intake = Some(Arc::new(LocalIntake { queues, owners }));
    }
    events.run(&resolvers, sweeps, background.tasks(), &background.stop);
    background.spawn(cleaning::purge(resolvers.clone(), purge_every));
    if sweeps_files {
        background.spawn(cleaning::sweep(resolvers.clone(), file_life(&config)));
    }
    ready(Addresses {
        public,
        internal,
        operations,
    });
    let settings = http_settings(&config, public);
    let stop = Stop {
        signal: shutdown,
        delay: config.stop_delay,
        drain,
    };
    stop.serve_until(listener, doors, settings).await;
    finish(&resolvers, embedded, &background).await;
    Ok(())
}

/// Time in milliseconds for which files are kept. A file's job may be submitted or run while the
/// file's address lives, and is kept for its retention afterwards.
fn file_life(config: &Config) -> i64 {
    millis(config.retention).saturating_add(GET_LIFE_MILLIS)
}

fn issuers(config: &Config) -> Result<Vec<Oidc>, ServeError> {
    let issuers = config.auth.oidc.iter().cloned();
    let issuers: Result<_, _> = issuers.map(|issuer| Oidc::open(issuer, now())).collect();
    Ok(issuers?)
}

/// The node of this configuration.
fn node(
    config: &Config,
    public: SocketAddr,
    adapters: Adapters,
    issuers: Vec<Oidc>,
) -> Result<Node, ServeError> {
    let chaos = config.chaos.map(Chaos::new);
    let signer = adapters.signer;
    let files = Files::new(adapters.objects, signer.clone(), base(config, public))
        .with_outages(adapters.outage_of);
    let submits = config.limits.submits_per_second.map(SubmitRate::new);
    Ok(Node {
        follows_changes: adapters.follows_changes,
        realtime: Realtime {
            broker: broker(config)?,
            chaos: chaos.clone(),
            repair_every: config.repair_every,
        },
        api_keys: config.auth.api_keys.clone(),
        issuers,
        submit_rate: submits.unwrap_or_default(),
        sessions: session_settings(config, chaos),
        ..Node::new(
            adapters.store,
            adapters.workflow,
            files.with_parts_of(adapters.part_bytes),
            signer,
            Settings {
                report_url: adapters.report_url,
                retention_millis: Some(millis(config.retention)),
                report_life_millis: millis(config.report_life),
            },
        )
    })
}

/// How the public listener ends.
struct Stop {
    /// Cancelled by the first signal.
    signal: CancellationToken,
    /// Time after the signal for which everything goes on.
    delay: Duration,
    /// Cancelled afterwards: the live connections close.
    drain: CancellationToken,
}

impl Stop {
    /// Serves the public listener until the server is stopped and its requests have finished.
    async fn serve_until(&self, listener: TcpListener, doors: Doors, settings: http::Settings) {
        let sessions = Arc::clone(&doors.sessions);
        let close = CancellationToken::new();
        let mut serving = std::pin::pin!(http::serve(listener, doors, settings, close.clone()));
        tokio::select! {
            () = &mut serving => {}
            () = self.drained(&sessions) => {
                close.cancel();
                if tokio::time::timeout(FINISH_WITHIN, serving).await.is_err() {
                    tracing::warn!("some requests did not end in time");
                }
            }
        }
    }

    /// Waits until the server was asked to stop, its delay is over, and its live connections have
    /// closed within [`FINISH_WITHIN`]. The listener goes on meanwhile: during the delay as before,
    /// and afterwards an upgrade is answered 503, after which the client tries again, instead of
    /// being refused.
    async fn drained(&self, sessions: &Sessions<Executor>) {
        self.signal.cancelled().await;
        if !self.delay.is_zero() {
            let delay = humantime::format_duration(self.delay);
            tracing::info!("stopping in {delay}: until then only the probes fail");
            tokio::time::sleep(self.delay).await;
        }
        self.drain.cancel();
        tracing::info!("stopping: requests finish, live connections are asked to connect again");
        let gone = async {
            while sessions.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, gone).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
    }
}

/// Ends what ran behind the requests, in order: the use cases, the engine, the tasks, the data
/// directory.
async fn finish(resolvers: &Resolvers, embedded: Option<Embedded>, background: &Background) {
    let settled = tokio::time::timeout(FINISH_WITHIN, resolvers.settle());
    if settled.await.is_err() {
        tracing::warn!("some work behind the requests did not end in time");
    }
    if let Some(embedded) = &embedded {
        embedded.shutdown().await;
    }
    background.end().await;
    drop(embedded);
    tracing::info!("stopped");
}

fn http_settings(config: &Config, address: SocketAddr) -> http::Settings {
    let open = !config.auth.is_configured();
    let url = config.public_url.as_ref();
    let usual = || {
        let usual = usual_origins(open);
        usual.iter().map(ToString::to_string).collect()
    };
    let guard = Guard {
        loopback_only: address.ip().is_loopback() && url.is_none_or(PublicUrl::is_loopback),
        open,
        origins: config.allowed_origins.clone().unwrap_or_else(usual),
        own: url.map(|url| url.origin().to_owned()),
    };
    http::Settings {
        guard,
        slots: peers::slots(getrlimit(Resource::Nofile).current),
        per_address: config.limits.strangers_per_address,
        prefix: url.map_or("", PublicUrl::path).to_owned(),
        guards_metrics: !open && !config.open_metrics,
        ..http::Settings::default()
    }
}

/// The settings of the listener of operations: its doors need no credentials, and its places are
/// its own.
fn operations_settings(listener: &TcpListener) -> Result<http::Settings, ServeError> {
    let guard = Guard {
        loopback_only: local(listener)?.ip().is_loopback(),
        open: true,
        ..Guard::default()
    };
    Ok(http::Settings {
        guard,
        slots: operations::SLOTS,
        per_address: Some(operations::SLOTS),
        operations_only: true,
        ..http::Settings::default()
    })
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

/// Opens the adapters of the configuration.
async fn open(context: AdapterContext<'_>) -> Result<Adapters, ServeError> {
    match &context.config.aws {
        None => embedded::open(context).await,
        #[cfg(feature = "aws")]
        Some(aws) => aws::open(aws, context).await,
        #[cfg(not(feature = "aws"))]
        Some(_) => Err(ServeError::Config(ConfigError::BuiltWithoutAws)),
    }
}

/// Creates the table of `[aws]`, with its indexes and its stream, and returns its name once it can
/// be used.
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
    let Some(url) = &config.broker.url else {
        return Ok(None);
    };
    let ca_file = config.broker.ca_file.as_deref();
    let found = match url.0.starts_with("rediss:") {
        true => authorities::find(ca_file, |name| std::env::var_os(name))?,
        false => None,
    };
    let broker = match found {
        Some(found) => Valkey::trusting(&url.0, prefix, found)?,
        None => Valkey::new(&url.0, prefix)?,
    };
    Ok(Some(Arc::new(broker)))
}
