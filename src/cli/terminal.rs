//! The terminal while bars are drawn on it: it does not write `^C` into them. It draws nothing itself.

use std::io::stdin;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Until it is dropped, the terminal shows no control characters that are typed.
#[derive(Debug)]
pub(super) struct Quiet(Option<Termios>);

impl Quiet {
    /// Where there is no terminal, nothing changes.
    pub(super) fn begin() -> Quiet {
        let Ok(before) = tcgetattr(stdin()) else {
            return Quiet(None);
        };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        let changed = tcsetattr(stdin(), OptionalActions::Now, &quiet);
        Quiet(changed.is_ok().then_some(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
