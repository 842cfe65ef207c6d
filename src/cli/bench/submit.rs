//! `submit`: how long a client waits until its job is durable, when little else happens.

use std::time::{Duration, Instant};

use serde_json::json;

use super::http::Client;
use super::report::{Section, Times};
use super::server::Setting;
use super::{BenchArgs, Result, disk};

const MACHINE: &str = r#"{"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}}"#;
const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status } }";
/// Between two submits.
const PAUSE: Duration = Duration::from_millis(10);
/// Submits that are not measured.
const WARM_UP: usize = 50;
/// Submits that are measured at least, however long they take.
const LEAST: usize = 10;
const GOAL: f64 = 1.0;

pub(super) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("submit")?;
    let mut section = Section::new(
        "submit",
        format!("submitJob over HTTP on a kept connection, one at a time, {PAUSE:?} apart"),
    );
    let server = Setting::new(place.path())?
        .machine("pass", MACHINE)?
        .start()
        .await?;
    let client = Client::new(&server.address, 1);
    let variables = json!({"input": {"type": "pass", "input": "{\"n\": 0}"}});
    let mut times = Times::default();
    let end = Instant::now() + args.phase();
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
        tokio::time::sleep(PAUSE).await;
    }
    section.at_most("acknowledged, p50", times.millis(0.5), "ms", GOAL);
    section.plain("acknowledged, p99", times.millis(0.99), "ms");
    server.stop().await?;
    disk::sync(place.path(), &mut section)?;
    Ok(section)
}
