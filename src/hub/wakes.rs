//! Who has something to take after a publish. They are woken when the publish holds no lock any more and has told each
//! connection all that it has to tell it, so that it goes out in one write.

use std::task::Waker;

use tokio::runtime::Handle;

/// Connections that are woken on the publisher's own thread: a waker may do the connection's work at once.
pub(crate) const AT_ONCE: usize = 32;
/// Connections that are woken by one task; who takes which is for the runtime to say.
const TOGETHER: usize = 64;

/// Wakes them when it is dropped.
#[derive(Default)]
pub(super) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        while self.0.len() > AT_ONCE
            && let Ok(runtime) = Handle::try_current()
        {
            let rest = self
                .0
                .split_off(self.0.len().saturating_sub(TOGETHER).max(AT_ONCE));
            runtime.spawn(async move { rest.into_iter().for_each(Waker::wake) });
        }
        self.0.drain(..).for_each(Waker::wake);
    }
}
