//! The terminal while bars are drawn on it: `^C` is not echoed into them. The terminal's own modes
//! are restored when another program uses it, such as the shell after Ctrl-Z. This module draws
//! nothing.

use std::io::stdin;

use rustix::process::{Signal, getpgrp, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Until it is dropped, the terminal does not echo control characters.
#[derive(Debug)]
pub(crate) struct Quiet {
    before: Option<Termios>,
    _stops: Option<AbortOnDropHandle<()>>,
}

impl Quiet {
    /// Without a terminal this has no effect.
    pub(crate) fn begin() -> Quiet {
        let Ok(before) = tcgetattr(stdin()) else {
            return Quiet {
                before: None,
                _stops: None,
            };
        };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        set(&quiet);
        let stops = AbortOnDropHandle::new(tokio::spawn(stops(before.clone(), quiet)));
        Quiet {
            before: Some(before),
            _stops: Some(stops),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.before.iter().for_each(set);
    }
}

/// Restores the terminal when the process is stopped (Ctrl-Z), and sets its modes again when the
/// process continues in the foreground.
async fn stops(before: Termios, quiet: Termios) {
    let stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()));
    let go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
    // Without these signals the process stops as any other does.
    let (Ok(mut stop), Ok(mut go_on)) = (stop, go_on) else {
        return;
    };
    loop {
        // Cancel-safe: a signal that is not read now is read in the next turn.
        tokio::select! {
            _ = stop.recv() => {
                set(&before);
                let _ = kill_process(getpid(), Signal::STOP);
            }
            _ = go_on.recv() => set(&quiet),
        }
    }
}

/// Sets the modes if this process is in the foreground. A background process that sets them would
/// be stopped.
fn set(modes: &Termios) {
    // A process without a controlling terminal is not stopped.
    if tcgetpgrp(stdin()).map_or(true, |foreground| foreground == getpgrp()) {
        // A closed terminal needs no modes.
        let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
    }
}
