//! `serve`: the server in this process, and the signals that stop it.

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::{note, print};
use crate::config::{Config, SETTINGS, ServeFlags};
use crate::server::{Addresses, allow_open_files, serve};

/// Serves until SIGTERM or Ctrl-C (the default command)
///
/// Prints `listening on http://ADDRESS` and, if executions run in this process, `internal on
/// http://ADDRESS` on standard output once both answer. At the first signal, open requests are
/// finished and running jobs are interrupted; they continue at the next start. A second signal ends
/// the process at once.
#[derive(Debug, Args)]
#[command(after_long_help = SETTINGS)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) flags: ServeFlags,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
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

fn announce(addresses: Addresses) {
    print(format_args!("listening on http://{}", addresses.public));
    if let Some(internal) = addresses.internal {
        print(format_args!("internal on http://{internal}"));
    }
}

/// Starts logging as the configuration says.
fn start_log(config: &Config) -> Result<(), CliError> {
    crate::log::init(&config.log, config.log_format)
        .map_err(|source| CliError::log(&config.log, source))
}

/// Cancels `stop` at the first SIGTERM or SIGINT, and ends the process at the second. Call it
/// before the process announces that it is ready.
fn stop_on_signal(stop: CancellationToken) -> Result<tokio::task::JoinHandle<()>, CliError> {
    let listen = |kind| signal(kind).map_err(CliError::Runtime);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        stop.cancel();
        let status = either(&mut terminate, &mut interrupt).await;
        note("stopped at once; running jobs continue at the next start");
        std::process::exit(status);
    }))
}

/// Waits for one of the two signals, and returns the exit status that shells use for a process that
/// it ended.
async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    let number = tokio::select! {
        _ = terminate.recv() => SignalKind::terminate(),
        _ = interrupt.recv() => SignalKind::interrupt(),
    };
    128 + number.as_raw_value()
}
