//! Nodes over one job store, a load of jobs, and watchers who prove what they were promised: for
//! the tests of several nodes and of chaos.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use checker::{JobTranscript, ListEvent, ListEventKind, ListTranscript, Seen};
use futures_util::{SinkExt, StreamExt};
use job::change::Report;
use job::{Change, Job, JobId, NewJob, Time, Update};
use jobcast::http;
use jobcast::realtime::Realtime;
use jobcast::server::node::{self, Background};
use jobcast::session::Settings;
use object_store::memory::InMemory;
use resolvers::files::Files;
use resolvers::jobs::ExecutionEvents;
use resolvers::store::{CreateJob, JobStore};
use resolvers::token::Signer;
use resolvers::workflow::embedded::{self, EmbeddedWorkflow};
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Everything has to be over by then; machines are slow.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Time that a client waits before it connects again.
const COME_BACK: Duration = Duration::from_millis(20);

/// A node: the real doors over a job store.
pub struct Node {
    pub address: String,
    background: Background,
    _serving: AbortOnDropHandle<()>,
}

impl Node {
    /// `feeds`: what the store changes is published by this node.
    pub async fn start(
        store: &Arc<dyn JobStore>,
        feeds: bool,
        realtime: Realtime,
        settings: Settings,
    ) -> Self {
        Self::serving(store, feeds, realtime, settings, http::Settings::default()).await
    }

    /// The same with settings of the listener.
    pub async fn serving(
        store: &Arc<dyn JobStore>,
        feeds: bool,
        realtime: Realtime,
        settings: Settings,
        listens: http::Settings,
    ) -> Self {
        Self::executing(store, feeds, realtime, settings, listens, true).await
    }

    /// A node that feeds, with default settings, and that executes every operation.
    pub async fn without_shortcuts(store: &Arc<dyn JobStore>) -> Self {
        let (settings, listens) = (Settings::default(), http::Settings::default());
        let realtime = Realtime::default();
        Self::executing(store, true, realtime, settings, listens, false).await
    }

    async fn executing(
        store: &Arc<dyn JobStore>,
        feeds: bool,
        realtime: Realtime,
        settings: Settings,
        listens: http::Settings,
        shortcuts: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let signer = Signer::new([7; 32]);
        let events = Arc::new(ExecutionEvents::default());
        let host = workflow::lambda::Host::new(workflow::lambda::HostSettings::default());
        let engine = workflow::Engine::open(
            Database::open(&Location::Memory).unwrap(),
            workflow::Settings::default(),
            Arc::new(workflow::runner::Runner::new(host)),
            embedded::listener(events),
        );
        let node = node::Node {
            follows_changes: feeds,
            realtime,
            sessions: settings,
            shortcuts,
            ..node::Node::new(
                Arc::clone(store),
                Arc::new(EmbeddedWorkflow::new(engine.await.unwrap())),
                Files::new(Arc::new(InMemory::new()), signer.clone(), ""),
                signer,
                resolvers::jobs::Settings {
                    report_url: String::new(),
                    retention_millis: None,
                    report_life_millis: 1_000,
                },
            )
        };
        let background = Background::default();
        let doors = node.assemble(&background, CancellationToken::new());
        let doors = doors.await.unwrap();
        let close = CancellationToken::new();
        let serving = tokio::spawn(http::serve(listener, doors, listens, close));
        Self {
            address,
            background,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Ends its tasks, in order.
    pub async fn stop(self) {
        timeout(DEADLINE, self.background.end()).await.unwrap();
    }
}

/// The shared client over HTTP. Creating one is slow. It keeps no connections, which would belong
/// to one test's runtime.
pub fn http() -> reqwest::Client {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // The first caller installs it; the others find it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0);
        client.build().unwrap()
    });
    client.clone()
}

/// Publishes through a node's `publishJob`, as the stream of a job table does.
pub async fn publish_job(
    http: &reqwest::Client,
    address: &str,
    old: Option<&Job>,
    new: &Job,
) -> Result<(), String> {
    let text = |job| serde_json::to_string(job).unwrap();
    let body = json!({
        "query": "mutation ($new: AWSJSON!, $old: AWSJSON) { publishJob(new: $new, old: $old) { version } }",
        "variables": { "new": text(new), "old": old.map(text) },
    });
    let sent = http
        .post(format!("http://{address}/graphql"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send();
    let answer = sent.await.map_err(|error| error.to_string())?;
    let answer = answer.text().await.map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    if answer["data"]["publishJob"]["version"] == json!(new.version.0) {
        Ok(())
    } else {
        Err(answer.to_string())
    }
}

/// Jobs in the store, and the versions that are committed.
pub struct Jobs {
    pub store: Arc<dyn JobStore>,
    ids: Vec<JobId>,
    committed: HashMap<JobId, AtomicU64>,
    /// All of them are finished.
    finished: AtomicBool,
    changed: tokio::sync::watch::Sender<()>,
}

fn at(seconds: i64) -> Time {
    Time::from_millis(1_795_496_400_000 + seconds * 1000)
}

impl Jobs {
    /// This many new ones.
    pub async fn create(store: Arc<dyn JobStore>, count: usize) -> Arc<Self> {
        let mut ids = Vec::new();
        for number in 0..count {
            let random = u128::try_from(number).unwrap() << 64 | 7;
            let new = NewJob {
                id: JobId::new(at(0), random.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                job_type: "test".to_owned(),
                owner: format!("owner {}", number % 7),
                tags: Vec::new(),
                steps: Vec::new(),
            };
            let job = new.into_job().unwrap();
            ids.push(job.id);
            let (input, request) = ("{}".into(), None);
            let create = CreateJob {
                job,
                input,
                request,
            };
            store.create(create).await.unwrap();
        }
        let committed = ids.iter().map(|id| (*id, AtomicU64::new(1))).collect();
        Arc::new(Self {
            store,
            ids,
            committed,
            finished: AtomicBool::new(false),
            changed: tokio::sync::watch::Sender::new(()),
        })
    }

    pub fn ids(&self) -> &[JobId] {
        &self.ids
    }

    fn committed(&self, id: JobId) -> u64 {
        self.committed[&id].load(Ordering::SeqCst)
    }

    /// One more version of a job; returns it before and after.
    pub async fn apply(&self, id: JobId, update: Update) -> (Arc<Job>, Arc<Job>) {
        let old = self.store.get(id).await.unwrap().unwrap();
        let change = Change::of(update);
        let outcome = self.store.apply(id, change, at(1)).await.unwrap();
        let new = Arc::clone(outcome.job());
        self.committed[&id].store(new.version.0, Ordering::SeqCst);
        (old, new)
    }

    /// Takes every job through this many reports to its end, `at_once` of them at a time, and gives
    /// each change to `publish`.
    pub async fn run<P: Future<Output = ()>>(
        &self,
        reports: u8,
        at_once: usize,
        publish: impl Fn(Arc<Job>, Arc<Job>) -> P,
    ) {
        for ids in self.ids.chunks(at_once) {
            let mut updates = vec![Update::Start];
            updates.extend((1..=reports).map(|report| {
                Update::Report(Report {
                    progress: Some(report % 100),
                    message: Some(format!("report {report}")),
                    ..Report::default()
                })
            }));
            updates.push(Update::Succeed);
            for update in updates {
                for id in ids {
                    let (old, new) = self.apply(*id, update.clone()).await;
                    publish(old, new).await;
                }
            }
        }
        self.finished.store(true, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    async fn newest(&self, id: JobId) -> Seen {
        let job = self.store.get(id).await.unwrap().unwrap();
        Seen::new(job.version.0, job.status)
    }
}

/// How a watcher is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// graphql-transport-ws.
    Modern,
    /// AppSync's protocol.
    Amplify,
    /// Server-sent events.
    Sse,
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An open socket, acknowledged; `None` when it broke.
pub async fn open(address: &str, door: Door) -> Option<Socket> {
    let mut request = format!("ws://{address}/graphql")
        .into_client_request()
        .unwrap();
    let protocols = match door {
        Door::Modern => "graphql-transport-ws",
        Door::Amplify | Door::Sse => "graphql-ws, header-e30",
    };
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.ok()?;
    let init = json!({ "type": "connection_init" }).to_string();
    socket.send(Message::text(init)).await.ok()?;
    let ack = read(&mut socket).await?;
    assert_eq!(ack["type"], "connection_ack", "{ack}");
    Some(socket)
}

/// The next message; `None` when the connection broke.
pub async fn read(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub fn subscribe(door: Door, id: &str, query: &str, variables: Value) -> Message {
    let request = json!({ "query": query, "variables": variables });
    let message = match door {
        Door::Modern => json!({ "id": id, "type": "subscribe", "payload": request }),
        Door::Amplify | Door::Sse => {
            json!({ "id": id, "type": "start", "payload": { "data": request.to_string(), "extensions": {} } })
        }
    };
    Message::text(message.to_string())
}

const ON_JOB: &str = "subscription ($id: ID!, $after: Int) { onJob(id: $id, after: $after) { version status progress attempt } }";

/// One client, who watches some jobs over one connection until it has seen the end of each.
pub struct Client {
    pub addresses: Arc<[String]>,
    pub door: Door,
    pub jobs: Arc<Jobs>,
    pub watched: Vec<JobId>,
    /// Comes back with what it has seen, rather than for a new snapshot.
    pub resumes: bool,
    /// Takes this time for each message.
    pub pace: Duration,
}

impl Client {
    /// Watches; returns how often it had to come back.
    pub async fn watch(self) -> usize {
        let mut transcripts = vec![JobTranscript::default(); self.watched.len()];
        let mut connections = 0;
        while transcripts.iter().any(is_open) {
            if connections > 0 {
                sleep(COME_BACK).await;
            }
            let address = &self.addresses[connections % self.addresses.len()];
            match self.door {
                Door::Sse => self.stream(address, &mut transcripts).await,
                _ => self.connection(address, &mut transcripts).await,
            };
            for transcript in &transcripts {
                let violation = transcript.violation();
                assert!(
                    violation.is_none(),
                    "{:?}: {}",
                    self.door,
                    violation.unwrap()
                );
            }
            connections += 1;
        }
        for (id, transcript) in self.watched.iter().zip(transcripts) {
            let verdict = transcript.finish(self.jobs.newest(*id).await);
            assert!(verdict.is_ok(), "{:?}: {}", self.door, verdict.unwrap_err());
        }
        connections - 1
    }

    fn after(&self, transcript: &JobTranscript) -> Option<u64> {
        let last = transcript.last()?;
        self.resumes.then_some(last.version)
    }

    /// Until it breaks or all is seen; `None` when it breaks.
    async fn connection(&self, address: &str, transcripts: &mut [JobTranscript]) -> Option<()> {
        let mut socket = open(address, self.door).await?;
        for (number, id) in self.watched.iter().enumerate() {
            let transcript = &mut transcripts[number];
            if is_open(transcript) {
                let after = self.after(transcript);
                transcript.subscribed(self.jobs.committed(*id), after);
                let variables = json!({ "id": id.to_string(), "after": after });
                let message = subscribe(self.door, &number.to_string(), ON_JOB, variables);
                socket.send(message).await.ok()?;
            }
        }
        while transcripts.iter().any(is_open) {
            let message = read(&mut socket).await?;
            let number = message["id"]
                .as_str()
                .map(|id| id.parse::<usize>().unwrap());
            match (message["type"].as_str().unwrap(), number) {
                ("next" | "data", Some(number)) => {
                    let job = &message["payload"]["data"]["onJob"];
                    transcripts[number].event(Seen::read(job).unwrap());
                }
                ("complete", Some(number)) => transcripts[number].completed(),
                ("ka" | "start_ack" | "ping", _) => {}
                _ => panic!("{message}"),
            }
            if !self.pace.is_zero() {
                sleep(self.pace).await;
            }
        }
        Some(())
    }

    async fn stream(&self, address: &str, transcripts: &mut [JobTranscript]) -> Option<()> {
        let ([id], [transcript]) = (&self.watched[..], transcripts) else {
            panic!("a stream watches one job")
        };
        let after = self.after(transcript);
        let query =
            "subscription ($id: ID!) { onJob(id: $id) { version status progress attempt } }";
        let body = json!({ "query": query, "variables": { "id": id.to_string() } });
        let mut request = http()
            .post(format!("http://{address}/graphql"))
            .header("accept", "text/event-stream")
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        transcript.subscribed(self.jobs.committed(*id), after);
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        let (mut chunks, mut text) = (response.bytes_stream(), String::new());
        while let Some(chunk) = chunks.next().await {
            text.push_str(std::str::from_utf8(&chunk.ok()?).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                if event.starts_with("event: next") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                    let data: Value = serde_json::from_str(data.unwrap()).unwrap();
                    transcript.event(Seen::read(&data["data"]["onJob"]).unwrap());
                } else if event.starts_with("event: complete") {
                    transcript.completed();
                    return Some(());
                }
                text = rest.to_owned();
            }
        }
        None
    }
}

fn is_open(transcript: &JobTranscript) -> bool {
    transcript
        .last()
        .is_none_or(|last| !last.status.is_terminal())
}

/// Watches the running jobs until the list is the true one and will not change; returns how often
/// it had to come back.
pub async fn watch_list(address: String, jobs: Arc<Jobs>, filter: Value) -> usize {
    let query = "subscription ($filter: JobFilter) { onJobs(filter: $filter) { kind job { id version status } } }";
    let running = |job: &Value| {
        Some(matches!(
            job["status"].as_str(),
            Some("RUNNING" | "WAITING")
        ))
    };
    let mut transcript = ListTranscript::default();
    let mut connections = 0;
    let none = BTreeMap::new();
    let mut changed = jobs.changed.subscribe();
    let over = |transcript: &ListTranscript<String>| {
        jobs.finished.load(Ordering::SeqCst)
            && transcript.is_complete()
            && transcript.held() == &none
    };
    'connections: loop {
        connections += 1;
        let Some(mut socket) = open(&address, Door::Modern).await else {
            sleep(COME_BACK).await;
            continue;
        };
        transcript.subscribed();
        let message = subscribe(Door::Modern, "l", query, json!({ "filter": filter }));
        if socket.send(message).await.is_err() {
            continue;
        }
        loop {
            if over(&transcript) {
                break 'connections;
            }
            let message = tokio::select! {
                message = read(&mut socket) => message,
                _ = changed.changed() => continue,
            };
            let Some(message) = message else { break };
            if message["type"] == "ping" {
                continue;
            }
            assert_eq!(message["type"], "next", "{message}");
            let event = &message["payload"]["data"]["onJobs"];
            let told = ListEvent::read(event, running).unwrap();
            if told.kind == ListEventKind::Resync {
                RESYNCS.fetch_add(1, Ordering::Relaxed);
            }
            transcript.event(told);
            let violation = transcript.violation();
            assert!(violation.is_none(), "{}", violation.unwrap());
        }
    }
    let verdict = transcript.finish(&none);
    assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    connections - 1
}

/// RESYNCs that list watchers of this process have seen.
pub static RESYNCS: AtomicU64 = AtomicU64::new(0);
