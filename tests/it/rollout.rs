//! A node is replaced while its clients work: of two nodes behind a load balancer, one gets
//! SIGTERM.
//! The balancer is the one of this test: it asks `/readyz` at an interval, as those of AWS and
//! Kubernetes do, and sends each new request and connection to a node that was ready.
//!
//! `JOBCAST_CASES` is the number of watchers on the node that stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use checker::{JobTranscript, Seen};
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::aws::{configured, home};
use crate::kit::aws::{DynamoDb, StepFunctions};
use crate::kit::{Client, Door, Said, Watch, on_job};

/// Watchers, unless `JOBCAST_CASES` gives their number.
const WATCHERS: usize = 60;
/// Jobs that they watch.
const JOBS: usize = 5;
/// Time between two questions of the balancer. The nodes go on for much longer after the signal.
const ASKS_EVERY: Duration = Duration::from_millis(50);
const STOP_DELAY: &str = "3s";
/// Time allowed for each part of the test.
const WITHIN: Duration = Duration::from_secs(150);

const REPORT: &str = "mutation($id: ID!, $message: String) { reportProgress(input: { id: $id, message: $message }) { version } }";
const RESUME: &str =
    "mutation($id: ID!) { resumeJob(id: $id, step: \"Ask\", output: \"{}\") { id } }";

/// Two nodes as one server.
struct Balancer {
    stopping: Client,
    staying: Client,
    /// Whether the node that stops was ready when it was asked last.
    is_ready: AtomicBool,
    requests: AtomicUsize,
    failed: AtomicUsize,
}

impl Balancer {
    /// The node of the next request.
    fn node(&self) -> &Client {
        match self.is_ready.load(Ordering::Relaxed) {
            true => &self.stopping,
            false => &self.staying,
        }
    }

    async fn ask(&self) {
        let mut times = interval(ASKS_EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stopping.get("/readyz").await.0 == 200 {
            times.tick().await;
        }
        self.is_ready.store(false, Ordering::Relaxed);
    }

    /// Sends a request, and counts it as failed unless it is answered with data.
    async fn send(&self, document: &str, variables: Value) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.node().send(document, variables).await;
        if !answer.is_ok_and(|answer| answer.get("errors").is_none()) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Watches a job to its end over all its connections, and returns how many they were.
async fn watch(balancer: Arc<Balancer>, id: String, opened: Arc<AtomicUsize>) -> usize {
    let mut transcript = JobTranscript::default();
    let mut connections = 0;
    loop {
        let last = transcript.last().map(|seen| seen.version);
        transcript.subscribed(last.unwrap_or_default(), last);
        let variables = json!({ "id": id, "after": last });
        let node = balancer.node();
        let mut watch = Watch::open(Door::TransportWs, node, &on_job(), variables).await;
        connections += 1;
        loop {
            // Without a deadline: between two events the test waits for other things.
            match watch.read().await {
                Said::Next(payload) => {
                    transcript.event(Seen::read(&payload["data"]["onJob"]).unwrap());
                    if last.is_none() && connections == 1 {
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(transcript.violation().is_none(), "{payload}");
                }
                Said::Closed(Some(1012)) => break,
                Said::Complete => {
                    transcript.completed();
                    let verdict = transcript.finish(balancer.staying.seen(&id).await);
                    assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
                    return connections;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_replaced_fails_no_request_and_every_watcher_resumes() {
    let watchers = match std::env::var("JOBCAST_CASES") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => WATCHERS,
    };
    jobcast::server::allow_open_files();
    let home = home();
    let dynamodb = DynamoDb::start().await;
    let step_functions = StepFunctions::start(&home.path("state-machines")).await;
    let home = configured(
        home,
        DynamoDb::TABLE,
        &dynamodb.endpoint,
        &step_functions.endpoint,
    )
    .variable("JOBCAST_STOP_DELAY", STOP_DELAY);
    let (stopping, staying) = tokio::join!(home.start(), home.start());
    let balancer = Arc::new(Balancer {
        stopping: stopping.client(),
        staying: staying.client(),
        is_ready: AtomicBool::new(true),
        requests: AtomicUsize::default(),
        failed: AtomicUsize::default(),
    });
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        let id = balancer.staying.submit("ask", &json!({})).await;
        balancer.staying.until_status(&id, "WAITING").await;
        ids.push(id);
    }
    let opened = Arc::new(AtomicUsize::default());
    let watching: Vec<_> = (0..watchers)
        .map(|number| {
            let id = ids[number % JOBS].clone();
            let watching = watch(Arc::clone(&balancer), id, Arc::clone(&opened));
            AbortOnDropHandle::new(tokio::spawn(watching))
        })
        .collect();
    until("every watcher has its snapshot", || {
        opened.load(Ordering::Relaxed) >= watchers
    })
    .await;

    let (asked, ordered) = (Arc::clone(&balancer), ids.clone());
    let asking = AbortOnDropHandle::new(tokio::spawn(async move { asked.ask().await }));
    let reporter = Arc::clone(&balancer);
    let requests = AbortOnDropHandle::new(tokio::spawn(async move {
        for (number, id) in ordered.iter().cycle().enumerate() {
            let variables = json!({ "id": id, "message": number.to_string() });
            reporter.send(REPORT, variables).await;
            reporter.send("{ listJobTypes { name } }", json!({})).await;
        }
    }));
    until("requests go through the node", || {
        balancer.requests.load(Ordering::Relaxed) >= 10
    })
    .await;
    stopping.signal(Signal::TERM);
    assert!(stopping.ended().await.success());
    let before = balancer.requests.load(Ordering::Relaxed);
    until("requests go on", || {
        balancer.requests.load(Ordering::Relaxed) >= before + 10
    })
    .await;
    within("the balancer", asking).await.unwrap();
    drop(requests);

    for id in &ids {
        balancer.staying.data(RESUME, json!({ "id": id })).await;
    }
    let connections = within("the end of every watch", join_all(watching)).await;
    for connections in connections {
        assert_eq!(connections.unwrap(), 2, "one on each node");
    }
    let failed = balancer.failed.load(Ordering::Relaxed);
    let requests = balancer.requests.load(Ordering::Relaxed);
    println!("{watchers} watchers, {requests} requests, {failed} failed");
    assert_eq!(failed, 0, "of {requests} requests");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let mut looks = interval(Duration::from_millis(10));
    within(what, async {
        while !holds() {
            looks.tick().await;
        }
    })
    .await;
}

/// Waits for what must come. A debug build takes a while to open a thousand watches.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waiting = timeout(WITHIN, future).await;
    waiting.unwrap_or_else(|_| panic!("waited {WITHIN:?} in vain for {what}"))
}
