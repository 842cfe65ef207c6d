//! `submit`: time until a job is durable for its client, at low load.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::BenchArgs;
use crate::disk;
use crate::error::Result;
use crate::http::Client;
use crate::report::{Section, Times};
use crate::server::{PASS, WAIT};

const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status } }";
/// Pauses between two submits: none, and long enough for processors and disk to become idle.
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(10)];
/// Number of submits before the measurement.
const WARM_UP: usize = 50;
/// Minimum number of measured submits.
const LEAST: usize = 10;
const GOAL: f64 = 1.0;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("submit")?;
    let mut section = Section::new(
        "submit",
        "submitJob over HTTP on a kept connection, one at a time",
    );
    // In nearly all jobs the execution begins in the commit that accepts the job. An execution
    // without work also ends in that commit.
    let server = args
        .setting(&place)?
        .machine("wait", WAIT)?
        .machine("pass", PASS)?
        .start()
        .await?;
    let client = Client::new(&server.address, 1);
    for pause in PAUSES {
        let mut times = submits(args, &client, "wait", pause).await?;
        let how = if pause.is_zero() {
            "one after another".to_owned()
        } else {
            format!("{pause:?} apart")
        };
        section.at_most(
            format!("acknowledged, {how}, p50"),
            times.millis(0.5),
            "ms",
            GOAL,
        );
        section.plain(
            format!("acknowledged, {how}, p99"),
            times.millis(0.99),
            "ms",
        );
    }
    let mut times = submits(args, &client, "pass", Duration::ZERO).await?;
    section.plain(
        "acknowledged, ended by the same commit, one after another, p50",
        times.millis(0.5),
        "ms",
    );
    server.stop().await?;
    for pause in PAUSES {
        disk::sync(place.path(), pause, &mut section)?;
    }
    Ok(section)
}

/// Durations of the submits.
async fn submits(
    args: &BenchArgs,
    client: &Client,
    job_type: &str,
    pause: Duration,
) -> Result<Times> {
    let variables = json!({"input": {"type": job_type, "input": "{\"n\": 0}"}});
    let mut times = Times::default();
    let end = Instant::now() + args.phase() / 2;
    let mut count = 0;
    while Instant::now() < end || times.len() < LEAST {
        let begun = Instant::now();
        let answer = client.graphql(SUBMIT, &variables).await?;
        let taken = begun.elapsed();
        if !answer.contains("\"QUEUED\"") {
            return Err(format!("the submit was answered {answer}").into());
        }
        count += 1;
        if count > WARM_UP {
            times.add(taken);
        }
        tokio::time::sleep(pause).await;
    }
    Ok(times)
}
