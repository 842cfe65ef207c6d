//! Three nodes over one job store, SQLite or DynamoDB, and one broker, which dies and comes back.
//! They are fed through `publishJob` on any of them, or one or two of them read the store's change
//! feed.
//!
//! With `JOBCAST_TEST_REDIS_SERVER=/usr/bin/redis-server` (or a Valkey) the broker is that program,
//! killed with `kill -9`; else it is the in-process one. `tests/clients/valkey/run` does the first.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use checker::{ListEvent, ListTranscript};
use futures_util::SinkExt;
use job::Update;
use jobcast::chaos::Chaos;
use jobcast::realtime::Realtime;
use jobcast::realtime::broker::Broker;
use jobcast::realtime::broker::memory::Memory;
use jobcast::realtime::broker::valkey::{PREFIX, Valkey};
use jobcast::session::Settings;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::delivery::{
    Client, DEADLINE, Door, Jobs, Node, Socket, http, open, publish_job, read, subscribe,
    watch_list,
};
use crate::kit::aws::DynamoDb;

/// A broker that can be killed.
pub enum Bus {
    Memory(Memory),
    Program {
        program: String,
        port: u16,
        child: Child,
    },
}

impl Bus {
    pub async fn start() -> Self {
        match std::env::var("JOBCAST_TEST_REDIS_SERVER") {
            Err(_) => Self::Memory(Memory::default()),
            Ok(program) => {
                let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let port = free.local_addr().unwrap().port();
                drop(free);
                let child = Self::spawn(&program, port).await;
                Self::Program {
                    program,
                    port,
                    child,
                }
            }
        }
    }

    /// Returns when it answers.
    async fn spawn(program: &str, port: u16) -> Child {
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let answers = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, answers).await.expect("the broker starts");
        child
    }

    /// Where other processes find it.
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Program { port, .. } => Some(format!("redis://127.0.0.1:{port}")),
        }
    }

    fn broker(&self) -> Arc<dyn Broker> {
        match self {
            Self::Memory(memory) => Arc::new(memory.clone()),
            Self::Program { .. } => {
                let url = self.url().unwrap();
                Arc::new(Valkey::new(&url, PREFIX).unwrap())
            }
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Memory(memory) => memory.down(),
            Self::Program { child, .. } => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
        }
    }

    async fn revive(&mut self) {
        match self {
            Self::Memory(memory) => memory.up(),
            Self::Program {
                program,
                port,
                child,
            } => *child = Self::spawn(program, *port).await,
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        if let Self::Program { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where the jobs of three nodes are.
enum Table {
    /// In one store that all of them use.
    Sqlite {
        store: Arc<dyn JobStore>,
        _directory: tempfile::TempDir,
    },
    /// In a DynamoDB table; each node has its own store.
    DynamoDb(DynamoDb),
}

impl Table {
    async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = Location::File(directory.path().join("jobs.db"));
        let store = SqliteStore::open(Database::open(&file).unwrap()).unwrap();
        Self::Sqlite {
            store: Arc::new(store),
            _directory: directory,
        }
    }

    async fn dynamodb() -> Self {
        Self::DynamoDb(DynamoDb::start().await)
    }

    async fn store(&self) -> Arc<dyn JobStore> {
        match self {
            Self::Sqlite { store, .. } => Arc::clone(store),
            Self::DynamoDb(dynamodb) => dynamodb.store().await,
        }
    }
}

struct Three {
    nodes: Vec<Node>,
    addresses: Arc<[String]>,
    store: Arc<dyn JobStore>,
    _table: Table,
}

/// This many nodes, the first ones, publish what the store's change feed brings.
async fn three(
    table: Table,
    followers: usize,
    bus: &Bus,
    chaos: Option<&str>,
    repair_every: Duration,
) -> Three {
    let mut nodes = Vec::new();
    for number in 0..3 {
        let store = table.store().await;
        let realtime = Realtime {
            broker: Some(bus.broker()),
            chaos: chaos.map(|spec| Chaos::new(spec.parse().unwrap())),
            repair_every: Some(repair_every),
        };
        let feeds = number < followers;
        nodes.push(Node::start(&store, feeds, realtime, Settings::default()).await);
    }
    Three {
        addresses: nodes.iter().map(|node| node.address.clone()).collect(),
        nodes,
        store: table.store().await,
        _table: table,
    }
}

/// Watchers on every node, and lists on every node.
fn watch(three: &Three, jobs: &Arc<Jobs>) -> JoinSet<usize> {
    let mut clients = JoinSet::new();
    for number in 0..60 {
        let mut addresses = three.addresses.to_vec();
        addresses.rotate_left(number % 3);
        let door = [Door::Modern, Door::Amplify, Door::Sse][number / 3 % 3];
        let count = if door == Door::Sse { 1 } else { 4 };
        let ids = jobs.ids();
        let watched = (0..count).map(|one| ids[(number * 3 + one * 11) % ids.len()]);
        let client = Client {
            addresses: addresses.into(),
            door,
            jobs: Arc::clone(jobs),
            watched: watched.collect(),
            resumes: number % 2 == 0,
            pace: Duration::ZERO,
        };
        clients.spawn(client.watch());
    }
    for address in &*three.addresses {
        for filter in [json!({}), json!({ "eq": "owner 2" })] {
            let filter = json!({ "status": { "in": ["RUNNING", "WAITING"] }, "owner": filter });
            clients.spawn(watch_list(address.clone(), Arc::clone(jobs), filter));
        }
    }
    clients
}

async fn all(mut clients: JoinSet<usize>) {
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

/// Each node publishes its share of the changes, while the broker dies twice.
async fn published_by_any_node(table: Table) {
    let mut bus = Bus::start().await;
    // Nothing is read again without a known gap: the broker has to be what carries it.
    let three = three(table, 0, &bus, None, Duration::from_secs(3_600)).await;
    let jobs = Jobs::create(Arc::clone(&three.store), 40).await;
    let clients = watch(&three, &jobs);
    let (http, published) = (http(), tokio::sync::watch::Sender::new(0));
    let turn = AtomicUsize::new(0);
    let load = jobs.run(12, 20, async |old, new| {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let address = &three.addresses[turn % 3];
        publish_job(&http, address, Some(&old), &new).await.unwrap();
        published.send_replace(turn + 1);
    });
    let load = async {
        tokio::join!(load, breaking(&mut bus, published.subscribe()));
    };
    prove(three.nodes, load, clients).await;
}

/// Lets the broker die and live again, as the changes go on.
async fn breaking(bus: &mut Bus, mut published: tokio::sync::watch::Receiver<usize>) {
    for (dies, lives) in [(60, 140), (300, 340)] {
        published.wait_for(|count| *count >= dies).await.unwrap();
        bus.kill();
        // The load goes on without it.
        published.wait_for(|count| *count >= lives).await.unwrap();
        bus.revive().await;
    }
}

/// What the broker loses is read from the store.
async fn lost_by_the_broker(table: Table) {
    let bus = Bus::start().await;
    let chaos = "drop=0.05,duplicate=0.05,delay=10ms,lose=0.1,seed=11";
    let three = three(table, 0, &bus, Some(chaos), Duration::from_millis(200)).await;
    let jobs = Jobs::create(Arc::clone(&three.store), 40).await;
    let clients = watch(&three, &jobs);
    let (http, turn) = (http(), AtomicUsize::new(0));
    let load = jobs.run(6, 20, async |old, new| {
        let address = &three.addresses[turn.fetch_add(1, Ordering::Relaxed) % 3];
        publish_job(&http, address, Some(&old), &new).await.unwrap();
    });
    prove(three.nodes, load, clients).await;
}

/// This many nodes read the change feed; the others hear by the broker, which dies twice.
async fn followed_by(followers: usize, table: Table) {
    let mut bus = Bus::start().await;
    let three = three(table, followers, &bus, None, Duration::from_secs(3_600)).await;
    let jobs = Jobs::create(Arc::clone(&three.store), 40).await;
    let clients = watch(&three, &jobs);
    let changed = tokio::sync::watch::Sender::new(0);
    let load = jobs.run(12, 20, async |_, _| {
        changed.send_modify(|count| *count += 1)
    });
    let load = async {
        tokio::join!(load, breaking(&mut bus, changed.subscribe()));
    };
    prove(three.nodes, load, clients).await;
}

async fn prove(nodes: Vec<Node>, load: impl Future<Output = ()>, clients: JoinSet<usize>) {
    let everything = async {
        load.await;
        all(clients).await;
    };
    timeout(DEADLINE, everything)
        .await
        .expect("all is seen in time");
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_any_node_publishes_every_watcher_sees_while_the_broker_dies() {
    published_by_any_node(Table::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_any_node_publishes_every_watcher_sees_over_dynamodb_too() {
    published_by_any_node(Table::dynamodb().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_loses_is_read_from_the_store() {
    lost_by_the_broker(Table::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_loses_is_read_from_dynamodb_too() {
    lost_by_the_broker(Table::dynamodb().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_reads_in_the_stream_every_watcher_sees() {
    followed_by(1, Table::dynamodb().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_nodes_read_in_the_stream_every_watcher_sees() {
    followed_by(2, Table::dynamodb().await).await;
}

/// A live list of the running jobs.
struct List {
    socket: Socket,
    transcript: ListTranscript<String>,
}

impl List {
    async fn open(address: &str) -> Self {
        let query = "subscription ($filter: JobFilter) { onJobs(filter: $filter) { kind job { id version status } } }";
        let variables = json!({ "filter": { "status": { "eq": "RUNNING" } } });
        let mut socket = open(address, Door::Modern).await.unwrap();
        let message = subscribe(Door::Modern, "l", query, variables);
        socket.send(message).await.unwrap();
        let mut transcript = ListTranscript::default();
        transcript.subscribed();
        Self { socket, transcript }
    }

    /// Until it is complete and has this many jobs.
    async fn until(&mut self, count: usize) {
        let running = |job: &Value| Some(job["status"] == "RUNNING");
        while !self.transcript.is_complete() || self.transcript.held().len() != count {
            let message = timeout(DEADLINE, read(&mut self.socket)).await.unwrap();
            let message = message.unwrap();
            if message["type"] == "next" {
                let event = &message["payload"]["data"]["onJobs"];
                self.transcript
                    .event(ListEvent::read(event, running).unwrap());
                assert!(self.transcript.violation().is_none(), "{message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_nobody_followed_is_in_every_list_once_somebody_does() {
    let bus = Bus::start().await;
    let hour = Duration::from_secs(3_600);
    let mut three = three(Table::sqlite().await, 1, &bus, None, hour).await;
    let jobs = Jobs::create(Arc::clone(&three.store), 10).await;
    let mut list = List::open(&three.addresses[1]).await;
    for id in jobs.ids() {
        jobs.apply(*id, Update::Start).await;
    }
    list.until(10).await;
    three.nodes.remove(0).stop().await;
    jobs.run(2, 10, async |_, _| {}).await;
    let realtime = Realtime {
        broker: Some(bus.broker()),
        chaos: None,
        repair_every: Some(hour),
    };
    let follower = Node::start(&three.store, true, realtime, Settings::default()).await;
    list.until(0).await;
    three.nodes.push(follower);
    for node in three.nodes {
        node.stop().await;
    }
}
