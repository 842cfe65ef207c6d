//! The life of one process, from its start to its end: its listener, its output, the time that it
//! has to ask for work, and its end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::child::{Child, NotStarted};
use super::failure::{Failure, FailureReport};
use super::function::Function;
use super::host::HostState;
use super::process::Process;
use super::{environment, http, limits, output};

/// Runs a process until its end.
pub(super) async fn run(
    function: Arc<Function>,
    process: Arc<Process>,
    host: Arc<HostState>,
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
            let report = FailureReport {
                failure: &failure,
                during_init: true,
                output: &output,
            };
            tracing::warn!(
                target: "function", function = %name,
                "a process did not start: {}{}", failure.words(), report.help()
            );
        }
    }
    function.process_ended(&process, &failure);
}

async fn live(
    function: &Arc<Function>,
    process: &Arc<Process>,
    host: Arc<HostState>,
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
