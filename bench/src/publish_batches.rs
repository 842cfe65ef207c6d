//! `publish-batches`: records of the job table's stream per second through one process of
//! `lambda-publish`, to a node that runs in this process; and the time from the start of each
//! function's process to its first request for an event. Of AWS there is only an answer to
//! `DescribeTable`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use job::{JobId, NewJob, Step, StepKind, Time, Version};
use jobcast::http;
use jobcast::server::node::{Background, Node};
use object_store::local::LocalFileSystem;
use resolvers::files::Files;
use resolvers::jobs::Settings;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use resolvers::token::Signer;
use resolvers::workflow::embedded::EmbeddedWorkflow;
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use workflow::lambda::{Caller, FunctionConfig, Host, HostSettings, Outcome};
use workflow::runner::Runner;
use workflow::{Engine, NoListener};

use crate::args::BenchArgs;
use crate::error::{Error, Result};
use crate::report::{Section, Times};
use crate::threads::Threads;

const SECRET: &str = "a secret for a benchmark, long enough";
/// Number of records of one invocation: the default of a mapping.
const BATCH: usize = 100;
/// Number of jobs whose changes are published.
const JOBS: usize = 500;
/// Number of steps of each job.
const STEPS: u32 = 3;
/// Number of measured starts of each function.
const STARTS: usize = 7;
const RECORDS_PER_SECOND: f64 = 5_000.0;
const FIRST_POLL_MILLIS: f64 = 30.0;
/// Time after which an answer counts as lost.
const LOST: Duration = Duration::from_secs(30);
const FUNCTIONS: &[&str] = &[
    "lambda-publish",
    "lambda-sweep",
    "lambda-http",
    "lambda-execution",
];

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let mut section = Section::new(
        "publish-batches",
        format!(
            "{BATCH} records of {JOBS} jobs with {STEPS} steps in each invocation, a node over HTTP"
        ),
    );
    let program = match function("lambda-publish") {
        Ok(program) => program,
        // Among all benchmarks it is left out where the functions are not built.
        Err(why) if args.names.is_empty() => {
            eprintln!("publish-batches is left out: {why}");
            return Ok(section);
        }
        Err(why) => return Err(why),
    };
    let place = args.place("publish-batches")?;
    let rooms = Threads::new()?;
    let address = rooms.spawn(serve(place.path().to_path_buf())).await??;
    let rate = rooms
        .spawn(publish(program, address, args.phase()))
        .await??;
    section.at_least(
        "one process of lambda-publish",
        rate,
        "records/s",
        RECORDS_PER_SECOND,
    );
    for name in FUNCTIONS {
        let Ok(program) = function(name) else {
            continue;
        };
        let mut polls = rooms
            .spawn(first_polls(program, place.path().to_path_buf()))
            .await??;
        let what = format!("{name}: first poll, median of {STARTS}");
        section.at_most(what, polls.millis(0.5), "ms", FIRST_POLL_MILLIS);
    }
    Ok(section)
}

/// The program of a function in the directory of this program.
fn function(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "{} is missing: build it in the same profile with `cargo build --features lambda --bins`",
        program.display()
    )
    .into())
}

/// A node without a change feed, which accepts the functions' tokens. Returns its address.
async fn serve(place: PathBuf) -> Result<String> {
    let signer = Signer::of_secret(SECRET);
    let database = Database::open(&Location::File(place.join("jobcast.db")))?;
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(database.clone())?);
    let files = Arc::new(LocalFileSystem::new_with_prefix(&place)?);
    let engine = Engine::open(
        database,
        workflow::Settings::default(),
        Arc::new(Runner::new(Host::new(HostSettings::default()))),
        Arc::new(NoListener),
    )
    .await?;
    let node = Node {
        follows_changes: false,
        ..Node::new(
            store,
            Arc::new(EmbeddedWorkflow::new(engine)),
            Files::new(files, signer.clone(), "http://127.0.0.1"),
            signer,
            Settings {
                report_url: String::new(),
                retention_millis: None,
                report_life_millis: 60_000,
            },
        )
    };
    let doors = node
        .assemble(&Background::default(), CancellationToken::new())
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let settings = http::Settings::default();
    tokio::spawn(http::serve(
        listener,
        doors,
        settings,
        CancellationToken::new(),
    ));
    Ok(address)
}

#[derive(Debug)]
struct Waiting(oneshot::Sender<Outcome>);

impl Caller for Waiting {
    fn finished(self: Box<Self>, outcome: Outcome) {
        // The benchmark has ended if it waits no more.
        let _ = self.0.send(outcome);
    }
}

/// Publishes for as long as a phase, and returns the records per second.
async fn publish(program: PathBuf, address: String, phase: Duration) -> Result<f64> {
    let mut config = FunctionConfig::new("lambda-publish", vec![program.display().to_string()]);
    config.concurrency = 1;
    let url = format!("http://{address}/graphql");
    for (name, value) in [
        ("JOBCAST_PUBLISH_URL", url.as_str()),
        ("JOBCAST_SECRET", SECRET),
    ] {
        config.environment.insert(name.to_owned(), value.to_owned());
    }
    let host = Host::new(HostSettings {
        functions: vec![config],
        ..HostSettings::default()
    });
    let mut version = 0;
    let mut invoke = async || {
        version += 1;
        for first in (0..JOBS).step_by(BATCH) {
            let event = batch(first, version).to_string();
            let (sender, receiver) = oneshot::channel();
            let waiting = Box::new(Waiting(sender));
            host.invoke("lambda-publish", event.into(), None, waiting);
            match tokio::time::timeout(LOST, receiver).await?? {
                Outcome::Success { payload, .. }
                    if &payload[..] == br#"{"batchItemFailures":[]}"# => {}
                other => {
                    return Err(Error::from(format!(
                        "the batch was not published: {other:?}"
                    )));
                }
            }
        }
        Ok(())
    };
    // A node executes the first document of each length.
    invoke().await?;
    let (begun, mut rounds) = (Instant::now(), 0_u32);
    while begun.elapsed() < phase {
        invoke().await?;
        rounds += 1;
    }
    let elapsed = begun.elapsed();
    host.stop();
    Ok(f64::from(rounds) * JOBS as f64 / elapsed.as_secs_f64())
}

/// An event with this version of each of [`BATCH`] jobs.
fn batch(first: usize, version: u64) -> Value {
    let records = (first..first + BATCH).map(|at| {
        let (new, old) = (stored(at, version + 1), stored(at, version));
        json!({
            "eventID": format!("{at}-{version}"), "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1", "eventSourceARN": "arn:aws:dynamodb:eu-west-1:000000000000:table/jobs/stream/1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_700_000_000, "SizeBytes": 3_000, "StreamViewType": "NEW_AND_OLD_IMAGES",
                "Keys": { "pk": { "S": "JOB#1" }, "sk": { "S": "JOB" } }, "SequenceNumber": format!("{version}{at:09}"),
                "NewImage": { "job": { "S": new }, "version": { "N": (version + 1).to_string() } },
                "OldImage": { "job": { "S": old }, "version": { "N": version.to_string() } },
            },
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// A job as it is stored.
fn stored(at: usize, version: u64) -> String {
    let now = Time::from_millis(1_700_000_000_000);
    let new = NewJob {
        id: JobId::new(now, (at as u128) << 64),
        job_type: "thumbnails".to_owned(),
        owner: "ann".to_owned(),
        tags: vec!["a tag".to_owned()],
        steps: (0..STEPS)
            .map(|step| Step::pending(format!("Step{step}"), step, StepKind::Task))
            .collect(),
    };
    let mut job = new.into_job().expect("it is within every limit");
    job.version = Version(version);
    serde_json::to_string(&job).expect("a job is JSON")
}

/// The times from the start of a process to its first request for an event.
async fn first_polls(program: PathBuf, place: PathBuf) -> Result<Times> {
    let machines = place.join("state-machines");
    std::fs::create_dir_all(&machines)?;
    let table = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", table.local_addr()?);
    let answering = tokio::spawn(describe_table(table));
    let mut times = Times::default();
    for _ in 0..STARTS {
        times.add(first_poll(&program, &place, &machines, &endpoint).await?);
    }
    answering.abort();
    Ok(times)
}

async fn first_poll(
    program: &Path,
    place: &Path,
    machines: &Path,
    endpoint: &str,
) -> Result<Duration> {
    let runtime = TcpListener::bind("127.0.0.1:0").await?;
    let keys = format!(
        "[[auth.api_keys]]\nsha256 = \"{}\"\nsubject = \"ann\"\nroles = [\"submitter\"]",
        "0123456789abcdef".repeat(4)
    );
    let mut command = Command::new(program);
    command
        .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "function")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("JOBCAST_PUBLISH_URL", "http://127.0.0.1:1/graphql")
        .env("JOBCAST_SECRET", SECRET)
        .env("JOBCAST_AWS_TABLE", "jobs")
        .env(
            "JOBCAST_AWS_STATE_MACHINE_ARN_PREFIX",
            "arn:aws:states:eu-west-1:000000000000:stateMachine:",
        )
        .env("JOBCAST_PUBLIC_URL", "https://jobs.example.com")
        .env("JOBCAST_STATE_MACHINES", machines)
        .env("JOBCAST_DATA", place.join("scratch"))
        .env("JOBCAST_CONFIG_TEXT", keys)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let polled = async {
        let (mut socket, _) = runtime.accept().await?;
        let mut head = [0; 1024];
        let read = socket.read(&mut head).await?;
        Ok::<_, Error>((
            begun.elapsed(),
            String::from_utf8_lossy(&head[..read]).into_owned(),
        ))
    };
    let (elapsed, head) = tokio::time::timeout(LOST, polled).await??;
    child.kill().await?;
    if !head.contains("/runtime/invocation/next") {
        return Err(format!("the function began with another request: {head}").into());
    }
    Ok(elapsed)
}

/// Answers every request as DynamoDB answers `DescribeTable`.
async fn describe_table(listener: TcpListener) {
    let body = json!({ "Table": { "TableName": "jobs", "TableStatus": "ACTIVE",
        "LatestStreamArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/jobs/stream/1" } });
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    while let Ok((socket, _)) = listener.accept().await {
        // Not joined: it ends with its socket.
        tokio::spawn(serve_table(socket, answer.clone()));
    }
}

async fn serve_table(mut socket: TcpStream, answer: String) -> std::io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    // The SDK sends a small request at once.
    while socket.read(&mut request).await? > 0 {
        socket.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
