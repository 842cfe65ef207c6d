//! External ends of a command: a signal, or a closed output. The command's future is dropped, which
//! also restores the terminal.

use std::future::Future;
use std::io::{ErrorKind, IsTerminal, stdout};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::error::CliError;
use crate::cli::show::output::end_without_reader;

/// Runs the work until it is done or a signal arrives: Ctrl-C, SIGTERM, and on a terminal SIGHUP
/// and SIGQUIT.
pub(crate) async fn until_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
    said: impl FnOnce() -> String,
) -> Result<T, CliError> {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    // Without a terminal these signals may be ignored on purpose, as by nohup.
    let kinds = if stdout().is_terminal() {
        &kinds
    } else {
        &kinds[..2]
    };
    // Each future is cancel-safe: a signal that arrived leads to the end of the process.
    let mut signals = Vec::new();
    for kind in kinds {
        let mut signal = signal(*kind).map_err(CliError::Runtime)?;
        signals.push(Box::pin(async move {
            signal.recv().await;
            kind.as_raw_value()
        }));
    }
    tokio::select! {
        done = work => done,
        (signal, ..) = futures_util::future::select_all(signals) => {
            Err(CliError::Interrupted { signal, said: said() })
        }
        () = reader_is_gone() => end_without_reader(),
    }
}

/// Ready when the reader of standard output has closed the pipe. A watch may print nothing for
/// hours, so a failed write alone would not show it.
async fn reader_is_gone() {
    let is_pipe = fstat(stdout()).is_ok_and(|about| {
        matches!(
            FileType::from_raw_mode(about.st_mode),
            FileType::Fifo | FileType::Socket
        )
    });
    if is_pipe {
        // The thread ends with the process.
        let _ = tokio::task::spawn_blocking(wait_for_reader_to_go).await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn wait_for_reader_to_go() {
    let out = stdout();
    loop {
        let mut pipes = [PollFd::new(&out, PollFlags::empty())];
        match poll(&mut pipes, None) {
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::Interrupted => {}
            Ok(_)
                if !pipes[0]
                    .revents()
                    .intersects(PollFlags::ERR | PollFlags::HUP) => {}
            _ => return,
        }
    }
}
