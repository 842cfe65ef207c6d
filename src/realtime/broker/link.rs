//! A node's side of the broker. It sends what this node publishes, subscribes to the topics that
//! its watchers need, reconnects after a break, and reports gaps to its [`Inbox`], which then reads
//! again.
//!
//! A gap is reported for each of these:
//!
//! * a new connection;
//! * a node that says it had to drop or pass over a change;
//! * a node that falls silent without a farewell, or appears with messages sent before;
//! * a missing number among the numbered messages to a partition of the lists.
//!
//! A list waits for its partition until each node has said how many messages it had sent: a message
//! that is lost after that leaves a missing number, and one that was sent before is in the store.
//! Changes of single jobs carry no numbers: watched jobs are read again at intervals in any case.

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

    /// Time that a watcher waits for its topics to arrive before the store is read without them.
    pub const LIVE_WITHIN: Duration = Duration::from_secs(1);
    /// Maximum number of changes in one write.
    pub const BATCH: usize = 256;
    /// Maximum number of topics in one subscribe request.
    pub const TOPICS: usize = 512;
    /// Interval between the beats of a node.
    pub const BEAT: Duration = Duration::from_secs(1);
    /// Time without a beat after which a node is considered gone. A node that does not receive its
    /// own beats for this time considers the connection dead.
    pub const SILENT: Duration = Duration::from_secs(5);
    /// Pause before the second attempt to connect. It doubles with each further attempt.
    pub const FIRST_WAIT: Duration = Duration::from_millis(50);
    /// Maximum pause between two attempts to connect.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(2);
    /// Time allowed for connecting, sending and subscribing.
    pub const ANSWER: Duration = Duration::from_secs(5);
    /// Maximum size of a message in bytes. A change carries two images of a job, each of which fits
    /// into a row (DynamoDB: 400 KB). A larger message is ignored, and the jobs are read from the
    /// store.
    pub const MESSAGE_BYTES: usize = 1024 * 1024;
    /// Maximum number of other nodes that a node tracks at once.
    pub const NODES: usize = 1_000;
    /// Time allowed for a stopping node to send the rest.
    pub const FAREWELL: Duration = Duration::from_secs(1);
}

/// Receives what a link brings. No call may wait.
pub trait Inbox: Send + Sync + 'static {
    /// Another node published this version.
    fn receive(&self, old: Option<&Arc<Job>>, new: &Arc<Job>);
    /// A change may not have arrived: the watched jobs have to be read again.
    fn gap(&self);
    /// Whether to drop this message, to inject a fault in tests.
    fn loses(&self) -> bool {
        false
    }
}

/// One node's link to the others.
#[derive(Clone)]
pub struct Link(Arc<LinkState>);

struct LinkState {
    node: Node,
    outgoing: Mutex<Outgoing>,
    to_send: Notify,
    /// Notified when another node asks what this node has sent.
    to_answer: Notify,
    /// Notified when this node has to ask the others what they have sent.
    to_ask: Notify,
    interests: Mutex<Interests>,
    to_listen: Notify,
    /// Changes when a topic has become live, and when the connection has ended.
    settled: watch::Sender<()>,
}

impl Default for Link {
    fn default() -> Self {
        Self(Arc::new(LinkState {
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
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let mut settled = state.settled.subscribe();
            let waiting = async {
                while !state.interests.lock().is_settled(&topics) {
                    if settled.changed().await.is_err() {
                        return;
                    }
                }
            };
            let _ = timeout(limits::LIVE_WITHIN, waiting).await;
            state.interests.lock().go_on(&topics);
        })
    }
}

impl Link {
    /// Queues a version for the other nodes. Never waits.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        self.0.outgoing.lock().push(old, new);
        self.0.to_send.notify_one();
    }

    /// Asks the other nodes to read their watched jobs again: this node may have missed changes
    /// that it was responsible for publishing.
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

    /// Stays connected until `stop`; then sends the rest and a farewell.
    pub async fn run(&self, broker: &dyn Broker, inbox: &dyn Inbox, stop: CancellationToken) {
        let mut wait = limits::FIRST_WAIT;
        let mut sent = [0; LIST_PARTS as usize];
        while !stop.is_cancelled() {
            let began = Instant::now();
            let answer = stop.run_until_cancelled(in_time(broker.connect())).await;
            let Some(connected) = answer else { return };
            let broken = match connected {
                Ok(connection) => {
                    let mut served = OpenConnection::new(&self.0, inbox, &mut sent);
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

/// One connection while it is open.
struct OpenConnection<'a> {
    shared: &'a LinkState,
    inbox: &'a dyn Inbox,
    sent: &'a mut Sent,
}

impl<'a> OpenConnection<'a> {
    fn new(shared: &'a LinkState, inbox: &'a dyn Inbox, sent: &'a mut Sent) -> Self {
        Self {
            shared,
            inbox,
            sent,
        }
    }

    /// Serves the connection until it breaks. Returns `Ok` after `stop`.
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
        // All topics are subscribed to before the watched jobs are read again, so that no change
        // falls in between.
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

/// Subscribes to the topics that the hub needs now, and unsubscribes from the others. Returns
/// whether a watcher has read the store too early.
async fn listen(shared: &LinkState, listener: &mut dyn Listener) -> Result<bool, BrokerError> {
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
    shared: &LinkState,
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

fn beat(shared: &LinkState, sent: &Sent) -> Beat {
    Beat {
        node: shared.node,
        sent: *sent,
        dropped: shared.outgoing.lock().dropped,
        asks: false,
        leaves: false,
    }
}

async fn send(
    shared: &LinkState,
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

/// Sends one batch. Returns whether there is more.
async fn send_some(
    shared: &LinkState,
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

/// A batch that is being sent. Its changes are queued again when sending fails or is cancelled.
struct Unsent<'a> {
    shared: &'a LinkState,
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
    shared: &LinkState,
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
