//! One socket's driver behind a lock: its task polls it, and a wake-up of its mailbox delivers at
//! once, without waking the task. The wake-ups of a publish run in tasks of the hub's wake batches,
//! never on the publisher's thread.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use wire::{Session, frame};

use super::conversation::ConnectionEnd;
use super::driver::Driver;
use super::executor::{Credentials, Executor};
use super::limits;
use super::sessions::Admission;

struct Connection<E: Executor, S> {
    driver: Mutex<Driver<E, S>>,
    /// The task that polls the driver.
    task: AtomicWaker,
}

/// The mailbox wakes the connection.
impl<E, S> Wake for Connection<E, S>
where
    E: Executor,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        // A thread that holds the lock may have taken the mail before this delivery.
        let has_done_all = self.driver.try_lock().is_some_and(|mut driver| {
            let waker = Waker::from(Arc::clone(&self));
            driver.deliver_at_once(&waker)
        });
        if !has_done_all {
            self.task.wake();
        }
    }
}

/// Ends the connection's part in the hub when dropped. The mailbox and the connection would
/// otherwise keep each other.
struct Served<E: Executor, S>(Arc<Connection<E, S>>);

impl<E: Executor, S> Drop for Served<E, S> {
    fn drop(&mut self) {
        self.0.driver.lock().leave_hub();
    }
}

/// Serves one upgraded socket to its end. `early` are bytes of the socket that were read already.
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
    // A block, not an async function, which would keep room for its arguments beside the
    // connection that owns them.
    async move {
        let connection = &served.0;
        let end = connection.run().await;
        let driver = connection.driver.lock();
        let metrics = &driver.sessions().metrics;
        match end {
            ConnectionEnd::Left => metrics.disconnect_success.increment(1),
            ConnectionEnd::Gone | ConnectionEnd::Refused => {
                metrics.disconnect_client_error.increment(1)
            }
            ConnectionEnd::Closed => metrics.disconnect_server_error.increment(1),
        }
        metrics.connection_duration.record(opened.elapsed());
    }
}

/// Closes a socket that is not served.
pub(crate) async fn refuse(mut socket: impl AsyncWrite + Unpin, code: u16, reason: &str) {
    let mut out = Vec::new();
    frame::closed(Some(code), reason, &mut out);
    finish(&mut socket, &out).await;
}

/// Writes the last bytes, within [`limits::CLOSING`].
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
    async fn run(self: &Arc<Self>) -> ConnectionEnd {
        let waker = Waker::from(Arc::clone(self));
        let mut timer = Box::pin(sleep_until(Instant::now()));
        let end = poll_fn(|context| self.poll(context, &waker, &mut timer)).await;
        drop(timer);
        let rest = self.driver.lock().rest();
        if let Some((mut socket, rest)) = rest
            && end != ConnectionEnd::Gone
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
    ) -> Poll<ConnectionEnd> {
        self.task.register(context.waker());
        self.driver.lock().poll(context, mailbox, timer)
    }
}
