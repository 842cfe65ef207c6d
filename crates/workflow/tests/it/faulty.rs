//! Function processes that fail in every way, alone and under load: each execution ends, in time,
//! with the right error, and the next one works. The processes are those of `function`.
//!
//! `JOBCAST_CASES` is the number of executions under load, `JOBCAST_TEST_SEED` the seed of their
//! order.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use workflow::lambda::{FunctionConfig, Host, HostSettings};
use workflow::runner::Runner;
use workflow::{Engine, Status};

use crate::function;
use crate::world::World;

/// Executions under load when the environment names no number.
const CASES: usize = 60;
/// The timeout of functions whose invocations are to time out; of the others it is far away.
const SHORT: Duration = Duration::from_millis(1_500);

/// One way to fail, or an odd way to work.
struct Way {
    name: &'static str,
    /// How the process begins: the value of its mark; empty for one that begins well.
    begins: &'static str,
    input: Value,
    /// The error's name; `None` for a success.
    error: Option<&'static str>,
    /// A part of the cause.
    says: &'static str,
    /// The invocation ends by the function's timeout.
    times_out: bool,
}

fn way(name: &'static str, input: Value, error: Option<&'static str>, says: &'static str) -> Way {
    Way {
        name,
        begins: "",
        input,
        error,
        says,
        times_out: false,
    }
}

fn timeout(name: &'static str, input: Value) -> Way {
    Way {
        times_out: true,
        ..way(
            name,
            input,
            Some("Sandbox.Timedout"),
            "Task timed out after 1.50 seconds",
        )
    }
}

fn beginning(begins: &'static str, error: Option<&'static str>, says: &'static str) -> Way {
    Way {
        begins,
        ..way(begins, json!({"n": 1}), error, says)
    }
}

fn ways() -> Vec<Way> {
    let exit = Some("Runtime.ExitError");
    let entry = Some("Runtime.InvalidEntrypoint");
    let runtime = Some("States.Runtime");
    vec![
        beginning(
            "broken",
            exit,
            "exit status 3\nThe process ended before it asked for work",
        ),
        beginning("leaves", exit, "Runtime exited without providing a reason"),
        beginning(
            "hangs",
            Some("Sandbox.Timedout"),
            "The process did not ask for work",
        ),
        beginning("slow", None, ""),
        beginning("floods", exit, "exit status 4"),
        beginning("fails", Some("Runtime.ImportModuleError"), "no such module"),
        beginning(
            "fails and stays",
            Some("Runtime.ImportModuleError"),
            "no such module",
        ),
        beginning(
            "no program",
            entry,
            "fork/exec /no/such/program: no such file or directory",
        ),
        beginning("no right", entry, "permission denied"),
        beginning(
            "no directory",
            Some("Runtime.InvalidWorkingDir"),
            "chdir /no/such/directory: no such file or directory",
        ),
        beginning("killed", exit, "signal: killed"),
        way(
            "exits",
            json!({"do": "exit"}),
            exit,
            "exit status 1\nThe end of its output",
        ),
        way(
            "exits with 0",
            json!({"do": "exit", "code": 0}),
            exit,
            "without providing a reason",
        ),
        way("is killed", json!({"do": "kill"}), exit, "signal: killed"),
        way("aborts", json!({"do": "abort"}), exit, "signal: aborted"),
        timeout("stops", json!({"do": "stop"})),
        timeout("hangs", json!({"do": "hang"})),
        way("leaves after its answer", json!({"do": "once"}), None, ""),
        way("answers twice", json!({"do": "twice"}), None, ""),
        way("answers to a wrong id", json!({"do": "wrong id"}), None, ""),
        way(
            "asks for more without an answer",
            json!({"do": "no answer"}),
            exit,
            "exit status 17",
        ),
        timeout("hangs up", json!({"do": "hang up"})),
        timeout("gives half an answer", json!({"do": "half"})),
        way(
            "exits in its answer",
            json!({"do": "half", "exits": true}),
            exit,
            "exit status 5",
        ),
        timeout("gives half a head", json!({"do": "half head"})),
        timeout("speaks no HTTP", json!({"do": "garbage"})),
        way(
            "answers no JSON",
            json!({"do": "raw", "body": "{\"a\":"}),
            runtime,
            "not JSON",
        ),
        way(
            "answers nothing",
            json!({"do": "raw", "body": ""}),
            runtime,
            "not JSON",
        ),
        way(
            "answers no text",
            json!({"do": "no text"}),
            runtime,
            "not UTF-8",
        ),
        way(
            "answers too deep",
            json!({"do": "raw", "body": "[".repeat(5_000)}),
            runtime,
            "JSON",
        ),
        way(
            "answers too much",
            json!({"do": "huge"}),
            Some("Function.ResponseSizeTooLarge"),
            "maximum allowed payload size",
        ),
        way("fails", json!({"do": "fail"}), Some("Custom"), "no"),
        way(
            "fails without a name",
            json!({"do": "raw error", "body": "{\"errorMessage\":\"m\"}"}),
            Some("Lambda.Unknown"),
            "m",
        ),
        way(
            "fails without JSON",
            json!({"do": "raw error", "body": "oops"}),
            Some("Lambda.Unknown"),
            "oops",
        ),
        way(
            "fails by a header",
            json!({"do": "raw error", "body": "oops", "type": "Own.Error"}),
            Some("Own.Error"),
            "oops",
        ),
        way("floods", json!({"do": "flood"}), None, ""),
        way("leaves a child", json!({"do": "child"}), None, ""),
        way(
            "leaves a child and exits",
            json!({"do": "child", "exits": true}),
            exit,
            "exit status 6",
        ),
        way("streams", json!({"do": "stream"}), None, ""),
        way(
            "fails in a stream",
            json!({"do": "stream", "error": "Midstream.Failure"}),
            Some("Midstream.Failure"),
            "broke",
        ),
    ]
}

/// The function that fails in a way. `concurrency`: how many processes it may have.
fn config(index: usize, way: &Way, concurrency: usize) -> FunctionConfig {
    let mut config = function::config(&format!("f{index}"));
    let sh = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    match way.begins {
        "" => {}
        "no program" => config.command = vec!["/no/such/program".to_owned()],
        "no right" => config.command = vec!["/dev/null".to_owned()],
        "no directory" => config.directory = Some("/no/such/directory".into()),
        "killed" => config.command = sh("kill -9 $$"),
        begins => {
            config
                .environment
                .insert(function::MARK.into(), begins.into());
        }
    }
    config.concurrency = concurrency;
    if way.begins == "hangs" {
        config.init_timeout = SHORT;
    } else if way.times_out {
        config.timeout = SHORT;
    }
    config
}

struct Stage {
    world: World,
    engine: Engine,
    ways: Vec<Way>,
}

impl Stage {
    /// Functions `fN` for the ways, a state machine of the same name for each.
    async fn new(concurrency: usize) -> Stage {
        let ways = ways();
        let functions: Vec<FunctionConfig> = ways
            .iter()
            .enumerate()
            .map(|(index, way)| config(index, way, concurrency))
            .collect();
        let machines: Vec<(String, String)> = functions
            .iter()
            .map(|function| {
                let state = json!({"Type": "Task", "Resource": function.name, "End": true});
                let machine = json!({"StartAt": "S", "States": {"S": state}});
                (function.name.clone(), machine.to_string())
            })
            .collect();
        let machines: Vec<(&str, &str)> = machines.iter().map(|(a, b)| (&**a, &**b)).collect();
        let world = World::new(&machines);
        let host = Host::new(HostSettings {
            functions,
            ..HostSettings::default()
        });
        let engine = world.open(Arc::new(Runner::new(host))).await;
        Stage {
            world,
            engine,
            ways,
        }
    }

    /// Starts an execution; whether it is one that works.
    async fn start(&self, name: &str, index: usize, good: bool) {
        let input = if good {
            json!({"n": 1})
        } else {
            self.ways[index].input.clone()
        };
        let machine = format!("f{index}");
        self.engine
            .start(&machine, name, input.to_string().into())
            .await
            .unwrap();
    }

    /// Waits for its end, and looks at that.
    async fn check(&self, name: &str, index: usize, good: bool) {
        let end = self.world.ears.end_of(name).await;
        let way = &self.ways[index];
        let expected = way.error.filter(|_| !good || !way.begins.is_empty());
        let cause = end.cause.unwrap_or_default();
        // A cause is JSON, where the function's own words are in it.
        let cause = serde_json::from_str::<Value>(&cause)
            .ok()
            .and_then(|cause| Some(cause["errorMessage"].as_str()?.to_owned()))
            .unwrap_or(cause);
        assert_eq!(end.error.as_deref(), expected, "{}: {cause}", way.name);
        if expected.is_none() {
            assert_eq!(end.status, Status::Succeeded, "{}", way.name);
        } else if !good {
            assert!(cause.contains(way.says), "{}: {cause}", way.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_has_its_error_and_the_next_execution_works() {
    let stage = Stage::new(1).await;
    for index in 0..stage.ways.len() {
        let bad = format!("bad{index}");
        stage.start(&bad, index, false).await;
        stage.check(&bad, index, false).await;
        let good = format!("good{index}");
        stage.start(&good, index, true).await;
        stage.check(&good, index, true).await;
    }
}

fn number(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_side_by_side_do_not_touch_what_works() {
    let cases = number("JOBCAST_CASES", CASES as u64) as usize;
    let seed = number("JOBCAST_TEST_SEED", 13);
    let mut dice = StdRng::seed_from_u64(seed);
    let stage = Stage::new(2).await;
    let all: Vec<usize> = (0..stage.ways.len()).collect();
    let mut done = 0;
    while done < cases {
        // As many at once as a busy machine has, each function more often than it has processes.
        let some: Vec<(String, usize, bool)> = (0..20.min(cases - done))
            .map(|n| {
                let index = *all.choose(&mut dice).unwrap();
                (format!("e{}", done + n), index, dice.random_bool(0.4))
            })
            .collect();
        for (name, index, good) in &some {
            stage.start(name, *index, *good).await;
        }
        for (name, index, good) in &some {
            stage.check(name, *index, *good).await;
        }
        done += some.len();
    }
}
