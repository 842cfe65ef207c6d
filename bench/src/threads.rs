//! Worker threads like a server's. The load itself runs on one thread.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::Result;

/// A runtime that may be dropped anywhere, also after an error.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn new() -> Result<Threads> {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_stack_size(json::THREAD_STACK)
            .build()?;
        Ok(Threads(Some(runtime)))
    }

    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let runtime = self.0.as_ref().expect("it is taken on drop only");
        runtime.spawn(future)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
