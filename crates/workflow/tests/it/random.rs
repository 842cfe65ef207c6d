//! Machines at random on the durable driver: the same end straight through and with the driver
//! killed and opened again, on the same file, at each of its acts.
//!
//! `JOBCAST_PROPERTY_SEED` chooses other machines, `JOBCAST_PROPERTY_CASES` more of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asl::{ReadItems, Resource, WriteResults};
use parking_lot::Mutex;
use tokio::sync::Notify;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};
use workflow::{End, Engine, ExecutionEvent, Listener, NoListener};

use crate::generator::{self, ACTIVITY, BOOM, Clock, INPUT};
use crate::world::World;

/// Longer than the longest of these executions takes on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(60);
/// At how many of its acts an execution dies, each time once.
const ACTS: usize = 24;
/// An execution that dies more often makes no headway.
const DEATHS: usize = 2_000;

/// The world of one execution, which outlives the drivers: it counts their acts, and knows the
/// tokens that were given out.
#[derive(Debug, Default)]
struct Outside {
    /// Acts that this driver still does.
    left: AtomicUsize,
    acts: AtomicUsize,
    dead: Notify,
    tokens: Mutex<BTreeSet<String>>,
    handed_out: Notify,
}

impl Outside {
    /// Whether this act still happens.
    fn acts(&self) -> bool {
        self.acts.fetch_add(1, Ordering::SeqCst);
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match before {
            Ok(left) => {
                if left == 1 {
                    self.dead.notify_one();
                }
                left > 1
            }
            Err(_) => false,
        }
    }
}

#[derive(Debug)]
struct Mortal(Arc<Outside>);

impl TaskRunner for Mortal {
    fn run(&self, request: TaskRequest, responder: Responder) {
        if !self.0.acts() {
            return;
        }
        let task = request.task;
        let name = match &task.resource {
            Resource::Lambda { function } => function.as_str(),
            Resource::Activity { arn } => {
                assert_eq!(arn, ACTIVITY);
                responder.started(Some("worker".to_owned()));
                return self.hand_out(task.token);
            }
            Resource::Service { .. } => {
                responder.submitted("{}".into());
                return self.hand_out(task.token);
            }
        };
        let fails = name == "boom" || (name == "flaky" && task.attempt < 2);
        if fails {
            responder.failed(BOOM.0, BOOM.1);
        } else {
            responder.succeeded(task.payload);
        }
    }

    fn read_items(&self, _: ReadItems, responder: Responder) {
        if self.0.acts() {
            responder.items_read("[1, 2, 3, 4]".into());
        }
    }

    fn write_results(&self, _: WriteResults, responder: Responder) {
        if self.0.acts() {
            responder.results_written();
        }
    }

    fn cancel(&self, _: TaskKey) {}
}

impl Mortal {
    fn hand_out(&self, token: Option<String>) {
        let token = token.expect("somebody answers by it");
        self.0.tokens.lock().insert(token);
        self.0.handed_out.notify_one();
    }
}

impl Listener for Mortal {
    fn notify(&self, _: ExecutionEvent) {
        self.0.acts();
    }
}

/// Answers every token that was ever given out, again and again: a worker does not know what the
/// service remembers.
async fn answer(engine: &Engine, outside: &Outside) -> std::convert::Infallible {
    loop {
        let tokens: Vec<String> = outside.tokens.lock().iter().cloned().collect();
        for token in tokens {
            let _ = engine
                .task_success(&token, r#"{"answered":true}"#.into())
                .await;
        }
        // A token that is refused because its task is not durable yet is tried again soon.
        let _ =
            tokio::time::timeout(Duration::from_millis(50), outside.handed_out.notified()).await;
    }
}

/// Runs to the end, where the driver number n dies at its act number `lives(n)`; the end, and how
/// often it died.
async fn live_through(definition: &str, lives: impl Fn(usize) -> usize) -> (End, usize, usize) {
    let world = World::new(&[("m", definition)]);
    let outside = Arc::new(Outside::default());
    for deaths in 0..DEATHS {
        outside.left.store(lives(deaths), Ordering::SeqCst);
        let mortal = Arc::new(Mortal(outside.clone()));
        let engine = Engine::open(world.database(), world.settings(), mortal.clone(), mortal)
            .await
            .unwrap();
        if deaths == 0 {
            engine.start("m", "e", INPUT.into()).await.unwrap();
        }
        let end = tokio::select! {
            biased;
            () = outside.dead.notified() => None,
            end = engine.end(None, "e") => Some(end.unwrap()),
            never = answer(&engine, &outside) => match never {},
        };
        // What is under way may still be written; it is not acted upon.
        outside.left.store(0, Ordering::SeqCst);
        engine.shutdown().await;
        drop(engine);
        if let Some(end) = end {
            check_history(&world, definition).await;
            return (end, deaths, outside.acts.load(Ordering::SeqCst));
        }
    }
    panic!("no headway: {definition}");
}

/// The history is complete and ends once, regardless of which engine wrote which part.
async fn check_history(world: &World, definition: &str) {
    let runner = Arc::new(Mortal(Arc::default()));
    let engine = Engine::open(
        world.database(),
        world.settings(),
        runner,
        Arc::new(NoListener),
    )
    .await
    .unwrap();
    let history = engine.history("e", 0, 1_000).await.unwrap();
    assert_eq!(history.next, None, "{definition}");
    let mut ends = 0;
    for (index, event) in history.events.iter().enumerate() {
        assert_eq!(event["id"], index + 1, "{definition}");
        assert!(
            event["previousEventId"].as_u64() < event["id"].as_u64(),
            "{definition}"
        );
        let kind = event["type"].as_str().unwrap();
        ends += usize::from(matches!(
            kind,
            "ExecutionSucceeded" | "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted"
        ));
    }
    assert_eq!(ends, 1, "{definition}");
    engine.shutdown().await;
}

/// A text without what differs from run to run: times and UUIDs.
fn masked(text: &str) -> String {
    let bytes = text.as_bytes();
    let fits = |at: usize, shape: &str| {
        let window = bytes.get(at..at + shape.len());
        window.is_some_and(|window| {
            window
                .iter()
                .zip(shape.bytes())
                .all(|(byte, want)| match want {
                    b'h' => byte.is_ascii_hexdigit(),
                    b'9' => byte.is_ascii_digit(),
                    _ => *byte == want,
                })
        })
    };
    let shapes = [
        ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "«uuid»"),
        ("9999-99-99T99:99:99.999Z", "«time»"),
    ];
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match shapes.iter().find(|(shape, _)| fits(at, shape)) {
            Some((shape, name)) => {
                out.extend_from_slice(name.as_bytes());
                at += shape.len();
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

fn comparable(mut end: End) -> End {
    end.output = end.output.map(|output| masked(&output).into());
    end.cause = end.cause.map(|cause| masked(&cause));
    end
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The seeds of a test: always the same ones, unless others are asked for.
fn seeds(count: u64) -> Vec<u64> {
    let first = number("JOBCAST_PROPERTY_SEED", 1);
    (0..number("JOBCAST_PROPERTY_CASES", count))
        .map(|n| first.wrapping_add(n).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect()
}

async fn in_time<T>(what: String, future: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(DEADLINE, future).await else {
        panic!("did not end in time: {what}");
    };
    done
}

#[tokio::test]
async fn a_driver_that_dies_again_and_again_reaches_the_same_end() {
    let mut all = tokio::task::JoinSet::new();
    for seed in seeds(16) {
        all.spawn(in_time(format!("seed {seed}"), async move {
            let definition = generator::machine(seed, Clock::Real).to_string();
            let (straight, none, _) = live_through(&definition, |_| usize::MAX).await;
            assert_eq!(none, 0);
            // Short lives of different lengths, and a little longer ones each time, so that it gets
            // on.
            let lives = |n: usize| 1 + (seed as usize).wrapping_add(n) % 3 + n / 8;
            let (end, deaths, acts) = live_through(&definition, lives).await;
            assert_eq!(comparable(end), comparable(straight), "{definition}");
            assert!(deaths > 0 || acts < 3, "it died never: {definition}");
            deaths
        }));
    }
    let deaths: usize = all.join_all().await.into_iter().sum();
    assert!(deaths > 20, "{deaths} deaths");
}

#[tokio::test]
async fn a_driver_that_dies_once_at_any_act_reaches_the_same_end() {
    let mut all = tokio::task::JoinSet::new();
    for seed in seeds(4) {
        let definition: Arc<str> = generator::machine(!seed, Clock::Real).to_string().into();
        let whole = live_through(&definition, |_| usize::MAX);
        let (straight, _, acts) = in_time(format!("seed {seed}"), whole).await;
        let straight = comparable(straight);
        // An even sample of the acts of a long one.
        for act in (1..=acts).step_by(1 + acts / ACTS) {
            let (definition, straight) = (definition.clone(), straight.clone());
            all.spawn(in_time(format!("seed {seed}, act {act}"), async move {
                let lives = |n: usize| if n == 0 { act } else { usize::MAX };
                let (end, ..) = live_through(&definition, lives).await;
                assert_eq!(comparable(end), straight, "act {act}: {definition}");
            }));
        }
    }
    assert!(all.len() > 20, "{} deaths", all.len());
    all.join_all().await;
}
