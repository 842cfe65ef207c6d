//! The contract of the port, with every adapter, and the link over each of them.
//!
//! `JOBCAST_TEST_REDIS=redis://…` runs all of it against that server too
//! (`tests/clients/valkey/run` does).

use std::time::Duration;

use job::{Job, Version};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::memory::Memory;
use super::message::Beat;
use super::valkey::Valkey;
use super::*;
use crate::realtime::hub::tests::row;
use crate::realtime::hub::{Interest, LIST_PARTS, Topic, list_part, topics_of};

use futures_util::StreamExt;

const DEADLINE: Duration = Duration::from_secs(30);

/// Runs the test with each adapter.
macro_rules! with_each_broker {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(std::sync::Arc::new(super::Memory::default())).await;
            })*
        }
        mod on_valkey {
            $(#[tokio::test]
            async fn $test() {
                if let Some(broker) = super::valkey() {
                    super::$test(broker).await;
                }
            })*
        }
    };
}

with_each_broker!(
    a_message_reaches_who_listens,
    a_change_reaches_the_nodes_that_watch_it,
    a_node_that_stops_has_sent_all_and_said_farewell,
    what_is_lost_in_silence_is_found,
    a_list_is_live_when_every_node_has_said_what_it_had_sent,
    what_an_unknown_node_had_sent_may_be_lost,
);

fn valkey() -> Option<Arc<dyn Broker>> {
    let url = std::env::var("JOBCAST_TEST_REDIS").ok()?;
    let prefix = Uuid::from_bytes(rand::random()).to_string();
    Some(Arc::new(Valkey::new(&url, &prefix).unwrap()))
}

async fn next<T>(what: impl Future<Output = Option<T>>) -> T {
    let next = timeout(DEADLINE, what).await.expect("in time");
    next.expect("not the end")
}

fn message(channel: Channel, text: &'static str) -> Message {
    let bytes = text.into();
    Message { channel, bytes }
}

async fn a_message_reaches_who_listens(broker: Arc<dyn Broker>) {
    let [job, list] = topics_of(&row(1, 1)).map(Channel::Topic);
    let mut one = broker.connect().await.unwrap();
    let mut other = broker.connect().await.unwrap();
    one.listener.listen(&[job, Channel::Nodes]).await.unwrap();
    other
        .listener
        .listen(&[list, Channel::Nodes])
        .await
        .unwrap();
    let sent = [
        message(job, "1"),
        message(list, "2"),
        message(job, "3"),
        message(Channel::Nodes, "4"),
    ];
    one.sender.send(&sent).await.unwrap();
    for number in [0, 2, 3] {
        assert_eq!(next(one.messages.next()).await, sent[number]);
    }
    for number in [1, 3] {
        assert_eq!(next(other.messages.next()).await, sent[number]);
    }
    one.listener.ignore(&[job]).await.unwrap();
    other.sender.send(&sent).await.unwrap();
    assert_eq!(next(one.messages.next()).await, sent[3]);
    drop(one);
    other.sender.send(&sent).await.unwrap();
    for number in [1, 3, 1, 3] {
        assert_eq!(next(other.messages.next()).await, sent[number]);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Came {
    Version(u8, Version),
    Gap,
}

struct Noting(mpsc::UnboundedSender<Came>);

impl Inbox for Noting {
    fn receive(&self, _: Option<&Arc<Job>>, new: &Arc<Job>) {
        let _ = self
            .0
            .send(Came::Version(new.id.as_bytes()[0], new.version));
    }

    fn gap(&self) {
        let _ = self.0.send(Came::Gap);
    }
}

struct Node {
    link: Link,
    came: mpsc::UnboundedReceiver<Came>,
    stop: CancellationToken,
    running: AbortOnDropHandle<()>,
}

impl Node {
    /// Connected.
    async fn start(broker: &Arc<dyn Broker>) -> Self {
        let (sender, came) = mpsc::unbounded_channel();
        let (link, stop) = (Link::default(), CancellationToken::new());
        let running = {
            let (link, broker, stop) = (link.clone(), Arc::clone(broker), stop.clone());
            tokio::spawn(async move { link.run(&*broker, &Noting(sender), stop).await })
        };
        let running = AbortOnDropHandle::new(running);
        let mut node = Self {
            link,
            came,
            stop,
            running,
        };
        assert_eq!(node.next().await, Came::Gap, "after each connection");
        node
    }

    async fn next(&mut self) -> Came {
        next(self.came.recv()).await
    }

    async fn watch(&self, job: u8) {
        self.join(topics_of(&row(job, 1))[0]).await;
    }

    /// The partition of the lists that the jobs of [`row`] are in.
    async fn watch_lists(&self) {
        self.join(topics_of(&row(1, 1))[1]).await;
    }

    async fn join(&self, topic: Topic) {
        self.link.joined(topic);
        self.link.live(vec![topic]).await;
    }
}

async fn a_change_reaches_the_nodes_that_watch_it(broker: Arc<dyn Broker>) {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(&broker).await);
    }
    nodes[0].watch(1).await;
    nodes[1].watch(1).await;
    nodes[1].watch(2).await;
    for publisher in 0..3 {
        let version = u64::try_from(publisher).unwrap() + 2;
        for job in [1, 2, 3] {
            nodes[publisher].link.publish(None, &row(job, version));
        }
        for (node, jobs) in [(0, &[1][..]), (1, &[1, 2])] {
            for job in jobs.iter().filter(|_| node != publisher) {
                let came = nodes[node].next().await;
                assert_eq!(came, Came::Version(*job, Version(version)));
            }
        }
    }
    let topic = topics_of(&row(2, 1))[0];
    nodes[1].link.left(topic);
    nodes[1].watch(2).await;
    nodes[2].link.publish(None, &row(2, 9));
    assert_eq!(nodes[1].next().await, Came::Version(2, Version(9)));
}

async fn a_node_that_stops_has_sent_all_and_said_farewell(broker: Arc<dyn Broker>) {
    let mut node = Node::start(&broker).await;
    let leaving = Node::start(&broker).await;
    let mut raw = broker.connect().await.unwrap();
    raw.listener.listen(&[Channel::Nodes]).await.unwrap();
    node.watch(1).await;
    leaving.link.publish(None, &row(1, 2));
    leaving.stop.cancel();
    timeout(DEADLINE, leaving.running).await.unwrap().unwrap();
    assert_eq!(node.next().await, Came::Version(1, Version(2)));
    let last = loop {
        let beat = next_beat(&mut raw).await;
        if beat.leaves {
            break beat;
        }
    };
    // Sent once, or twice if the stop interrupted the sending: then it is unknown whether it was
    // sent, and it is sent again.
    assert!((1..=2).contains(&last.sent[usize::from(list_part("me"))]));
}

/// The beat of a node that has sent this many messages.
fn said(node: Uuid, sent: [u64; LIST_PARTS as usize]) -> Beat {
    Beat {
        node,
        sent,
        dropped: 0,
        asks: false,
        leaves: false,
    }
}

async fn what_is_lost_in_silence_is_found(broker: Arc<dyn Broker>) {
    let mut node = Node::start(&broker).await;
    node.watch_lists().await;
    let mut stranger = broker.connect().await.unwrap();
    let id = Uuid::from_bytes(rand::random());
    let mut sent = [0; LIST_PARTS as usize];
    let beat = |sent, dropped| {
        Beat {
            dropped,
            ..said(id, sent)
        }
        .message()
    };
    stranger.sender.send(&[beat(sent, 0)]).await.unwrap();
    let mut change = |version| super::message::change(id, &mut sent, None, &row(1, version));
    let (first, lost) = (change(2), change(3));
    stranger.sender.send(&first).await.unwrap();
    assert_eq!(node.next().await, Came::Version(1, Version(2)));
    // The second is never sent; the next beat shows that it is missing.
    drop(lost);
    stranger.sender.send(&[beat(sent, 0)]).await.unwrap();
    assert_eq!(node.next().await, Came::Gap);
    // A node that had to drop messages.
    stranger.sender.send(&[beat(sent, 1)]).await.unwrap();
    assert_eq!(node.next().await, Came::Gap);
    // Unreadable messages.
    let garbage = message(Channel::Nodes, "{}");
    stranger.sender.send(&[garbage]).await.unwrap();
    assert_eq!(node.next().await, Came::Gap);
    // Then the node falls silent.
    assert_eq!(node.next().await, Came::Gap);
}

/// The next beat of any node, as another connection receives it.
async fn next_beat(raw: &mut Connection) -> Beat {
    let message = next(raw.messages.next()).await;
    serde_json::from_slice(&message.bytes).unwrap()
}

async fn a_list_is_live_when_every_node_has_said_what_it_had_sent(broker: Arc<dyn Broker>) {
    let mut stranger = broker.connect().await.unwrap();
    stranger.listener.listen(&[Channel::Nodes]).await.unwrap();
    let id = Uuid::from_bytes(rand::random());
    let mut sent = [0; LIST_PARTS as usize];
    let says = |sent| [said(id, sent).message()];
    let mut node = Node::start(&broker).await;
    while next_beat(&mut stranger).await.asks {}
    stranger.sender.send(&says(sent)).await.unwrap();
    // After this the node has received the stranger's beat.
    node.watch(1).await;
    let [job, _] = super::message::change(id, &mut [0; LIST_PARTS as usize], None, &row(1, 2));
    stranger.sender.send(&[job]).await.unwrap();
    assert_eq!(node.next().await, Came::Version(1, Version(2)));

    {
        let mut live = std::pin::pin!(node.watch_lists());
        assert!(futures_util::poll!(&mut live).is_pending());
        loop {
            let beat = next_beat(&mut stranger).await;
            if beat.node != id && beat.asks {
                break;
            }
        }
        assert!(
            futures_util::poll!(&mut live).is_pending(),
            "it was asked and has not said"
        );
        // Messages before its answer may be lost: the store is read after that.
        drop(super::message::change(id, &mut sent, None, &row(1, 3)));
        stranger.sender.send(&says(sent)).await.unwrap();
        live.await;
    }
    // Messages after its answer are missed when they are lost, the first as well as any other.
    drop(super::message::change(id, &mut sent, None, &row(1, 4)));
    stranger.sender.send(&says(sent)).await.unwrap();
    assert_eq!(node.next().await, Came::Gap);
}

async fn what_an_unknown_node_had_sent_may_be_lost(broker: Arc<dyn Broker>) {
    let mut node = Node::start(&broker).await;
    node.watch_lists().await;
    let mut stranger = broker.connect().await.unwrap();
    for had_sent in [false, true] {
        let id = Uuid::from_bytes(rand::random());
        let mut sent = [0; LIST_PARTS as usize];
        if had_sent {
            drop(super::message::change(id, &mut sent, None, &row(1, 8)));
        }
        let beat = [said(id, sent).message()];
        stranger.sender.send(&beat).await.unwrap();
        if had_sent {
            assert_eq!(node.next().await, Came::Gap);
        }
        let change = super::message::change(id, &mut sent, None, &row(1, 9));
        stranger.sender.send(&change).await.unwrap();
        assert_eq!(node.next().await, Came::Version(1, Version(9)));
    }
}

#[tokio::test]
async fn after_a_break_the_newest_arrives_and_the_gap_is_known() {
    let memory = Memory::default();
    let broker: Arc<dyn Broker> = Arc::new(memory.clone());
    let (node, mut other) = (Node::start(&broker).await, Node::start(&broker).await);
    other.watch(1).await;
    memory.down();
    // No caller waits for a broker that is not there.
    for version in 2..=4 {
        node.link.publish(None, &row(1, version));
    }
    other.watch(2).await;
    memory.up();
    // A gap reveals the messages that were sent before this node was back.
    while other.next().await != Came::Gap {}
    node.link.publish(None, &row(2, 2));
    while other.next().await != Came::Version(2, Version(2)) {}
}

#[tokio::test]
async fn a_node_listens_only_for_watched_topics() {
    let broker: Arc<dyn Broker> = Arc::new(Memory::default());
    let node = Node::start(&broker).await;
    let hub = crate::realtime::hub::Hub::with_interest(Arc::new(node.link.clone()));
    let mailboxes: Vec<Arc<crate::realtime::hub::Mailbox>> =
        (0..3).map(|_| Arc::default()).collect();
    for (number, mailbox) in mailboxes.iter().enumerate() {
        for job in 0..100 {
            let key = crate::realtime::hub::PayloadGroupKey(number.to_string().into());
            let render = || {
                Arc::new(crate::realtime::hub::tests::Plain)
                    as Arc<dyn crate::realtime::hub::Render>
            };
            hub.watch(row(job, 1).id, mailbox, key, render, None);
            hub.live_job(row(job, 1).id).unwrap().await;
        }
    }
    let key = crate::realtime::hub::PayloadGroupKey("list".into());
    let wanted: Arc<crate::realtime::hub::ListScope> = Arc::default();
    let plain =
        || Arc::new(crate::realtime::hub::tests::Plain) as Arc<dyn crate::realtime::hub::Render>;
    hub.watch_list(Arc::clone(&wanted), &mailboxes[0], key, plain);
    hub.live_list(&wanted).unwrap().await;
    assert_eq!(node.link.listening(), 100 + usize::from(LIST_PARTS));
    hub.leave(&mailboxes[0]);
    hub.leave(&mailboxes[1]);
    assert_eq!(node.link.wanted(), 100);
    hub.leave(&mailboxes[2]);
    assert!(hub.is_empty());
    assert_eq!(node.link.wanted(), 0);
    let nothing = async {
        while node.link.listening() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, nothing).await.unwrap();
}
