//! `chain3`: submit over HTTP; three functions that do nothing run one after another in their own
//! processes over the Lambda Runtime API, each result on disk before the next begins; the client
//! receives the end by subscription over WebSocket. The loop is closed: a fixed number of jobs is
//! outstanding, and each end submits the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::args::{BenchArgs, Learn, Runtime};
use crate::error::Result;
use crate::http::Client;
use crate::report::{Section, Times};
use crate::server::Server;
use crate::socket::{Socket, SubscriptionMessage};
use crate::usage::{Cpu, processors};

const MACHINE: &str = include_str!("../../samples/bench/chain3.asl.json");
const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
const WATCH: &str = "subscription($id: ID!) { onJob(id: $id) { status } }";
const ENDS: &str = "subscription { onJobs(filter: {status: {in: [SUCCEEDED, FAILED, CANCELLED, TIMED_OUT]}}) { kind job { id status } } }";
const RESULT: &str = "query($id: ID!) { getJob(id: $id) { status result steps { status } } }";

/// Number of connections over which jobs are submitted.
const CONNECTIONS: usize = 16;
/// Subscriptions on one socket, below the server's limit.
const ON_SOCKET: usize = 64;
/// Time after which a job counts as lost.
const LOST: Duration = Duration::from_secs(30);
/// Maximum number of jobs that are run one after another.
const ALONE: usize = 2_000;

/// Goals: jobs per second by number of outstanding jobs; milliseconds for a single job (p50, p99).
const GOALS: [(usize, f64); 2] = [(64, 1_300.0), (256, 2_000.0)];
const GOAL_ALONE: (f64, f64) = (2.5, 8.0);

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let learn = match args.learn {
        Learn::Job => "one onJob subscription for each job",
        Learn::List => "one onJobs subscription for all",
    };
    let mut section = Section::new(
        "chain3",
        format!("submit, three functions in processes of their own, the end by {learn}"),
    );
    for outstanding in &args.outstanding {
        let phase = Phase::start(args, *outstanding).await?;
        let measured = phase.load(args).await?;
        phase.end().await?;
        if *outstanding == 1 {
            measured.tell_alone(&mut section);
        } else {
            measured.report(&mut section, *outstanding);
        }
    }
    Ok(section)
}

/// A new server with its clients.
struct Phase {
    _place: crate::place::Place,
    server: Server,
    load: Arc<Load>,
    outstanding: usize,
}

/// State that the workers share.
struct Load {
    client: Client,
    sockets: Vec<Socket>,
    ends: Option<Arc<Ends>>,
}

impl Phase {
    async fn start(args: &BenchArgs, outstanding: usize) -> Result<Phase> {
        let place = args.place("chain3")?;
        let mut setting = args.setting(&place)?.machine("chain3", MACHINE)?;
        for name in ["noop1", "noop2", "noop3"] {
            let serves = match args.runtime {
                Runtime::Bare => "bare",
                Runtime::LambdaRuntime => name,
            };
            setting = setting.function(name, serves, args.processes)?;
        }
        let server = setting.start().await?;
        let sockets = match args.learn {
            Learn::Job => outstanding.div_ceil(ON_SOCKET),
            Learn::List => 1,
        };
        let mut load = Load {
            client: Client::new(&server.address, CONNECTIONS.min(outstanding)),
            sockets: Vec::new(),
            ends: None,
        };
        for _ in 0..sockets {
            load.sockets.push(Socket::connect(&server.address).await?);
        }
        if args.learn == Learn::List {
            load.ends = Some(Ends::follow(&load.sockets[0]).await?);
        }
        Ok(Phase {
            _place: place,
            server,
            load: Arc::new(load),
            outstanding,
        })
    }

    async fn load(&self, args: &BenchArgs) -> Result<Measured> {
        let length = args.phase();
        let begin = Instant::now() + args.warm_up();
        let end = begin + length;
        let mut workers = JoinSet::new();
        for number in 0..self.outstanding {
            let load = Arc::clone(&self.load);
            let most = if self.outstanding == 1 {
                ALONE
            } else {
                usize::MAX
            };
            workers.spawn(async move { load.work(number, begin, end, most).await });
        }
        tokio::time::sleep_until(begin.into()).await;
        let before = Cpu::now(Some(self.server.id));
        let mut measured = Measured::default();
        let mut last = None;
        if self.outstanding > 1 {
            tokio::time::sleep_until(end.into()).await;
            measured.cpu = Cpu::now(Some(self.server.id)).since(before);
        }
        while let Some(worked) = workers.join_next().await {
            let (id, ends, acknowledged) = worked??;
            measured.ends.extend(ends);
            measured.acknowledged.extend(acknowledged);
            last = id.or(last);
        }
        measured.seconds = length.as_secs_f64();
        self.load
            .check(&last.ok_or("no job ended: the phase was too short")?)
            .await?;
        Ok(measured)
    }

    async fn end(self) -> Result<()> {
        drop(self.load);
        self.server.stop().await
    }
}

impl Load {
    /// Submits one job after another. Returns the last job, the durations of the jobs that ended
    /// after `begin`, and the durations of their submits.
    async fn work(
        &self,
        number: usize,
        begin: Instant,
        end: Instant,
        most: usize,
    ) -> Result<(Option<String>, Times, Times)> {
        let (mut ends, mut acknowledged, mut last) = (Times::default(), Times::default(), None);
        let mut count = 0u64;
        while Instant::now() < end && ends.len() < most {
            count += 1;
            let started = Instant::now();
            let input = json!({"n": 0, "worker": number, "count": count, "pad": "x".repeat(150)});
            let variables = json!({"input": {"type": "chain3", "input": input.to_string()}});
            let answer = self.client.graphql(SUBMIT, &variables).await?;
            let submitted = started.elapsed();
            let id = id_of(&answer)?;
            let ended = tokio::time::timeout(LOST, self.ended(&id, number));
            let status = ended
                .await
                .map_err(|_| format!("job {id} did not end in {LOST:?}"))??;
            if status != "SUCCEEDED" {
                return Err(format!("job {id} ended {status}").into());
            }
            let now = Instant::now();
            if now >= begin && now <= end {
                ends.add(now - started);
                acknowledged.add(submitted);
            }
            last = Some(id);
        }
        Ok((last, ends, acknowledged))
    }

    /// Waits until the job has ended and returns its status.
    async fn ended(&self, id: &str, number: usize) -> Result<String> {
        if let Some(ends) = &self.ends {
            return ends.wait(id).await;
        }
        let socket = &self.sockets[number % self.sockets.len()];
        let mut receiver = socket.subscribe(id, WATCH, &json!({"id": id})).await?;
        let mut status = String::new();
        loop {
            match receiver.recv().await {
                Some(SubscriptionMessage::Next(payload)) => status = field(&payload, "status")?,
                Some(SubscriptionMessage::Complete) => return Ok(status),
                Some(SubscriptionMessage::Error(errors)) => return Err(errors.into()),
                None => return Err("the socket broke".into()),
            }
        }
    }

    /// Checks that the functions ran: the counter in the result is 3.
    async fn check(&self, id: &str) -> Result<()> {
        let answer = self.client.graphql(RESULT, &json!({"id": id})).await?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let job = &answer["data"]["getJob"];
        let steps = job["steps"].as_array().map_or(0, Vec::len);
        if job["result"] == r#"{"n":3}"# && steps == 3 {
            return Ok(());
        }
        Err(format!("the job did not run as it should: {answer}").into())
    }
}

fn id_of(answer: &str) -> Result<String> {
    field(answer, "id")
}

/// The first field of this name that is a text without escapes.
fn field(text: &str, name: &str) -> Result<String> {
    let found = text
        .split_once(&format!("\"{name}\":\""))
        .and_then(|(_, rest)| rest.split_once('"'));
    Ok(found
        .ok_or_else(|| format!("no `{name}` in {text}"))?
        .0
        .to_owned())
}

/// The jobs that ended, as the live list reports them.
struct Ends(Mutex<HashMap<String, End>>);

enum End {
    Known(String),
    Wanted(oneshot::Sender<String>),
}

#[derive(Deserialize)]
struct Payload {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    on_jobs: Option<Change>,
}

#[derive(Deserialize)]
struct Change {
    kind: String,
    job: Option<Ended>,
}

#[derive(Deserialize)]
struct Ended {
    id: String,
    status: String,
}

impl Ends {
    async fn follow(socket: &Socket) -> Result<Arc<Ends>> {
        let mut receiver = socket.subscribe("ends", ENDS, &json!({})).await?;
        let first = receiver.recv().await;
        if !matches!(&first, Some(SubscriptionMessage::Next(payload)) if payload.contains("SNAPSHOT"))
        {
            return Err(format!("the live list began with {first:?}").into());
        }
        let ends = Arc::new(Ends(Mutex::default()));
        let record = Arc::clone(&ends);
        tokio::spawn(async move {
            while let Some(SubscriptionMessage::Next(payload)) = receiver.recv().await {
                match serde_json::from_str::<Payload>(&payload) {
                    Ok(payload) => record.record(payload),
                    Err(error) => return eprintln!("the live list sent {payload}: {error}"),
                }
            }
        });
        Ok(ends)
    }

    fn record(&self, payload: Payload) {
        let Some(change) = payload.data.on_jobs else {
            return;
        };
        if change.kind == "RESYNC" {
            eprintln!(
                "the live list was restarted: jobs that are not on its page are lost to this client"
            );
        }
        let (Some(job), Ok(mut all)) = (change.job, self.0.lock()) else {
            return;
        };
        match all.remove(&job.id) {
            Some(End::Wanted(sender)) => {
                let _ = sender.send(job.status);
            }
            Some(End::Known(_)) | None => {
                all.insert(job.id, End::Known(job.status));
            }
        }
    }

    async fn wait(&self, id: &str) -> Result<String> {
        let ended = {
            let mut all = self.0.lock().map_err(|_| "the reader panicked")?;
            if let Some(End::Known(status)) = all.remove(id) {
                return Ok(status);
            }
            let (sender, ended) = oneshot::channel();
            all.insert(id.to_owned(), End::Wanted(sender));
            ended
        };
        Ok(ended.await?)
    }
}

#[derive(Default)]
struct Measured {
    ends: Times,
    acknowledged: Times,
    seconds: f64,
    cpu: Cpu,
}

impl Measured {
    fn tell_alone(mut self, section: &mut Section) {
        let what = "1 outstanding, submit → watcher sees SUCCEEDED";
        section.latency(what, &mut self.ends, Some(GOAL_ALONE));
        let what = "1 outstanding, submit acknowledged";
        section.latency(what, &mut self.acknowledged, None);
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 jobs")]
    fn report(mut self, section: &mut Section, outstanding: usize) {
        let jobs = self.ends.len().max(1) as f64;
        let rate = jobs / self.seconds;
        let at = |what: &str| format!("{outstanding} outstanding, {what}");
        match GOALS.iter().find(|goal| goal.0 == outstanding) {
            Some((_, goal)) => section.at_least(at("jobs"), rate, "jobs/s", *goal),
            None => section.plain(at("jobs"), rate, "jobs/s"),
        }
        section.latency(&at("submit → SUCCEEDED"), &mut self.ends, None);
        for (what, used) in [
            ("server", self.cpu.server),
            ("functions", self.cpu.functions),
            ("client", self.cpu.client),
            ("all together", self.cpu.total()),
        ] {
            let each = used * 1_000_000.0 / jobs;
            section.plain(at(&format!("CPU for a job, {what}")), each, "µs");
        }
        let bound = processors() * jobs / self.cpu.total();
        section.plain(
            at("jobs if all processors did nothing else"),
            bound,
            "jobs/s",
        );
        let others = self.cpu.others() / self.seconds;
        section.plain(at("other programs meanwhile"), others, "cores");
    }
}
