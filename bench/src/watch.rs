//! `watch`: from the commit of a change to the frame at one watcher. The server's modules run in
//! this process, so that the moment of the commit is known; the watcher is a client on a socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use job::change::Report;
use job::{Change, JobId, Update};
use jobcast::http;
use jobcast::http::guard::Guard;
use jobcast::server::node::{Background, Node};
use object_store::local::LocalFileSystem;
use resolvers::files::Files;
use resolvers::jobs::{Settings, now};
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use resolvers::token::Signer;
use resolvers::workflow::embedded::EmbeddedWorkflow;
use serde_json::json;
use sqlite::{Database, Location};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::{Engine, NoListener};

use crate::args::BenchArgs;
use crate::error::{Error, Result};
use crate::report::{Section, Times};
use crate::socket::{Socket, SubscriptionMessage};
use crate::threads::Threads;
use crate::updates::open_job;

const WATCH: &str = "subscription($id: ID!) { onJob(id: $id) { version status progress message steps { name status progress } } }";
const GOAL: (f64, f64) = (0.5, 3.0);
/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(5);
/// Number of changes before the measurement.
const WARM_UP: u32 = 50;
/// Minimum number of measured changes.
const LEAST: usize = 10;
/// Time after which an event counts as lost.
const LOST: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("watch")?;
    let mut section = Section::new(
        "watch",
        format!("one onJob subscription over WebSocket, a change every {PAUSE:?}"),
    );
    let rooms = Threads::new()?;
    let served = rooms.spawn(serve(place.path().to_path_buf())).await?;
    let (address, job, mut changes) = served?;
    let socket = Socket::connect(&address).await?;
    let mut receiver = socket.subscribe("job", WATCH, &json!({"id": job})).await?;
    expect(&mut receiver, 2).await?;
    let mut times = Times::default();
    let end = Instant::now() + args.phase();
    let mut version = 2;
    while Instant::now() < end || times.len() < LEAST {
        version += 1;
        let committed = changes.make(version);
        expect(&mut receiver, version).await?;
        let seen = Instant::now();
        let committed = committed.await?;
        if version > WARM_UP {
            times.add(seen.saturating_duration_since(committed));
        }
        tokio::time::sleep(PAUSE).await;
    }
    section.latency("commit → watcher's socket", &mut times, Some(GOAL));
    Ok(section)
}

/// Receives the event with this version.
async fn expect(
    receiver: &mut tokio::sync::mpsc::Receiver<SubscriptionMessage>,
    version: u32,
) -> Result<()> {
    let wanted = format!("\"version\":{version},");
    match tokio::time::timeout(LOST, receiver.recv()).await? {
        Some(SubscriptionMessage::Next(payload)) if payload.contains(&wanted) => Ok(()),
        other => Err(
            format!("version {version} was expected, and the watcher received {other:?}").into(),
        ),
    }
}

/// The server's side, which changes the job.
struct Changes {
    store: Arc<dyn JobStore>,
    database: Database,
    job: JobId,
    runtime: tokio::runtime::Handle,
}

impl Changes {
    /// Makes a change. The receiver gets the time at which its commit was on disk: a mark is part
    /// of the same commit, whose first request waits until the change is queued behind it.
    fn make(&mut self, number: u32) -> oneshot::Receiver<Instant> {
        let (sender, committed) = oneshot::channel();
        let (begun, begins) = oneshot::channel();
        let (stands, standing) = std::sync::mpsc::channel();
        let (store, database, job) = (Arc::clone(&self.store), self.database.clone(), self.job);
        self.runtime.spawn(async move {
            let mark = database.write(move |write| {
                let _ = begun.send(());
                let _ = standing.recv_timeout(LOST);
                write.after_commit(move || {
                    let _ = sender.send(Instant::now());
                });
                Ok::<_, sqlite::rusqlite::Error>(())
            });
            if let Err(error) = mark.await {
                eprintln!("the commit was not marked: {error}");
            }
        });
        self.runtime.spawn(async move {
            let _ = begins.await;
            let change = Change::of(Update::Report(Report {
                message: Some(format!("item {number}")),
                ..Report::default()
            }));
            let mut applied = std::pin::pin!(store.apply(job, change, now()));
            let at_once = (&mut applied).now_or_never();
            let _ = stands.send(());
            let applied = match at_once {
                Some(applied) => applied,
                None => applied.await,
            };
            if let Err(error) = applied {
                eprintln!("the change was not made: {error}");
            }
        });
        committed
    }
}

/// The modules from the job store to the socket, connected as in the server.
async fn serve(place: std::path::PathBuf) -> Result<(String, JobId, Changes)> {
    let signer = Signer::new(rand::random());
    let database = Database::open(&Location::File(place.join("jobcast.db")))?;
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(database.clone())?);
    let files = Arc::new(LocalFileSystem::new_with_prefix(&place)?);
    let engine = Engine::open(
        database.clone(),
        workflow::Settings::default(),
        Arc::new(Runner::new(Host::new(HostSettings::default()))),
        Arc::new(NoListener),
    )
    .await?;
    let node = Node::new(
        Arc::clone(&store),
        Arc::new(EmbeddedWorkflow::new(engine)),
        Files::new(files, signer.clone(), "http://127.0.0.1"),
        signer,
        Settings {
            report_url: String::new(),
            retention_millis: None,
            report_life_millis: 60_000,
        },
    );
    let doors = node
        .assemble(&Background::default(), CancellationToken::new())
        .await?;
    let settings = http::Settings {
        guard: Guard {
            loopback_only: true,
            ..Guard::default()
        },
        ..http::Settings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(http::serve(
        listener,
        doors,
        settings,
        CancellationToken::new(),
    ));
    let job = open_job(&*store, "dev").await?.id;
    let changes = Changes {
        store,
        database,
        job,
        runtime: tokio::runtime::Handle::current(),
    };
    Ok::<_, Error>((address, job, changes))
}
