//! The connections to wake after a publish. They are woken once the publish holds no lock and has
//! put everything into their mailboxes, so that each connection sends it in one write.

use std::task::Waker;

use tokio::runtime::Handle;

/// Maximum number of connections that one task wakes. A waker may do the connection's work at once.
///
/// The publisher does not wake them itself: it would then render the payloads of all its events one
/// after the other, and nothing would be conflated.
const TOGETHER: usize = 64;

/// Collects wakers. [`WakeBatch::wake_all`] wakes them; dropping the batch does the same, so that a
/// panic between two mailboxes leaves no connection asleep.
#[derive(Default)]
pub(super) struct WakeBatch(Vec<Waker>);

impl WakeBatch {
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }

    /// Wakes the connections in tasks of their own, or here where no runtime is running.
    pub(super) fn wake_all(mut self) {
        self.spawn_wakes();
    }

    fn spawn_wakes(&mut self) {
        let Ok(runtime) = Handle::try_current() else {
            return self.0.drain(..).for_each(Waker::wake);
        };
        while !self.0.is_empty() {
            let some = self.0.split_off(self.0.len().saturating_sub(TOGETHER));
            runtime.spawn(async move { some.into_iter().for_each(Waker::wake) });
        }
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.spawn_wakes();
    }
}
