//! `serve`: the server in this process, and the signals that stop it.

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::error::CliError;
use super::output::{note, print};
use crate::config::{Config, SETTINGS, ServeFlags};
use crate::server::{Addresses, serve};

/// Serves until SIGTERM or Ctrl-C (the default command)
///
/// Prints `listening on http://ADDRESS` and, where executions run in it, `internal on http://ADDRESS` on standard output once both answer. At the first
/// signal requests finish and running jobs stay where they are, to go on at the next start; a second signal ends the process at once.
#[derive(Debug, Args)]
#[command(after_long_help = SETTINGS)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) flags: ServeFlags,
}

impl Serve {
    pub(super) async fn run(self) -> Result<Outcome, CliError> {
        let config = Config::load(self.flags)?;
        start_log(&config)?;
        for notice in &config.notices {
            tracing::warn!("{notice}");
        }
        allow_open_files();
        let stop = CancellationToken::new();
        let stopping = stop_on_signal(stop.clone())?;
        serve(config, announce, stop).await?;
        stopping.abort();
        Ok(Outcome::Succeeded)
    }
}

/// As many open files as the system lets this process have: what it gives at first (often 1,024) is fewer than there may be sockets.
pub(super) fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if limit != most
        && let Err(error) = setrlimit(Resource::Nofile, most)
    {
        tracing::warn!(%error, "the limit of open files was not raised; `ulimit -n` shows it");
    }
}

fn announce(addresses: Addresses) {
    print(format_args!("listening on http://{}", addresses.public));
    if let Some(internal) = addresses.internal {
        print(format_args!("internal on http://{internal}"));
    }
}

/// Begins to log as the configuration says.
fn start_log(config: &Config) -> Result<(), CliError> {
    let started = crate::log::init(&config.log, config.log_format);
    started.map_err(|source| CliError::Log {
        filter: config.log.clone(),
        source,
    })
}

/// Cancels `stop` at the first SIGTERM or SIGINT; at the second the process ends. To be called before anybody is told that it may be stopped.
fn stop_on_signal(stop: CancellationToken) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let listen = |kind| signal(kind).map_err(CliError::Runtime);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        stop.cancel();
        let status = either(&mut terminate, &mut interrupt).await;
        note("stopped at once; jobs that ran go on at the next start");
        std::process::exit(status);
    }))
}

/// Waits for one of the two; the exit status that shells give a process that it ended.
async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    let number = tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    };
    128 + number.as_raw_value()
}
