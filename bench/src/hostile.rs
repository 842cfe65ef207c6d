//! `hostile`: hostile requests. Measures the time until each is refused at low load, and how long
//! an honest caller waits while they arrive over several connections, a few per second, compared
//! with its wait otherwise.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::args::BenchArgs;
use crate::error::Result;
use crate::hostile_requests;
use crate::http::Client;
use crate::report::{Section, Times};
use crate::server::WAIT;
use crate::threads::Threads;

/// Time allowed for the answer to one hostile request, in milliseconds.
const ANSWER: f64 = 50.0;
/// Maximum factor by which an honest caller may wait longer meanwhile.
const SLOWER: f64 = 2.0;
/// Number of times that each is sent at low load.
const TIMES: usize = 9;
/// Number of connections for hostile requests while an honest caller asks.
const CONNECTIONS: usize = 4;
/// Pause between two hostile requests on one connection.
const PAUSE: Duration = Duration::from_millis(500);
/// Pause between two requests of the honest caller.
const HONEST_PAUSE: Duration = Duration::from_millis(5);
/// Number of turns without and with attackers, since a machine's speed changes from second to
/// second.
const TURNS: u32 = 6;
/// Number of jobs that the honest caller may see.
const JOBS: usize = 30;
const HONEST: &str = "{ listJobs(limit: 1) { items { id status } } }";
const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("hostile")?;
    let bodies: Vec<(&str, String)> = hostile_requests::all()
        .into_iter()
        .map(|one| {
            let body = json!({ "query": one.query, "variables": one.variables });
            (one.what, body.to_string())
        })
        .collect();
    let mut section = Section::new(
        "hostile",
        format!(
            "{} hostile requests, alone; then {CONNECTIONS} connections that send one every {PAUSE:?} beside an honest caller",
            bodies.len()
        ),
    );
    let server = args.setting(&place)?.machine("wait", WAIT)?.start().await?;
    let honest = Client::new(&server.address, 1);
    for _ in 0..JOBS {
        let input = json!({ "input": { "type": "wait", "input": "{}" } });
        honest.graphql(SUBMIT, &input).await?;
    }
    alone(&server.address, &bodies, &mut section).await?;

    let (mut idle, mut attacked, mut sent) = (Times::default(), Times::default(), 0);
    ask(&honest, args.warm_up(), &mut Times::default()).await?;
    for _ in 0..TURNS {
        ask(&honest, args.phase() / TURNS, &mut idle).await?;
        // In separate threads, so that the honest caller does not wait for the sending.
        let threads = Threads::new()?;
        let attackers: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let client = Client::new(&server.address, 1);
                let mut bodies = bodies.clone();
                let count = bodies.len();
                let first = (number * count + sent) / CONNECTIONS;
                bodies.rotate_left(first % count);
                threads.spawn(attack(client, bodies, args.phase() / TURNS))
            })
            .collect();
        ask(&honest, args.phase() / TURNS, &mut attacked).await?;
        for attacker in attackers {
            sent += attacker.await??;
        }
    }
    let (before, beside) = (idle.millis(0.99), attacked.millis(0.99));
    section.plain("hostile requests meanwhile", count(sent)?, "");
    section.plain("an honest caller without them, p50", idle.millis(0.5), "ms");
    section.plain("an honest caller without them, p99", before, "ms");
    section.plain(
        "an honest caller beside them, p50",
        attacked.millis(0.5),
        "ms",
    );
    section.plain("an honest caller beside them, p99", beside, "ms");
    section.at_most(
        "the honest caller's p99, times what it is without them",
        beside / before.max(0.001),
        "",
        SLOWER,
    );
    server.stop().await?;
    Ok(section)
}

/// Time until each is refused at low load.
async fn alone(address: &str, bodies: &[(&str, String)], section: &mut Section) -> Result<()> {
    let client = Client::new(address, 1);
    let (mut slowest, mut all) = (Vec::new(), Times::default());
    for (what, body) in bodies {
        let mut times = Times::default();
        for _ in 0..TIMES {
            times.add(refused(&client, what, body).await?);
        }
        slowest.push((times.millis(0.5), *what));
        all.extend(times);
    }
    slowest.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (most, what) = slowest.first().ok_or("there is no hostile request")?;
    section.at_most(
        format!("the slowest, {what}, median of {TIMES}"),
        *most,
        "ms",
        ANSWER,
    );
    for (next, what) in slowest.iter().skip(1).take(2) {
        section.plain(format!("{what}, median of {TIMES}"), *next, "ms");
    }
    section.plain("all of them, p50", all.millis(0.5), "ms");
    section.plain("all of them, p99", all.millis(0.99), "ms");
    Ok(())
}

/// Sends one request and returns the time until its refusal.
async fn refused(client: &Client, what: &str, body: &str) -> Result<Duration> {
    let begun = Instant::now();
    let (status, answer) = client.answer("POST", "/graphql", None, body).await?;
    let taken = begun.elapsed();
    if answer.contains("\"errors\"") && !answer.contains("\"data\"") {
        return Ok(taken);
    }
    Err(format!("{what} was not refused: {status} {answer:.200}").into())
}

/// Sends one request after another for this time, and returns their number.
async fn attack(
    client: Client,
    bodies: Vec<(&'static str, String)>,
    time: Duration,
) -> Result<usize> {
    let end = Instant::now() + time;
    let mut pause = interval(PAUSE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    for (what, body) in bodies.iter().cycle() {
        pause.tick().await;
        if Instant::now() >= end {
            break;
        }
        refused(&client, what, body).await?;
        sent += 1;
    }
    Ok(sent)
}

/// An honest caller, for this time.
async fn ask(client: &Client, time: Duration, times: &mut Times) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let begun = Instant::now();
        let answer = client.graphql(HONEST, &json!({})).await?;
        times.add(begun.elapsed());
        if answer.contains("\"errors\"") {
            return Err(format!("an honest caller was answered {answer}").into());
        }
        sleep(HONEST_PAUSE).await;
    }
    Ok(())
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
