//! A node's side of the broker: it sends what this node publishes, listens for what its watchers want, comes back after a
//! break, and finds out when something did not arrive. What is then to be read again is its [`Inbox`]'s affair.
//!
//! Gaps are found in four ways: a new connection; a node that says it had to drop or pass over something; a node that falls
//! silent without a farewell, or comes up with something sent before; a number that is missing among those of a part of the lists.
//! A list waits for its part until each node has said what it had sent: what is lost after that is missing, and what was sent
//! before is in the store. Changes of one job need no numbers, since the watched jobs are read again now and then in any case.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use job::Job;
use metrics::{counter, gauge};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::interests::Interests;
use super::message::{self, Beat, Node, Sent};
use super::outgoing::Outgoing;
use super::peers::Peers;
use super::{Broker, BrokerError, Channel, Connection, Listener, Message, Sender};
use crate::realtime::hub::{Interest, LIST_PARTS, Topic};

/// Bounds of a link.
pub mod limits {
    use std::time::Duration;

    /// A watcher waits so long for the broker before the store is read without it.
    pub const LIVE_WITHIN: Duration = Duration::from_secs(1);
    /// Changes in one write.
    pub const BATCH: usize = 256;
    /// Topics in one request to listen.
    pub const TOPICS: usize = 512;
    /// Every node says so often that it is there, and what it has sent.
    pub const BEAT: Duration = Duration::from_secs(1);
    /// After so long without hearing one's own beat the connection counts as dead; without hearing another node's, that node.
    pub const SILENT: Duration = Duration::from_secs(5);
    /// Wait before the second attempt to connect …
    pub const FIRST_WAIT: Duration = Duration::from_millis(50);
    /// … which doubles up to this one.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(2);
    /// Connecting, sending and listening must succeed within this.
    pub const ANSWER: Duration = Duration::from_secs(5);
    /// Maximum size of a message in bytes: a change carries two images of a job, each of which fits into a row (DynamoDB: 400 KB). What is
    /// larger is not read; the jobs are read from the store instead.
    pub const MESSAGE_BYTES: usize = 1024 * 1024;
    /// Maximum number of nodes that are known at once; others are not followed.
    pub const NODES: usize = 1_000;
    /// A node that stops has so long to send the rest.
    pub const FAREWELL: Duration = Duration::from_secs(1);
}

/// Where a link puts what came. Neither call waits.
pub trait Inbox: Send + Sync + 'static {
    /// Another node published this.
    fn receive(&self, old: Option<&Arc<Job>>, new: &Arc<Job>);
    /// Something may not have arrived: what is watched has to be read again.
    fn gap(&self);
    /// Whether this message is to be lost, for tests of what happens then.
    fn loses(&self) -> bool {
        false
    }
}

/// One node's link to the others.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    node: Node,
    outgoing: Mutex<Outgoing>,
    to_send: Notify,
    /// Somebody wants to know what this node has sent.
    to_answer: Notify,
    /// This node wants to know what the others have sent.
    to_ask: Notify,
    interests: Mutex<Interests>,
    to_listen: Notify,
    /// Changes whenever something has become live, or the connection is gone.
    settled: watch::Sender<()>,
}

impl Default for Link {
    fn default() -> Self {
        Self(Arc::new(Shared {
            node: Uuid::from_bytes(rand::random()),
            outgoing: Mutex::default(),
            to_send: Notify::new(),
            to_answer: Notify::new(),
            to_ask: Notify::new(),
            interests: Mutex::default(),
            to_listen: Notify::new(),
            settled: watch::Sender::new(()),
        }))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.node).finish()
    }
}

impl Interest for Link {
    fn joined(&self, topic: Topic) {
        self.0.interests.lock().joined(topic);
        self.0.to_listen.notify_one();
    }

    fn left(&self, topic: Topic) {
        self.0.interests.lock().left(topic);
        self.0.to_listen.notify_one();
    }

    fn live(&self, topics: Vec<Topic>) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let mut settled = shared.settled.subscribe();
            let waiting = async {
                while !shared.interests.lock().is_settled(&topics) {
                    if settled.changed().await.is_err() {
                        return;
                    }
                }
            };
            let _ = timeout(limits::LIVE_WITHIN, waiting).await;
            shared.interests.lock().go_on(&topics);
        })
    }
}

impl Link {
    /// Tells the other nodes, as soon as the broker takes it; never waits.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        self.0.outgoing.lock().push(old, new);
        self.0.to_send.notify_one();
    }

    /// Changes may have been passed over that this node is the one to tell of: the others read again what is watched.
    pub fn passed_over(&self) {
        self.0.outgoing.lock().dropped += 1;
    }

    #[cfg(test)]
    pub(super) fn listening(&self) -> usize {
        self.0.interests.lock().listening()
    }

    #[cfg(test)]
    pub(super) fn wanted(&self) -> usize {
        self.0.interests.lock().wanted()
    }

    /// Stays connected until `stop`; then sends the rest and says farewell.
    pub async fn run(&self, broker: &dyn Broker, inbox: &dyn Inbox, stop: CancellationToken) {
        let mut wait = limits::FIRST_WAIT;
        let mut sent = [0; LIST_PARTS as usize];
        while !stop.is_cancelled() {
            let began = Instant::now();
            let answer = stop.run_until_cancelled(in_time(broker.connect())).await;
            let Some(connected) = answer else { return };
            let broken = match connected {
                Ok(connection) => {
                    let mut served = Served::new(&self.0, inbox, &mut sent);
                    let broken = served.serve(connection, &stop).await;
                    self.0.interests.lock().disconnect();
                    self.0.settled.send_replace(());
                    gauge!("broker_connected").set(0.0);
                    broken
                }
                Err(error) => Err(error),
            };
            let Err(error) = broken else { return };
            if began.elapsed() > limits::LONGEST_WAIT {
                wait = limits::FIRST_WAIT;
            }
            counter!("broker_broken_total").increment(1);
            tracing::warn!(%error, "no connection to the other nodes; trying again");
            let jittered = wait.mul_f64(rand::random_range(0.5..1.0));
            stop.run_until_cancelled(sleep(jittered)).await;
            wait = (wait * 2).min(limits::LONGEST_WAIT);
        }
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    let late = || BrokerError {
        reason: "it does not answer in time".to_owned(),
    };
    timeout(limits::ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// One connection's time.
struct Served<'a> {
    shared: &'a Shared,
    inbox: &'a dyn Inbox,
    sent: &'a mut Sent,
}

impl<'a> Served<'a> {
    fn new(shared: &'a Shared, inbox: &'a dyn Inbox, sent: &'a mut Sent) -> Self {
        Self {
            shared,
            inbox,
            sent,
        }
    }

    /// `Ok` after `stop`.
    async fn serve(
        &mut self,
        connection: Connection,
        stop: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let Connection {
            mut sender,
            mut listener,
            messages,
        } = connection;
        in_time(listener.listen(&[Channel::Nodes])).await?;
        self.shared.interests.lock().begin();
        // Everything that was wanted is listened for before the watched jobs are read again: nothing falls in between.
        while self.shared.interests.lock().has_to_do() {
            listen(self.shared, &mut *listener).await?;
        }
        self.shared.interests.lock().connect();
        self.shared.settled.send_replace(());
        gauge!("broker_connected").set(1.0);
        tracing::info!("connected to the other nodes");
        self.inbox.gap();
        let (shared, inbox) = (self.shared, self.inbox);
        let sending = send(shared, self.sent, &mut *sender);
        let ended = tokio::select! {
            ended = sending => ended,
            ended = receive(shared, inbox, messages) => ended,
            ended = keep_listening(shared, inbox, &mut *listener) => ended,
            () = stop.cancelled() => Ok(()),
        };
        if ended.is_ok() {
            let farewell = self.farewell(&mut *sender);
            let _ = timeout(limits::FAREWELL, farewell).await;
        }
        ended
    }

    async fn farewell(&mut self, sender: &mut dyn Sender) -> Result<(), BrokerError> {
        while send_some(self.shared, self.sent, sender).await? {}
        let beat = Beat {
            leaves: true,
            ..beat(self.shared, self.sent)
        };
        sender.send(&[beat.message()]).await
    }
}

/// Brings what the broker was told up to what the hub wants.
async fn listen(shared: &Shared, listener: &mut dyn Listener) -> Result<bool, BrokerError> {
    let todo = shared.interests.lock().next(limits::TOPICS);
    let channels = |topics: &[Topic]| -> Vec<Channel> {
        topics.iter().map(|topic| Channel::Topic(*topic)).collect()
    };
    if !todo.listen.is_empty() {
        in_time(listener.listen(&channels(&todo.listen))).await?;
    }
    if !todo.ignore.is_empty() {
        in_time(listener.ignore(&channels(&todo.ignore))).await?;
    }
    let mut interests = shared.interests.lock();
    let late = interests.done(&todo);
    if interests.has_uncounted() {
        shared.to_ask.notify_one();
    }
    Ok(late)
}

async fn keep_listening(
    shared: &Shared,
    inbox: &dyn Inbox,
    listener: &mut dyn Listener,
) -> Result<(), BrokerError> {
    loop {
        shared.to_listen.notified().await;
        while shared.interests.lock().has_to_do() {
            if listen(shared, listener).await? {
                inbox.gap();
            }
            shared.settled.send_replace(());
        }
    }
}

fn beat(shared: &Shared, sent: &Sent) -> Beat {
    Beat {
        node: shared.node,
        sent: *sent,
        dropped: shared.outgoing.lock().dropped,
        asks: false,
        leaves: false,
    }
}

async fn send(
    shared: &Shared,
    sent: &mut Sent,
    sender: &mut dyn Sender,
) -> Result<(), BrokerError> {
    let mut beats = interval(limits::BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beats.tick() => say(beat(shared, sent), sender).await?,
            () = shared.to_answer.notified() => say(beat(shared, sent), sender).await?,
            () = shared.to_ask.notified() => {
                let asks = true;
                say(Beat { asks, ..beat(shared, sent) }, sender).await?;
            }
            () = shared.to_send.notified() => while send_some(shared, sent, sender).await? {},
        }
    }
}

async fn say(beat: Beat, sender: &mut dyn Sender) -> Result<(), BrokerError> {
    in_time(sender.send(&[beat.message()])).await
}

/// Whether there is more.
async fn send_some(
    shared: &Shared,
    sent: &mut Sent,
    sender: &mut dyn Sender,
) -> Result<bool, BrokerError> {
    let changes = shared.outgoing.lock().take(limits::BATCH);
    if changes.is_empty() {
        return Ok(false);
    }
    let messages: Vec<Message> = changes
        .iter()
        .flat_map(|(old, new)| message::change(shared.node, sent, old.as_ref(), new))
        .collect();
    let count = changes.len() as u64;
    let mut unsent = Unsent { shared, changes };
    in_time(sender.send(&messages)).await?;
    unsent.changes.clear();
    counter!("broker_published_total").increment(count);
    Ok(!shared.outgoing.lock().is_empty())
}

/// Changes on their way to the broker: put back when that fails, or is broken off.
struct Unsent<'a> {
    shared: &'a Shared,
    changes: Vec<super::outgoing::Changed>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if !self.changes.is_empty() {
            let changes = std::mem::take(&mut self.changes);
            self.shared.outgoing.lock().put_back(changes);
            self.shared.to_send.notify_one();
        }
    }
}

async fn receive(
    shared: &Shared,
    inbox: &dyn Inbox,
    mut messages: futures_util::stream::BoxStream<'static, Message>,
) -> Result<(), BrokerError> {
    let mut peers = Peers::new(shared.node, &shared.interests, inbox);
    let mut beats = interval(limits::BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => {
                let ended = || BrokerError { reason: "the connection has ended".to_owned() };
                let message = message.ok_or_else(ended)?;
                if inbox.loses() {
                    continue;
                }
                match message.channel {
                    Channel::Topic(topic) => {
                        peers.came(&message, topic);
                        continue;
                    }
                    Channel::Nodes => {
                        if peers.heard(&message) {
                            shared.to_answer.notify_one();
                        }
                    }
                }
            }
            _ = beats.tick() => peers.beat()?,
        }
        if peers.count() {
            shared.settled.send_replace(());
        }
    }
}
