//! `submit`: how long a client waits until its job is durable, when little else happens.

use std::time::{Duration, Instant};

use serde_json::json;

use super::http::Client;
use super::report::{Section, Times};
use super::server::{PASS, Setting, WAIT};
use super::{BenchArgs, Result, disk};

const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status } }";
/// Between two submits: none, and so long that processors and disk have gone to rest.
const PAUSES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(10)];
/// Submits that are not measured.
const WARM_UP: usize = 50;
/// Submits that are measured at least, however long they take.
const LEAST: usize = 10;
const GOAL: f64 = 1.0;

pub(super) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("submit")?;
    let mut section = Section::new(
        "submit",
        "submitJob over HTTP on a kept connection, one at a time",
    );
    // Nearly all jobs have something before them: their executions begin in the commit that accepts them. One that has nothing to do ends in it,
    // too.
    let server = Setting::new(place.path())?
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

/// How long the submits took.
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
