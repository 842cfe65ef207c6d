//! One process of a function, from its start to its end: its listener, its output, its time to come up, and who ends it.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::child::{Child, NotStarted};
use super::failure::{Failure, Told};
use super::function::Function;
use super::output::{self, Tail};
use super::{Redact, Shared, environment, http, limits};
use crate::secret::Secret;

/// A process as its function sees it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: u64,
    pub(super) tail: Mutex<Tail>,
    pub(super) redact: Redact,
    /// What its requests show as the first part of their path.
    pub(super) secret: Option<Secret>,
    /// It has asked for work: its initialization is over.
    up: AtomicBool,
    came_up: Notify,
    /// It was given an invocation.
    served: AtomicBool,
    /// The invocation that it has wants the end of the output.
    wants_tail: AtomicBool,
    /// Why the host ends it.
    given_up: Mutex<Option<&'static str>>,
    end: Notify,
    /// What it says about an initialization that failed.
    init_error: Mutex<Option<(String, Bytes)>>,
}

impl Process {
    pub(super) fn new(id: u64, redact: Redact, secret: Option<Secret>) -> Process {
        Process {
            id,
            tail: Mutex::default(),
            redact,
            secret,
            up: AtomicBool::new(false),
            came_up: Notify::new(),
            served: AtomicBool::new(false),
            wants_tail: AtomicBool::new(false),
            given_up: Mutex::new(None),
            end: Notify::new(),
            init_error: Mutex::new(None),
        }
    }

    pub(super) fn came_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// It asks for work; whether that is the first time.
    pub(super) fn comes_up(&self) -> bool {
        if self.came_up() {
            return false;
        }
        self.up.store(true, Ordering::Release);
        self.came_up.notify_one();
        true
    }

    pub(super) fn served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// It gets an invocation.
    pub(super) fn begin(&self, id: Uuid, tail: bool) {
        self.served.store(true, Ordering::Relaxed);
        self.wants_tail.store(tail, Ordering::Relaxed);
        self.tail.lock().begin(id);
    }

    pub(super) fn wants_tail(&self) -> bool {
        self.wants_tail.load(Ordering::Relaxed)
    }

    /// The host ends it.
    pub(super) fn give_up(&self, why: &'static str) {
        *self.given_up.lock() = Some(why);
        self.end.notify_one();
    }

    /// It says that its initialization failed: that is its end.
    pub(super) fn init_failed(&self, error: String, payload: Bytes) {
        if !self.came_up() {
            *self.init_error.lock() = Some((error, payload));
            self.end.notify_one();
        }
    }

    pub(super) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        (self.redact)(text)
    }
}

/// Runs a process until its end.
pub(super) async fn run(
    function: Arc<Function>,
    process: Arc<Process>,
    host: Arc<Shared>,
    stop: CancellationToken,
) {
    let failure = match live(&function, &process, host, &stop).await {
        Ok(failure) => failure,
        Err(error) => Failure::NotStarted(error.name(), error.words(&function.name)),
    };
    if stop.is_cancelled() {
        return function.process_ended(&process, &Failure::Stopped);
    }
    let name = &function.name;
    match (*process.given_up.lock(), process.came_up()) {
        (Some(why), _) => {
            tracing::info!(target: "function", function = %name, "a process was ended: {why}")
        }
        (None, true) => {
            tracing::warn!(target: "function", function = %name, "a process ended: {}", failure.words())
        }
        (None, false) => {
            let output = process.tail.lock().bytes();
            let told = Told {
                failure: &failure,
                during_init: true,
                output: &output,
            };
            tracing::warn!(
                target: "function", function = %name,
                "a process did not start: {}{}", failure.words(), told.help()
            );
        }
    }
    function.process_ended(&process, &failure);
}

async fn live(
    function: &Arc<Function>,
    process: &Arc<Process>,
    host: Arc<Shared>,
    stop: &CancellationToken,
) -> Result<Failure, NotStarted> {
    let config = function.config.as_ref().ok_or(NotStarted::NoCommand)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut runtime_api = listener.local_addr()?.to_string();
    if let Some(secret) = &process.secret {
        runtime_api = format!("{runtime_api}/{}", secret.reveal());
    }
    let environment = environment::environment(function, config, &host.settings, &runtime_api);
    let mut child = Child::start(config, environment, &host.settings.supervisor)?;
    // Not kept while it runs: the host ends when its last handle is dropped.
    drop(host);
    let mut readers = JoinSet::new();
    for pipe in child.output() {
        readers.spawn(output::read(pipe, function.name.clone(), process.clone()));
    }
    let (closed, serving) = (CancellationToken::new(), JoinSet::new());
    let mut serving: JoinSet<()> = serving;
    serving.spawn(http::serve_process(
        listener,
        function.clone(),
        process.clone(),
        closed.clone(),
    ));
    let mut failure = tokio::select! {
        ended = child.ended() => ended?,
        () = process.end.notified() => Failure::Stopped,
        () = stop.cancelled() => Failure::Stopped,
        () = late(process, config.init_timeout) => Failure::InitTimedOut(config.init_timeout),
    };
    child.end().await;
    // What it wrote and answered before its end is still on its way.
    closed.cancel();
    let rest = async {
        while readers.join_next().await.is_some() {}
        while serving.join_next().await.is_some() {}
    };
    let _ = tokio::time::timeout(limits::LAST_WORDS, rest).await;
    if let Some((error, payload)) = process.init_error.lock().take() {
        failure = Failure::InitError(error, payload);
    }
    Ok(failure)
}

/// Ends when the process has not asked for work within its time.
async fn late(process: &Process, allowed: Duration) {
    let up = tokio::time::timeout(allowed, process.came_up.notified()).await;
    if up.is_ok() || process.came_up() {
        std::future::pending::<()>().await;
    }
}
