//! `start`: time until `serve` answers with 100,000 finished jobs in the store. A server has run
//! the jobs before, so that their executions and histories exist too.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::BenchArgs;
use crate::error::Result;
use crate::http::Client;
use crate::report::{Section, Times};
use crate::server::PASS;

const SUBMIT: &str = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } error { message } } }";
const OPEN: &str = "query($status: [JobStatus!]!) { listJobs(filter: {status: {in: $status}}, limit: 1) { items { id } } }";
/// Jobs in one request: the server's limit.
const BATCH: usize = job::limits::BATCH;
/// Number of concurrent requests.
const REQUESTS: usize = 4;
/// Interval between two checks of the jobs' statuses.
const LOOK: Duration = Duration::from_millis(50);
/// Time allowed for the jobs to reach a status, for each thousand of them.
const PATIENCE: Duration = Duration::from_secs(20);
/// Number of measured starts.
const STARTS: usize = 5;
const GOAL: f64 = 200.0;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("start")?;
    let count = args.finished;
    let mut section = Section::new(
        "start",
        format!(
            "from the start of the process until /readyz answers, {count} finished jobs in the store"
        ),
    );
    let setting = args.setting(&place)?.machine("pass", PASS)?;
    let server = setting.start().await?;
    submit(&server.address, "pass", count).await?;
    leave(&server.address, count, &["QUEUED", "RUNNING"]).await?;
    server.stop().await?;
    let (mut listens, mut ready) = (Times::default(), Times::default());
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = setting.start().await?;
        Client::new(&server.address, 1)
            .request("GET", "/readyz", None, "")
            .await?;
        ready.add(begun.elapsed());
        listens.add(server.ready_after);
        server.stop().await?;
    }
    section.at_most(
        format!("ready, median of {STARTS}"),
        ready.millis(0.5),
        "ms",
        GOAL,
    );
    section.plain("ready, slowest", ready.millis(1.0), "ms");
    section.plain("listening, median", listens.millis(0.5), "ms");
    Ok(section)
}

/// Submits `count` jobs.
pub(crate) async fn submit(address: &str, job_type: &str, count: usize) -> Result<()> {
    let client = Client::new(address, REQUESTS);
    let one = json!({"type": job_type, "input": "{\"n\": 0}"});
    let batches = (0..count)
        .step_by(BATCH)
        .map(|first| BATCH.min(count - first));
    let requests = batches.map(|size| {
        let (client, one) = (&client, &one);
        async move {
            let answer = client
                .graphql(SUBMIT, &json!({"inputs": vec![one; size]}))
                .await?;
            if answer.matches("\"id\":").count() != size {
                return Err(format!("some jobs were not accepted: {answer}").into());
            }
            Ok::<_, crate::error::Error>(())
        }
    });
    let mut waiting = futures_util::stream::StreamExt::buffer_unordered(
        futures_util::stream::iter(requests),
        REQUESTS,
    );
    while let Some(done) = futures_util::StreamExt::next(&mut waiting).await {
        done?;
    }
    Ok(())
}

/// Waits until no job is in one of these statuses.
pub(crate) async fn leave(address: &str, count: usize, statuses: &[&str]) -> Result<()> {
    let client = Client::new(address, 1);
    let thousands = u32::try_from(count.div_ceil(1_000))?;
    let deadline = Instant::now() + PATIENCE * thousands;
    let variables = json!({"status": statuses});
    while !client
        .graphql(OPEN, &variables)
        .await?
        .contains("\"items\":[]")
    {
        if Instant::now() > deadline {
            return Err(format!("jobs are still {statuses:?}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
