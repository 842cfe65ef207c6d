//! One child process of a function: started with a listener of its own, watched, killed with its group, started again after a wait.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::function::{Function, Process};
use super::{http, limits, output};

/// Runs one of a function's processes until the host stops.
pub(super) async fn supervise(
    function: Arc<Function>,
    id: u64,
    process: Arc<Process>,
    stop: CancellationToken,
) {
    let (first, longest) = limits::RESTART;
    let mut wait = first;
    loop {
        let begun = Instant::now();
        let how = match run(&function, id, &process, &stop).await {
            Ok(how) => how,
            Err(error) => format!("the process could not be started: {error}"),
        };
        if stop.is_cancelled() {
            function.process_ended(id, &process, "the server stops");
            return;
        }
        tracing::warn!(target: "function", function = %function.name, "the process ended ({how}); starting it again in {wait:?}");
        function.process_ended(id, &process, &how);
        if begun.elapsed() >= limits::STEADY {
            wait = first;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(longest);
    }
}

/// Runs the process once; how it ended.
async fn run(
    function: &Arc<Function>,
    id: u64,
    process: &Arc<Process>,
    stop: &CancellationToken,
) -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (mut child, _group) = spawn(function, listener.local_addr()?)?;
    let mut helpers = JoinSet::new();
    helpers.spawn(http::serve_process(listener, function.clone(), id));
    if let Some(pipe) = child.stdout.take() {
        helpers.spawn(output::read(pipe, function.name.clone(), process.clone()));
    }
    if let Some(pipe) = child.stderr.take() {
        helpers.spawn(output::read(pipe, function.name.clone(), process.clone()));
    }
    tokio::select! {
        status = child.wait() => status.map(describe),
        () = process.kill.notified() => Ok("killed after its timeout".to_owned()),
        () = stop.cancelled() => Ok("the server stops".to_owned()),
    }
}

fn spawn(function: &Function, runtime_api: SocketAddr) -> std::io::Result<(Child, Group)> {
    let config = function
        .config
        .as_ref()
        .ok_or_else(|| std::io::Error::other("it has no command"))?;
    let (program, arguments) = config
        .command
        .split_first()
        .ok_or_else(|| std::io::Error::other("its command is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", &*function.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
        .env(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", function.name),
        )
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .envs(&config.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if std::env::var_os("AWS_REGION").is_none() {
        let region = function.arn.split(':').nth(3).unwrap_or("us-east-1");
        command.env("AWS_REGION", region);
    }
    if let Some(directory) = &config.directory {
        command.current_dir(directory);
    }
    let child = command.spawn().map_err(|error| {
        let hint = format!(
            "`{program}`: {error}; check command in [functions.{}]",
            config.name
        );
        std::io::Error::new(error.kind(), hint)
    })?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    Ok((child, group))
}

/// A process with everything that it started. Killed when dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There may be nobody left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    }
}
