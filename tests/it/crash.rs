//! `kill -9` of the server in the middle of running jobs, again and again: nothing acknowledged is
//! lost, nothing runs twice, every job ends as it would have ended, and every watcher sees the
//! truth.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use checker::{History, JobTranscript, ListTranscript, Seen};
use futures_util::StreamExt;
use job::JobId;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{JobStore, Position};
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kit::{Client, DEADLINE, Door, Home, Said, Watch, code_of, on_job, soon};

/// How often the server is killed.
const KILLS: usize = 50;
/// The longest that a server lives, in milliseconds, once it is ready.
const LIFE_MILLIS: u64 = 250;
/// Number of concurrent submitters.
const SUBMITTERS: usize = 3;
/// Jobs that one submitter submits while one server lives.
const JOBS_PER_LIFE: usize = 2;

/// A kind of job and how it has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Chain,
    Fails,
    Waits,
    Map,
    Answered,
    Cancelled,
}

impl Plan {
    fn of(number: usize) -> Plan {
        use Plan::{Answered, Cancelled, Chain, Fails, Map, Waits};
        [Chain, Fails, Chain, Waits, Map, Answered, Cancelled][number % 7]
    }

    fn job_type(self) -> &'static str {
        match self {
            Plan::Chain => "chain",
            Plan::Fails => "fails",
            Plan::Waits => "waits",
            Plan::Map => "map",
            Plan::Answered | Plan::Cancelled => "asks",
        }
    }

    fn end(self) -> (&'static str, Value) {
        match self {
            Plan::Chain => ("SUCCEEDED", json!({ "n": 13 })),
            Plan::Fails => ("FAILED", json!("Boom")),
            Plan::Waits => ("SUCCEEDED", json!({ "n": 11 })),
            Plan::Map => ("SUCCEEDED", json!([{ "n": 2 }, { "n": 3 }, { "n": 4 }])),
            Plan::Answered => ("SUCCEEDED", json!({ "answer": 42 })),
            Plan::Cancelled => ("CANCELLED", json!("Cancelled")),
        }
    }
}

fn home() -> Home {
    let counter = json!({ "n.$": "$.n", "job.$": "$.job" });
    let call = |function: &str| json!({ "Type": "Task", "Resource": function, "Parameters": counter, "ResultPath": "$.out", "ResultSelector": { "n.$": "$.n" } });
    let with = |mut state: Value, key: &str, value: Value| {
        state[key] = value;
        state
    };
    // Each step counts; the input goes along since it has the report token.
    let counted = |state: Value, last: bool| {
        let state = with(state, "OutputPath", json!("$"));
        if last {
            with(state, "End", json!(true))
        } else {
            state
        }
    };
    let chain = json!({ "StartAt": "One", "States": {
        "One": with(counted(call("noop1"), false), "Next", json!("Two")),
        "Two": with(with(counted(call("noop2"), false), "Parameters", json!({ "n.$": "$.out.n", "job.$": "$.job" })), "Next", json!("Three")),
        "Three": with(with(with(counted(call("noop3"), true), "Parameters", json!({ "n.$": "$.out.n", "job.$": "$.job" })), "ResultPath", json!("$")), "OutputPath", json!("$")),
    } });
    let fails = json!({ "StartAt": "First", "States": {
        "First": with(call("noop1"), "Next", json!("Boom")),
        "Boom": { "Type": "Fail", "Error": "Boom", "Cause": "as it should" },
    } });
    let waits = json!({ "StartAt": "Pause", "States": {
        "Pause": { "Type": "Wait", "Seconds": 1, "Next": "Then" },
        "Then": with(with(call("noop2"), "ResultPath", json!("$")), "End", json!(true)),
    } });
    let map = json!({ "StartAt": "Each", "States": { "Each": {
        "Type": "Map", "ItemsPath": "$.items", "End": true,
        "ItemSelector": { "n.$": "$$.Map.Item.Value", "job.$": "$.job" },
        "ItemProcessor": { "StartAt": "Count", "States": {
            "Count": { "Type": "Task", "Resource": "noop3", "End": true } } },
    } } });
    let asks = json!({ "StartAt": "Ask", "States": {
        "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": { "FunctionName": "noop1", "Payload": { "job.$": "$.job" } }, "Next": "Done" },
        "Done": { "Type": "Pass", "End": true },
    } });
    Home::new()
        .noops(2)
        .machine("chain", &chain)
        .machine("fails", &fails)
        .machine("waits", &waits)
        .machine("map", &map)
        .machine("asks", &asks)
}

/// State that the clients share: the address of the server at this moment, and the answers so far.
struct World {
    url: watch::Receiver<Option<String>>,
    client: Client,
    acknowledged: Mutex<BTreeMap<String, (String, Plan)>>,
    transcripts: Mutex<BTreeMap<String, JobTranscript>>,
}

impl World {
    /// A client of the server that lives at this moment; waits for one.
    async fn client(&self) -> Client {
        let mut url = self.url.clone();
        let url = soon("a server", url.wait_for(Option::is_some))
            .await
            .unwrap()
            .clone();
        self.client.at(&url.unwrap())
    }

    /// Repeats the request until a server answers. The request may have been executed more than
    /// once.
    async fn ask(&self, document: &str, variables: &Value) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.client().await.send(document, variables.clone()).await;
            match answer {
                Ok(answer)
                    if code_of(&answer).is_none_or(|(code, _)| code != "ServiceUnavailable") =>
                {
                    return answer;
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
            assert!(begun.elapsed() < 4 * DEADLINE, "nobody answers");
        }
    }
}

/// Submits with a new token until it is acknowledged, and once more: it must be the same job.
async fn submit(world: &World, number: usize) -> (String, Plan) {
    let plan = Plan::of(number);
    let token = format!("token {number}");
    let input = json!({ "n": 10, "items": [1, 2, 3] }).to_string();
    let input = json!({ "type": plan.job_type(), "input": input, "tags": [format!("{plan:?}")], "clientRequestToken": token });
    let document = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
    let variables = json!({ "input": input });
    let mut ids = HashSet::new();
    for _ in 0..2 {
        let answer = world.ask(document, &variables).await;
        let id = answer["data"]["submitJob"]["id"].as_str();
        ids.insert(id.unwrap_or_else(|| panic!("{answer}")).to_owned());
        let first = ids.iter().next().unwrap().clone();
        world
            .acknowledged
            .lock()
            .insert(token.clone(), (first, plan));
    }
    assert_eq!(ids.len(), 1, "one token stands for one job");
    (ids.into_iter().next().unwrap(), plan)
}

/// Does what the plan asks for, besides submitting.
async fn steer(world: &World, id: &str, plan: Plan) {
    let id = json!({ "id": id });
    match plan {
        Plan::Cancelled => {
            let document = "mutation($id: ID!) { cancelJob(id: $id) { status } }";
            let answer = world.ask(document, &id).await;
            assert_eq!(
                answer["data"]["cancelJob"]["status"], "CANCELLED",
                "{answer}"
            );
        }
        Plan::Answered => loop {
            let document = r#"mutation($id: ID!) { resumeJob(id: $id, step: "Ask", output: "{\"answer\":42}") { id } }"#;
            let answer = world.ask(document, &id).await;
            match code_of(&answer) {
                None => break,
                // It does not wait yet, or the answer before this one was taken and its
                // acknowledgement lost.
                Some((code, _)) => assert_eq!(code, "NotWaiting", "{answer}"),
            }
            let now = world
                .ask("query($id: ID!) { getJob(id: $id) { status } }", &id)
                .await;
            if now["data"]["getJob"]["status"] == "SUCCEEDED" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        },
        _ => {}
    }
}

/// Watches a job over all the deaths of the server, until its end.
async fn watch_job(world: Arc<World>, id: String, door: Door) {
    let mut transcript = JobTranscript::default();
    'connections: loop {
        let client = world.client().await;
        let after = transcript.last().map(|last| last.version);
        let variables = json!({ "id": id, "after": after });
        let Ok(mut watch) = Watch::try_open(door, &client, &on_job(), variables).await else {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        };
        transcript.subscribed(after.unwrap_or(1), after);
        loop {
            match watch.read().await {
                Said::Next(payload) => {
                    let job = &payload["data"]["onJob"];
                    transcript.event(
                        Seen::read(job).unwrap_or_else(|error| panic!("{error}: {payload}")),
                    );
                    if transcript.last().unwrap().status.is_terminal() {
                        break 'connections;
                    }
                }
                Said::Closed(_) => continue 'connections,
                Said::Complete => {
                    transcript.completed();
                    break 'connections;
                }
                Said::Error(errors) if errors[0]["errorType"] == "ServiceUnavailable" => {
                    continue 'connections;
                }
                Said::Error(errors) => panic!("{id} cannot be watched: {errors}"),
            }
        }
    }
    world.transcripts.lock().insert(id, transcript);
}

/// Watches the list of the open jobs until it is stopped, when no job is open any more.
async fn watch_list(world: Arc<World>, mut stop: watch::Receiver<bool>) -> ListTranscript<String> {
    let document = "subscription { onJobs(filter: { status: { in: [QUEUED, RUNNING, WAITING] } }) { kind job { id version status } } }";
    let mut list = ListTranscript::default();
    'connections: loop {
        let client = world.client().await;
        let Ok(mut watch) = Watch::try_open(Door::TransportWs, &client, document, json!({})).await
        else {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        };
        list.subscribed();
        loop {
            let done = *stop.borrow() && list.is_complete() && list.held().is_empty();
            if done || list.violation().is_some() {
                return list;
            }
            let said = tokio::select! {
                said = watch.read() => said,
                changed = stop.changed() => {
                    changed.unwrap();
                    continue;
                }
            };
            match said {
                Said::Next(payload) => {
                    let open = |job: &Value| {
                        Some(["QUEUED", "RUNNING", "WAITING"].contains(&job["status"].as_str()?))
                    };
                    list.event(checker::ListEvent::read(&payload["data"]["onJobs"], open).unwrap());
                }
                Said::Closed(_) => continue 'connections,
                other => panic!("the list ended: {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_again_and_again() {
    let seed = std::env::var("JOBCAST_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("JOBCAST_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home();
    let (at, url) = watch::channel(None);
    let world = Arc::new(World {
        url,
        client: Client::new(""),
        acknowledged: Mutex::default(),
        transcripts: Mutex::default(),
    });
    let (lives, life) = watch::channel(0_usize);
    let mut clients = JoinSet::new();
    for submitter in 0..SUBMITTERS {
        let (world, mut life) = (Arc::clone(&world), life.clone());
        clients.spawn(async move {
            let mut watchers = JoinSet::new();
            for round in 0..KILLS {
                soon("the next server", life.wait_for(|life| *life > round))
                    .await
                    .unwrap();
                for job in 0..JOBS_PER_LIFE {
                    let number = (round * JOBS_PER_LIFE + job) * SUBMITTERS + submitter;
                    let (id, plan) = submit(&world, number).await;
                    let door = Door::ALL[number % Door::ALL.len()];
                    watchers.spawn(watch_job(Arc::clone(&world), id.clone(), door));
                    steer(&world, &id, plan).await;
                }
            }
            while let Some(watched) = watchers.join_next().await {
                watched.unwrap();
            }
        });
    }
    let (stop_list, stopping) = watch::channel(false);
    let list = tokio::spawn(watch_list(Arc::clone(&world), stopping));

    let mut killed = 0;
    while killed < KILLS {
        let server = home.start().await;
        at.send_replace(Some(server.url.clone()));
        lives.send_replace(killed + 1);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LIFE_MILLIS))).await;
        at.send_replace(None);
        server.kill().await;
        killed += 1;
    }
    let server = home.start().await;
    at.send_replace(Some(server.url.clone()));
    let finished = async {
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    };
    let watched = tokio::time::timeout(2 * DEADLINE, finished).await;
    if watched.is_err() {
        unfinished(&world, &server.client(), &home.log()).await;
    }
    stop_list.send_replace(true);
    let list = soon("the list of open jobs to be empty", list)
        .await
        .unwrap();
    list.finish(&BTreeMap::new())
        .unwrap_or_else(|violation| panic!("{violation}"));

    ends_are_right(&world, &server.client()).await;
    assert!(server.stop().await.success());
    let history = history(&home.path("data/jobcast.db")).await;
    let acknowledged = world.acknowledged.lock();
    assert_eq!(
        history.jobs().count(),
        acknowledged.len(),
        "one job for each token"
    );
    for (id, transcript) in std::mem::take(&mut *world.transcripts.lock()) {
        let newest = history.newest(&id.parse().unwrap()).unwrap();
        transcript
            .finish(newest)
            .unwrap_or_else(|violation| panic!("{id}: {violation}"));
    }
}

/// Fails, and says which jobs have not ended and which watchers do not know.
async fn unfinished(world: &World, client: &Client, log: &str) {
    let acknowledged = world.acknowledged.lock().clone();
    let told = world
        .transcripts
        .lock()
        .keys()
        .cloned()
        .collect::<HashSet<_>>();
    let mut report = String::new();
    for (token, (id, plan)) in &acknowledged {
        let job = client.job(id).await;
        if !told.contains(id) {
            report.push_str(&format!(
                "{token}, {plan:?}, no watcher has seen the end of {job}\n"
            ));
        }
    }
    let submitted = acknowledged.len();
    panic!(
        "{submitted} jobs, {} seen to their end\n{report}\nthe log:\n{log}",
        told.len()
    );
}

/// Every acknowledged job is there, once, in its first attempt, with the end that it would have
/// had.
async fn ends_are_right(world: &World, client: &Client) {
    let acknowledged = world.acknowledged.lock().clone();
    assert_eq!(acknowledged.len(), KILLS * JOBS_PER_LIFE * SUBMITTERS);
    let jobs: HashSet<&String> = acknowledged.values().map(|(id, _)| id).collect();
    assert_eq!(jobs.len(), acknowledged.len());
    for (id, plan) in acknowledged.values() {
        let job = client.job(id).await;
        let result = match job["result"].as_str() {
            Some(result) => serde_json::from_str(result).unwrap(),
            None => job["error"]["name"].clone(),
        };
        assert_eq!(
            (job["status"].as_str().unwrap(), result),
            plan.end(),
            "{plan:?}: {job}"
        );
        assert_eq!(job["attempt"], 1, "{job}");
        assert_eq!(job["execution"], id.as_str());
    }
}

/// The change feed from its beginning; each change must follow from the one before.
async fn history(database: &Path) -> History<JobId> {
    let database = Database::open(&Location::File(database.to_path_buf())).unwrap();
    let store = SqliteStore::open(database).unwrap();
    let mut feed = store.changes(Some(Position("0".to_owned()))).await.unwrap();
    let mut history = History::default();
    // The last change is of a job that is written now: a marker.
    let new = job::NewJob {
        id: JobId::new(job::Time::from_millis(0), 1),
        job_type: "marker".into(),
        owner: "test".into(),
        tags: Vec::new(),
        steps: Vec::new(),
    };
    let marker = new.into_job().unwrap();
    let create = resolvers::store::CreateJob {
        job: marker.clone(),
        input: "{}".into(),
        request: None,
    };
    store.create(create).await.unwrap();
    loop {
        let event = soon("the feed", feed.next()).await.unwrap().unwrap();
        let job = event.new.unwrap();
        if job.id == marker.id {
            return history;
        }
        history
            .change(job.id, Seen::from(&*job))
            .unwrap_or_else(|broken| panic!("{broken}"));
    }
}

/// The processes of a server's functions.
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn functions_end_with_a_killed_server() {
    let home = home();
    let server = home.start().await;
    let id = server.client().submit("chain", &json!({ "n": 1 })).await;
    server.client().until_status(&id, "SUCCEEDED").await;
    let processes = children(server.pid());
    assert!(processes.len() >= 3, "{processes:?}");
    server.kill().await;
    soon("the end of the functions", async {
        let lives = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            // A zombie has ended; its new parent has not looked yet.
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        while processes.iter().any(lives) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
