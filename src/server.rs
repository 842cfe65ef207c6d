//! The embedded service, put together in one place: which adapters there are is decided here and nowhere else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use resolvers::Resolvers;
use resolvers::files::Files;
use resolvers::jobs::{ExecutionEvents, Settings, check_schema, now};
use resolvers::store::JobStore;
use resolvers::store::sqlite::{SqliteStore, recorder};
use resolvers::token::Signer;
use resolvers::workflow::embedded::EmbeddedWorkflow;
use sqlite::{Database, Location};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workflow::lambda::{FunctionConfig, Host, HostSettings};
use workflow::runner::Runner;
use workflow::{Engine, Machine, Machines};

use crate::auth::{Authenticator, Oidc, oidc::OidcError};
use crate::broker::valkey::{self, Valkey};
use crate::broker::{Broker, BrokerError};
use crate::chaos::Chaos;
use crate::config::Config;
use crate::data::{DataDirectory, DataError};
use crate::graphql::rate::SubmitRate;
use crate::graphql::{Executor, schema};
use crate::http::guard::Guard;
use crate::http::{self, Doors, operations};
use crate::realtime::Realtime;
use crate::session::{self, Sessions};

/// Where the server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public listener.
    pub public: SocketAddr,
    /// The internal one.
    pub internal: SocketAddr,
}

/// Requests in flight have this long to finish after a stop was asked for.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted: after a restart everybody comes back at once, and whom the system turns away waits a
/// whole second. The system's own bound (`net.core.somaxconn`) holds too.
const BACKLOG: u32 = 16_384;
/// How often expired jobs are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Expired jobs deleted at a time.
const PURGE_JOBS: usize = 500;
/// The longest that one invocation may take on AWS Lambda.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60);

/// Why the server does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An identity provider.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlite::OpenError),
    /// The state machines.
    #[error(transparent)]
    Machines(#[from] workflow::MachinesError),
    /// A sample's state machine.
    #[error("the sample {0} is not valid: {1:?}")]
    Sample(&'static str, Vec<asl::Diagnostic>),
    /// The schema of a job type's input.
    #[error(
        "{job_type}.input.schema.json: {problem}; mend the file, or remove it when inputs need no check"
    )]
    Schema {
        /// The job type.
        job_type: String,
        /// What is wrong.
        problem: String,
    },
    /// The workflow engine.
    #[error(transparent)]
    Engine(#[from] workflow::OpenError),
    /// A listener.
    #[error(
        "cannot listen on {address}: {source}{}",
        if source.kind() == std::io::ErrorKind::AddrInUse { "; another program uses this port: stop it, or choose another with --listen" } else { "" }
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The change feed.
    #[error(transparent)]
    Store(#[from] resolvers::store::StoreError),
    /// Anything else of the operating system's.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Serves until `shutdown` is cancelled; then requests finish, live connections are told to come back, and open executions stay where they
/// are for the next start. `ready` is called once, when both listeners answer.
///
/// # Errors
/// [`ServeError`]; then nothing was served.
pub async fn serve(
    config: Config,
    ready: impl FnOnce(Addresses),
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    operations::recorder();
    let machines = machines(&config)?;
    let issuers = config.auth.oidc.iter().cloned();
    let issuers = issuers
        .map(|issuer| Oidc::open(issuer, now()))
        .collect::<Result<_, _>>()?;
    let data = DataDirectory::open(&config.data)?;
    let public = listen(config.listen).await?;
    let internal = listen(config.internal_listen).await?;
    let addresses = Addresses {
        public: local(&public)?,
        internal: local(&internal)?,
    };
    let base = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", reachable(addresses.public)));

    let signer = Signer::new(data.secret(rand::random())?);
    let database = Database::open(&Location::File(data.database()))?;
    let jobs = SqliteStore::open(database.clone())?;
    let store: Arc<dyn JobStore> = Arc::new(jobs.clone());
    let files =
        LocalFileSystem::new_with_prefix(data.files()?).map_err(|error| ServeError::Io {
            what: "the directory of the files cannot be opened",
            source: std::io::Error::other(error),
        })?;
    let files: Arc<dyn ObjectStore> = Arc::new(files.with_automatic_cleanup(true));
    let services = config
        .services
        .settings(Arc::clone(&files))
        .map_err(|source| ServeError::Io {
            what: "a bucket cannot be used",
            source,
        })?;
    let files = Files::new(files, signer.clone(), base);

    let host = Host::new(HostSettings {
        functions: functions(&config),
        attach_any: config.attach_any_function,
        ..HostSettings::default()
    });
    let events = Arc::new(ExecutionEvents::default());
    let retention_millis = Some(millis(config.retention));
    let runner = Runner::with_services(host.clone(), services);
    let engine = Engine::open(
        database,
        workflow::Settings {
            machines,
            retention: Some(config.retention),
            ..workflow::Settings::default()
        },
        Arc::new(runner.clone()),
        recorder(events.clone(), jobs.clone(), retention_millis),
    )
    .await?;
    let settings = Settings {
        report_url: format!("http://{}/graphql", reachable(addresses.public)),
        retention_millis,
        report_life_millis: millis(config.report_life),
    };
    let resolvers = Resolvers::new(
        Arc::clone(&store),
        Arc::new(EmbeddedWorkflow::new(engine.clone()).with_jobs(jobs)),
        files,
        signer.clone(),
        settings,
    );

    let feed = store.changes(None).await?;
    let background = CancellationToken::new();
    let tasks = TaskTracker::new();
    let chaos = config.chaos.map(Chaos::new);
    let realtime = Realtime {
        broker: broker(&config)?,
        chaos: chaos.clone(),
        repair_every: config.repair_every,
    };
    let (hub, publisher) = realtime.start(&store, Some(feed), &tasks, &background);
    events.run(&resolvers, &tasks, &background);
    let (stop, purging) = (background.clone(), purge(Arc::clone(&store)));
    tasks.spawn(async move { stop.run_until_cancelled(purging).await });

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
    let usual = session::Settings::default();
    let settings = session::Settings {
        connections: config.limits.connections.unwrap_or(usual.connections),
        per_caller: config
            .limits
            .connections_per_caller
            .unwrap_or(usual.per_caller),
        chaos,
        ..usual
    };
    let doors = Doors {
        sessions: Sessions::new(hub, executor.clone(), shutdown.child_token(), settings),
        executor,
        resolvers: resolvers.clone(),
        stopping: shutdown.clone(),
    };
    let guard = Guard {
        loopback_only: addresses.public.ip().is_loopback() && config.public_url.is_none(),
        origins: config.allowed_origins.clone(),
    };
    let sessions = Arc::clone(&doors.sessions);
    let serving_internal = {
        let (engine, stop) = (engine.clone(), background.clone());
        let stopped = async move { stop.cancelled().await };
        tokio::spawn(workflow::internal::serve(internal, engine, runner, stopped))
    };
    ready(addresses);
    let close = CancellationToken::new();
    let mut serving = std::pin::pin!(http::serve(public, doors, guard, close.clone()));
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
    engine.shutdown().await;
    host.stop();
    background.cancel();
    tasks.close();
    tasks.wait().await;
    serving_internal.abort();
    drop(data);
    tracing::info!("stopped");
    Ok(())
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

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listening = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|source| ServeError::Listen { address, source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(|source| ServeError::Io {
        what: "a listener has no address",
        source,
    })
}

/// An address that this machine can connect to: the unspecified one stands for all of its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::from(([127, 0, 0, 1], address.port()));
    }
    address
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn purge(store: Arc<dyn JobStore>) {
    loop {
        match store.purge(now(), PURGE_JOBS).await {
            Ok(PURGE_JOBS) => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "expired jobs were not deleted; the next round tries again")
            }
        }
        tokio::time::sleep(PURGE_EVERY).await;
    }
}

/// The sample job types and those of the directory; a file of the directory wins over a sample of the same name.
fn machines(config: &Config) -> Result<Machines, ServeError> {
    let mut machines = Machines::default();
    if config.samples {
        for (name, definition, schema) in SAMPLES {
            let machine = Machine::parse(name, (*definition).into(), Some((*schema).into()));
            machines.insert(machine.map_err(|problems| ServeError::Sample(name, problems))?);
        }
    }
    if let Some(directory) = &config.state_machines {
        machines.extend(Machines::load(directory)?);
    }
    for machine in machines.iter() {
        let checked = machine
            .input_schema()
            .map_or(Ok(()), |schema| check_schema(schema));
        checked.map_err(|problem| ServeError::Schema {
            job_type: machine.name().to_string(),
            problem,
        })?;
    }
    Ok(machines)
}

const SAMPLES: &[(&str, &str, &str)] = &[
    (
        "thumbnails",
        include_str!("../state-machines/thumbnails.asl.json"),
        include_str!("../state-machines/thumbnails.input.schema.json"),
    ),
    (
        "csv-report",
        include_str!("../state-machines/csv-report.asl.json"),
        include_str!("../state-machines/csv-report.input.schema.json"),
    ),
    (
        "approval",
        include_str!("../state-machines/approval.asl.json"),
        include_str!("../state-machines/approval.input.schema.json"),
    ),
];

/// The configured functions, and the samples' own, which are this program itself (`jobcast function NAME`).
fn functions(config: &Config) -> Vec<FunctionConfig> {
    let mut functions: Vec<FunctionConfig> = config
        .functions
        .iter()
        .map(|(name, function)| FunctionConfig {
            concurrency: function.concurrency.unwrap_or(1),
            timeout: function.timeout.unwrap_or(LONGEST_INVOCATION),
            environment: function.environment.clone().into_iter().collect(),
            directory: function.directory.clone(),
            ..FunctionConfig::new(name, function.command.clone())
        })
        .collect();
    let samples = if config.samples {
        examples::FUNCTIONS
    } else {
        &[]
    };
    match program() {
        Some(program) => {
            for name in samples
                .iter()
                .filter(|name| !config.functions.contains_key(**name))
            {
                let command = vec![
                    program.display().to_string(),
                    "function".to_owned(),
                    (*name).to_owned(),
                ];
                functions.push(FunctionConfig {
                    concurrency: 2,
                    ..FunctionConfig::new(name, command)
                });
            }
        }
        None => tracing::warn!(
            "the path of this program is not known: the sample functions are not served"
        ),
    }
    functions
}

/// The program that serves the sample functions: this one, unless a test that is another program says where it is.
fn program() -> Option<PathBuf> {
    std::env::var_os("JOBCAST_PROGRAM")
        .map(PathBuf::from)
        .or_else(|| std::env::current_exe().ok())
        .filter(|path: &PathBuf| Path::exists(path))
}
