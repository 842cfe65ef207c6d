//! Everything in this process: SQLite, the engine of `workflow` with its Lambda host, a directory
//! of files, the internal listener.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use job::Time;
use object_store::ObjectStore;
use resolvers::files::{Outage, PART_BYTES};
use resolvers::jobs::{Sweeps, now};
use resolvers::queues::local::LocalQueues;
use resolvers::store::sqlite::SqliteStore;
use resolvers::token::{Renewal, Signer, hide};
use resolvers::workflow::embedded::EmbeddedWorkflow;
use resolvers::workflow::recorder::recorder;
use sqlite::{Database, Location};
use tokio_util::task::AbortOnDropHandle;
use workflow::lambda::{FunctionConfig, Host, HostSettings, limits};
use workflow::runner::{Refresh, Runner};
use workflow::secret::{Admission, Secret};
use workflow::{Engine, Machines};

use super::adapters::{AdapterContext, Adapters, directory, millis};
use super::error::ServeError;
use super::listener::{base, listen, local};
use super::private::Private;
use super::{cleaning, commands};
use crate::config::{Config, Function, reachable};
use crate::data::DataDirectory;

/// The hidden command that supervises a function's process; see [`workflow::lambda::supervisor`].
/// The words that follow are the function's command.
pub const SUPERVISE: &str = "supervise";

/// The parts that run in this process: the engine, its functions, the internal listener and the
/// data directory.
pub(super) struct Embedded {
    engine: Engine,
    host: Host,
    _internal: AbortOnDropHandle<std::io::Result<()>>,
    _data: DataDirectory,
}

impl Embedded {
    /// Stops the engine and the functions, once no request uses them. Open executions are kept for
    /// the next start.
    pub(super) async fn shutdown(&self) {
        self.engine.shutdown().await;
        self.host.stop();
    }
}

/// Opens the adapters in the data directory. Open executions are resumed.
pub(super) async fn open(context: AdapterContext<'_>) -> Result<Adapters, ServeError> {
    let config = context.config;
    let data = DataDirectory::open(&config.data)?;
    let listener = listen(config.internal_listen)?;
    let internal = local(&listener)?;
    let signer = Signer::new(data.secret(rand::random())?);
    let admission = admission(&data, config)?;
    let database = Database::open(&Location::File(data.database()?))?;
    let jobs = SqliteStore::open(database.clone())?;
    let queues = match config.intake.owners() {
        Some(_) => Some(LocalQueues::open(database.clone(), now()).await?),
        None => None,
    };
    let objects: Arc<dyn ObjectStore> = Arc::new(Private(directory(data.files()?)?));
    let services = config
        .services
        .settings(Arc::clone(&objects))
        .map_err(|source| ServeError::Io {
            what: "a bucket cannot be used",
            source,
        })?;
    let reachable = reachable(context.public);
    let host = host(&context, reachable);
    let renewal = Renewal::new(signer.clone(), millis(config.report_life));
    let runner =
        Runner::with_services(host.clone(), services).with_refresh(Arc::new(Renews(renewal)));
    let engine = Engine::open(
        database,
        workflow::Settings {
            machines: context.machines,
            retention: Some(config.retention),
            ..workflow::Settings::default()
        },
        Arc::new(runner.clone()),
        recorder(
            context.events.clone(),
            jobs.clone(),
            Some(millis(config.retention)),
        ),
    )
    .await?;
    let serving = {
        let (engine, stop) = (engine.clone(), context.stop.clone());
        let stopped = async move { stop.cancelled().await };
        workflow::internal::serve(listener, engine, runner, admission, stopped)
    };
    Ok(Adapters {
        store: Arc::new(jobs.clone()),
        workflow: Arc::new(EmbeddedWorkflow::new(engine.clone()).with_jobs(jobs)),
        objects,
        part_bytes: PART_BYTES,
        outage_of: |_| Outage::Full,
        sweeps_files: true,
        sweeps: Sweeps::Alone,
        purge_every: cleaning::PURGE_EVERY,
        signer,
        report_url: format!("http://{reachable}/graphql"),
        follows_changes: true,
        queues,
        internal: Some(internal),
        embedded: Some(Embedded {
            engine,
            host,
            _internal: AbortOnDropHandle::new(tokio::spawn(serving)),
            _data: data,
        }),
    })
}

/// The host of the functions. Functions that cannot be run are logged.
fn host(context: &AdapterContext<'_>, reachable: SocketAddr) -> Host {
    let config = context.config;
    let host = Host::new(HostSettings {
        functions: functions(config, &base(config, context.public)),
        attach_any: config.attach_any_function,
        supervisor: supervisor(),
        redact: hide,
        direct_hosts: vec![reachable.ip().to_string()],
        ..HostSettings::default()
    });
    warn_of_lacking(&host, &context.machines);
    for (name, function) in &config.functions {
        if let Some(problem) = commands::problem(function, std::env::var_os("PATH")) {
            tracing::warn!("[functions.{name}]: {problem}; its jobs fail until that is mended");
        }
    }
    host
}

/// Writes the internal listener's secret of this start.
fn admission(data: &DataDirectory, config: &Config) -> Result<Admission, ServeError> {
    let secret = Secret::random();
    let path = data.internal_key(secret.reveal())?;
    if !config.internal_secret_required {
        return Ok(Admission::Optional(secret));
    }
    tracing::info!(path = %path.display(), "the internal listener requires the secret in this file");
    Ok(Admission::Required(secret))
}

/// Gives the tasks of a redriven execution report tokens of the job's current attempt.
#[derive(Debug)]
struct Renews(Renewal);

impl Refresh for Renews {
    fn refresh(&self, execution: &str, redrives: u32, payload: &str) -> Option<Arc<str>> {
        let now = Time::from_millis(jiff::Timestamp::now().as_millisecond());
        self.0.renewed(execution, redrives, payload, now)
    }
}

/// The command that ends a function's process together with all processes that it started.
fn supervisor() -> Vec<OsString> {
    let program = program().map(|program| vec![program.into_os_string(), SUPERVISE.into()]);
    program.unwrap_or_default()
}

/// The configured functions, and those of the samples, which this program itself runs (`jobcast
/// function NAME`).
fn functions(config: &Config, base: &str) -> Vec<FunctionConfig> {
    let places = config.sample_addresses.iter().map(String::as_str);
    let files = format!("{base}/files/");
    let places: Vec<&str> = places.chain([files.as_str()]).collect();
    let places = places.join(",");
    let mut functions: Vec<FunctionConfig> = config
        .functions
        .iter()
        .map(|(name, function)| FunctionConfig {
            timeout: function.timeout.unwrap_or(limits::TIMEOUT),
            environment: function.environment.clone(),
            pass_environment: function.pass_environment.clone(),
            secret: function.runtime_secret,
            directory: function.directory.clone(),
            ..with_defaults(name, function)
        })
        .collect();
    let samples = if config.samples {
        samples::FUNCTIONS
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
                    // The runtime client of the samples takes an address with a path
                    // (`functions::run`).
                    secret: true,
                    environment: [(samples::PLACES.to_owned(), places.clone())].into(),
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

fn with_defaults(name: &str, function: &Function) -> FunctionConfig {
    let mut config = FunctionConfig::new(name, function.command.clone());
    if let Some(concurrency) = function.concurrency {
        config.concurrency = concurrency;
    }
    if let Some(init_timeout) = function.init_timeout {
        config.init_timeout = init_timeout;
    }
    config
}

/// Warns of functions that have no process. It is not an error: a job may never reach that state.
fn warn_of_lacking(host: &Host, machines: &Machines) {
    for machine in machines.iter() {
        for (at, function) in machine.functions() {
            if let Some(reason) = host.lacks(&function) {
                tracing::warn!("{}.asl.json: {at}: {reason}", machine.name());
            }
        }
    }
}

/// The program that runs the sample functions: this one, unless a test names another.
fn program() -> Option<PathBuf> {
    std::env::var_os("JOBCAST_PROGRAM")
        .map(PathBuf::from)
        .or_else(|| std::env::current_exe().ok())
        .filter(|path: &PathBuf| Path::exists(path))
}
