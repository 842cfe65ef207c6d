//! The cloud: one endpoint on loopback for DynamoDB, its streams, Step Functions, SQS, Lambda and
//! EventBridge, with everything that moves between them.
//!
//! | module | what |
//! |---|---|
//! | `settings` | how it is set |
//! | `door` | the endpoint: counts, faults, and where a request goes |
//! | `inner` | what all parts share |
//! | `services` | what is behind the door |
//! | `action` | which action a request is, and errors in each service's form |
//! | `tables` | DynamoDB behind the door: its region, its units, its streams |
//! | `attached` | functions that run in this process |
//! | `lambda` | invocations, and the API of mappings |
//! | `tasks`, `begun` | the work of Task states |
//! | `streams`, `queues` | the mappings at work |
//! | `pushed`, `pushes` | log entries and events of executions, to functions |

mod action;
mod attached;
mod begun;
mod door;
mod error;
mod inner;
mod lambda;
mod pushed;
mod pushes;
mod queues;
mod services;
mod settings;
mod streams;
mod tables;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dynoxide::Database;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workflow::Engine;
use workflow::lambda::{Host, HostSettings};

pub use self::attached::Answer;
pub use self::error::StartError;
pub use self::inner::FailedEvent;
use self::inner::{Inner, Tables};
pub use self::settings::{LogSettings, Settings, Timing};
pub use self::tables::no_stream;
use crate::counts::Counts;
use crate::event_bus::Rule;
use crate::execution_log::LogEvent;
use crate::faults::Faults;
use crate::mapping::config::ApiError;
use crate::pattern::Pattern;
use crate::scope::Scope;
use crate::sqs::{Queues, SqsError};

/// A running cloud. It ends, with its functions' processes, when it is dropped.
#[derive(Debug)]
pub struct Cloud {
    inner: Arc<Inner>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.inner.stop.cancel();
        self.inner.host.stop();
    }
}

impl Cloud {
    /// Starts a cloud without tables, queues and mappings.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings) -> Result<Cloud, StartError> {
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let dynamodb = TcpListener::bind("127.0.0.1:0").await?;
        let internal = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", door.local_addr()?);
        let database = Database::memory();
        let database = database.map_err(|error| StartError::Database(error.to_string()))?;
        let Settings { scope, .. } = settings;
        let environment = environment(&scope, &endpoint);
        let mut functions = settings.functions;
        for function in &mut functions {
            for (name, value) in &environment {
                let own = function.environment.entry(name.clone());
                own.or_insert_with(|| value.clone());
            }
        }
        let host = Host::new(HostSettings {
            functions,
            region: scope.region.clone(),
            account: scope.account.clone(),
            supervisor: settings.supervisor,
            attach_any: true,
            ..HostSettings::default()
        });
        let inner = Arc::new(Inner {
            dynamodb: dynamodb.local_addr()?,
            internal: internal.local_addr()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            engine: std::sync::OnceLock::new(),
            host: host.clone(),
            queues: Mutex::new(Queues::new(scope.clone(), &endpoint, settings.seed)),
            queues_changed: Notify::new(),
            tables_changed: Notify::new(),
            mappings: Mutex::default(),
            running: Mutex::default(),
            rules: Mutex::default(),
            subscribers: Mutex::default(),
            pushes: Default::default(),
            begun: Mutex::default(),
            log: Mutex::default(),
            events: Mutex::default(),
            failed: Mutex::default(),
            faults: Faults::default(),
            counts: Counts::default(),
            seed: AtomicU64::new(settings.seed),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            database: Tables(database.clone()),
            timing: settings.timing,
            logs: settings.logs,
            endpoint,
            scope,
        });
        inner.serve_dynamodb(dynamodb, database);
        inner.serve_engine(internal, settings.machines).await?;
        inner.spawn(door::serve(Arc::clone(&inner), door));
        inner.spawn(pushes::drive(Arc::clone(&inner)));
        Ok(Cloud { inner })
    }

    /// `http://127.0.0.1:PORT`, of every service.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// The variables with which AWS's SDKs reach this cloud; functions have them.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        environment(&self.inner.scope, &self.inner.endpoint)
    }

    /// Faults to come.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// What was called and consumed.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.inner.counts
    }

    /// The embedded Step Functions behind the endpoint.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.inner.engine()
    }

    /// The ARN of a table's stream; `None` while it has none.
    #[must_use]
    pub fn stream_arn(&self, table: &str) -> Option<String> {
        self.inner.stream_arn(table)
    }

    /// Creates an event source mapping, with the members of `CreateEventSourceMapping`; returns
    /// what AWS answers. It works from then on.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn map(&self, request: &Value) -> Result<Value, ApiError> {
        self.inner.create_mapping(request)
    }

    /// Calls SQS without HTTP, uncounted and without faults.
    ///
    /// # Errors
    /// [`SqsError`].
    pub fn sqs(&self, action: &str, request: &Value) -> Result<Value, SqsError> {
        self.inner.sqs(action, request)
    }

    /// Creates a queue with attributes; returns its ARN.
    ///
    /// # Errors
    /// [`SqsError`].
    pub fn create_queue(&self, name: &str, attributes: &Value) -> Result<String, SqsError> {
        let request = serde_json::json!({"QueueName": name, "Attributes": attributes});
        self.inner.sqs("CreateQueue", &request)?;
        Ok(self.inner.scope.queue(name))
    }

    /// The address of a queue.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        self.inner.queues.lock().url(name)
    }

    /// Runs a function in this process, one invocation at a time, besides those that run as
    /// programs. The handler may block briefly.
    pub fn attach(&self, name: &str, handler: impl Fn(Value) -> Answer + Send + Sync + 'static) {
        let inner = Arc::clone(&self.inner);
        let served = attached::serve(Arc::clone(&inner), name.to_owned(), Arc::new(handler));
        inner.spawn(served);
    }

    /// Subscribes a function to the log group of the executions.
    pub fn subscribe_logs(&self, function: &str) {
        self.inner.subscribers.lock().push(function.to_owned());
    }

    /// Adds a rule of the event bus.
    pub fn add_rule(&self, name: &str, pattern: Pattern, function: &str) {
        self.inner.rules.lock().push(Rule {
            name: name.to_owned(),
            pattern,
            function: function.to_owned(),
        });
    }

    /// Invokes a function with a scheduled event, now. Its outcome is not waited for.
    pub fn tick(&self, rule: &str, function: &str) {
        self.inner.tick(rule, function);
    }

    /// Kills what a function does now: the processes of its invocations end, whichever part of the
    /// cloud began them.
    pub fn kill_in_flight(&self, function: &str) {
        self.inner.faults.kill_in_flight(function);
        self.inner.begun.lock().kill(function, &self.inner.host);
    }

    /// The log entries of the executions so far.
    #[must_use]
    pub fn log_entries(&self) -> Vec<LogEvent> {
        self.inner.log.lock().clone()
    }

    /// The events on the bus so far.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.inner.events.lock().clone()
    }

    /// Events that functions did not take after all retries.
    #[must_use]
    pub fn failed_events(&self) -> Vec<FailedEvent> {
        self.inner.failed.lock().clone()
    }
}

fn environment(scope: &Scope, endpoint: &str) -> BTreeMap<String, String> {
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", &scope.region),
        ("AWS_DEFAULT_REGION", &scope.region),
        ("AWS_ACCESS_KEY_ID", "localcloud"),
        ("AWS_SECRET_ACCESS_KEY", "localcloud"),
    ];
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into_iter().collect()
}
