//! One socket's driver as others share it: its own task polls it, and a publish lets it deliver at once, on the
//! publisher's thread, where that costs less than to wake the task.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use wire::{Session, frame};

use super::driver::{Driver, End};
use super::{Admission, Credentials, Executor, limits};

struct Connection<E: Executor, S> {
    driver: Mutex<Driver<E, S>>,
    /// The task that polls the driver.
    task: AtomicWaker,
}

/// What the mailbox wakes.
impl<E, S> Wake for Connection<E, S>
where
    E: Executor,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        // Whoever holds it may have looked into the mailbox already.
        let has_done_all = self.driver.try_lock().is_some_and(|mut driver| {
            let waker = Waker::from(Arc::clone(&self));
            driver.deliver_at_once(&waker)
        });
        if !has_done_all {
            self.task.wake();
        }
    }
}

/// Ends the connection's part in the hub. The mailbox would otherwise keep the connection, and that the mailbox.
struct Served<E: Executor, S>(Arc<Connection<E, S>>);

impl<E: Executor, S> Drop for Served<E, S> {
    fn drop(&mut self) {
        self.0.driver.lock().leave_hub();
    }
}

/// Serves one upgraded socket to its end. `early` are bytes that were read of it already.
pub(crate) fn serve<E, S>(
    admission: Admission<E>,
    socket: S,
    early: &[u8],
    protocol: Box<dyn Session>,
    credentials: Box<Credentials>,
) -> impl Future<Output = ()> + Send + use<E, S>
where
    E: Executor,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = Instant::now();
    let driver = Driver::new(admission, socket, early, protocol, credentials);
    let served = Served(Arc::new(Connection {
        driver: Mutex::new(driver),
        task: AtomicWaker::new(),
    }));
    // A block, and no async function: that would keep room for its arguments beside the connection that they went into.
    async move {
        let connection = &served.0;
        let end = connection.run().await;
        let driver = connection.driver.lock();
        let metrics = &driver.admission.sessions.metrics;
        match end {
            End::Left => metrics.disconnect_success.increment(1),
            End::Gone | End::Refused => metrics.disconnect_client_error.increment(1),
            End::Closed => metrics.disconnect_server_error.increment(1),
        }
        metrics.connection_duration.record(opened.elapsed());
    }
}

/// Closes a socket that nobody serves.
pub(crate) async fn refuse(mut socket: impl AsyncWrite + Unpin, code: u16, reason: &str) {
    let mut out = Vec::new();
    frame::closed(Some(code), reason, &mut out);
    finish(&mut socket, &out).await;
}

/// Writes the last bytes. A peer that is gone already, or that does not read, is not waited for.
async fn finish(socket: &mut (impl AsyncWrite + Unpin), rest: &[u8]) {
    let _ = timeout(limits::CLOSING, async {
        socket.write_all(rest).await?;
        socket.shutdown().await
    })
    .await;
}

impl<E, S> Connection<E, S>
where
    E: Executor,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    async fn run(self: &Arc<Self>) -> End {
        let waker = Waker::from(Arc::clone(self));
        let mut timer = Box::pin(sleep_until(Instant::now()));
        let end = poll_fn(|context| self.poll(context, &waker, &mut timer)).await;
        drop(timer);
        let rest = self.driver.lock().rest();
        if let Some((mut socket, rest)) = rest
            && end != End::Gone
        {
            finish(&mut socket, &rest).await;
        }
        end
    }

    fn poll(
        &self,
        context: &mut Context<'_>,
        mailbox: &Waker,
        timer: &mut Pin<Box<Sleep>>,
    ) -> Poll<End> {
        self.task.register(context.waker());
        self.driver.lock().poll(context, mailbox, timer)
    }
}
