//! The terminal while bars are drawn on it: it does not write `^C` into them, and has its own modes back whenever something else uses it, such
//! as the shell after Ctrl-Z. It draws nothing itself.

use std::io::stdin;

use rustix::process::{Signal, getpgrp, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Until it is dropped, the terminal shows no control characters that are typed.
#[derive(Debug)]
pub(super) struct Quiet {
    before: Option<Termios>,
    _stops: Option<AbortOnDropHandle<()>>,
}

impl Quiet {
    /// Where there is no terminal, nothing changes.
    pub(super) fn begin() -> Quiet {
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

/// Gives the terminal back when the process is stopped (Ctrl-Z), and takes it again when it goes on in the foreground.
async fn stops(before: Termios, quiet: Termios) {
    let stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()));
    let go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
    // Without them the process stops as any other does.
    let (Ok(mut stop), Ok(mut go_on)) = (stop, go_on) else {
        return;
    };
    loop {
        // Cancel-safe: a signal that is not taken now is taken by the next turn.
        tokio::select! {
            _ = stop.recv() => {
                set(&before);
                let _ = kill_process(getpid(), Signal::STOP);
            }
            _ = go_on.recv() => set(&quiet),
        }
    }
}

/// Sets the modes, if the terminal is ours: a process in the background that does so would be stopped.
fn set(modes: &Termios) {
    // One that controls nobody stops nobody.
    if tcgetpgrp(stdin()).map_or(true, |foreground| foreground == getpgrp()) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
    }
}
