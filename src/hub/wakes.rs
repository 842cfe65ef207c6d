//! Who has something to take after a publish. They are woken when the publish holds no lock any more and has told each
//! connection all that it has to tell it, so that it goes out in one write.

use std::task::Waker;

use tokio::runtime::Handle;

/// Connections that are woken by one task: a waker may do the connection's work at once. Not by the publisher itself, which
/// would make the payloads of all its events one after the other, and leave nothing to conflate.
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
        let Ok(runtime) = Handle::try_current() else {
            return self.0.drain(..).for_each(Waker::wake);
        };
        while !self.0.is_empty() {
            let some = self.0.split_off(self.0.len().saturating_sub(TOGETHER));
            runtime.spawn(async move { some.into_iter().for_each(Waker::wake) });
        }
    }
}
