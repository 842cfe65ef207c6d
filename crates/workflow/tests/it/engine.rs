//! Executions with tasks that are answered in this process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use asl::StepChange;
use parking_lot::Mutex;
use serde_json::json;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};
use workflow::{Engine, EngineError, Started, Status, limits};

use crate::world::{World, chain, described, types, until_closed};

/// Answers every task with its input, or keeps it for the test.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) keep: bool,
    pub(crate) kept: Mutex<VecDeque<(TaskRequest, Responder)>>,
    pub(crate) cancelled: Mutex<Vec<TaskKey>>,
}

impl TaskRunner for Echo {
    fn run(&self, request: TaskRequest, responder: Responder) {
        if self.keep {
            self.kept.lock().push_back((request, responder));
        } else {
            responder.started(None);
            responder.succeeded(request.task.payload);
        }
    }

    fn cancel(&self, key: TaskKey) {
        self.cancelled.lock().push(key);
    }
}

const WAIT: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":3600,"End":true}}}"#;
const TOKEN: &str = r#"{"StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
  "Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}},"HeartbeatSeconds":3000,"End":true}}}"#;

async fn open(world: &World) -> Engine {
    world.open(Arc::new(Echo::default())).await
}

#[tokio::test]
async fn an_execution_tells_its_steps_and_its_end_after_each_commit() {
    let world = World::new(&[("m", &chain(2))]);
    let engine = open(&world).await;
    engine.start("m", "e", "[7]".into()).await.unwrap();
    let end = world.ears.end_of("e").await;
    assert_eq!(
        (end.status, end.output.as_deref()),
        (Status::Succeeded, Some("[7]"))
    );
    let events = world.ears.events.lock().clone();
    assert!(events.is_sorted_by(|a, b| a.position < b.position));
    let steps: Vec<StepChange> = events
        .iter()
        .flat_map(|event| event.steps.clone())
        .collect();
    let step = |name: &str| name.to_owned();
    let one = |name| {
        [
            StepChange::Entered { step: step(name) },
            StepChange::Running { step: step(name) },
            StepChange::Exited { step: step(name) },
        ]
    };
    assert_eq!(steps, [one("S1"), one("S2")].concat());
    let description = described(&engine, "e").await;
    assert_eq!(description.status, Status::Succeeded);
    assert_eq!(description.so_far.steps, steps);
    assert_eq!(description.so_far.position, events.last().unwrap().position);
    assert_eq!(description.so_far.end.unwrap(), end);
    assert!(engine.describe("other").await.unwrap().is_none());
}

/// A description that had the position of the end without the end would make its reader take the
/// end for a repeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_description_is_of_one_moment() {
    let world = World::new(&[("m", &chain(3))]);
    let engine = open(&world).await;
    for number in 0..100 {
        let name = format!("e{number}");
        engine.start("m", &name, "1".into()).await.unwrap();
        let readers = (0..2).map(|_| {
            let (engine, name) = (engine.clone(), name.clone());
            tokio::spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let so_far = described(&engine, &name).await.so_far;
                    seen.push((so_far.position, so_far.end.is_some()));
                    if so_far.end.is_some() {
                        return seen;
                    }
                }
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            let seen = reader.await.unwrap();
            let last = seen.last().unwrap().0;
            for (position, ended) in seen {
                assert_eq!(
                    position == last,
                    ended,
                    "{name}: event {position} of {last}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_name_starts_once() {
    let world = World::new(&[("m", &chain(1)), ("n", &chain(1))]);
    let engine = open(&world).await;
    let started = engine.start("m", "e", "1".into()).await.unwrap();
    assert!(matches!(started, Started::New(_)));
    let again = engine.start("m", "e", "2".into()).await.unwrap();
    assert!(matches!(again, Started::Already(earlier) if &*earlier.input == "1"));
    assert!(matches!(
        engine.start("n", "e", "1".into()).await.unwrap(),
        Started::New(_)
    ));
    let racing = (0..20).map(|_| engine.start("m", "race", "1".into()));
    let racing = futures_util::future::join_all(racing).await;
    let new = racing
        .iter()
        .filter(|one| matches!(one, Ok(Started::New(_))));
    assert_eq!(new.count(), 1);
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_with_the_reason() {
    let world = World::new(&[("m", &chain(1))]);
    let engine = open(&world).await;
    let start = async |machine: &str, name: &str, input: String| {
        engine.start(machine, name, input.into()).await
    };
    let most = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert!(matches!(
        start("x", "e", "1".into()).await,
        Err(EngineError::UnknownMachine(_))
    ));
    for name in [
        String::new(),
        "a b".into(),
        "a/b".into(),
        "x".repeat(limits::NAME_CHARACTERS + 1),
    ] {
        assert!(
            matches!(
                start("m", &name, "1".into()).await,
                Err(EngineError::InvalidName(_))
            ),
            "{name}"
        );
    }
    assert!(
        start("m", &"x".repeat(limits::NAME_CHARACTERS), "1".into())
            .await
            .is_ok()
    );
    assert!(matches!(
        start("m", "e", "{".into()).await,
        Err(EngineError::NotJson { .. })
    ));
    let over = most(limits::PAYLOAD_BYTES + 1);
    assert!(matches!(
        start("m", "e", over).await,
        Err(EngineError::TooLarge { .. })
    ));
    assert!(start("m", "e", most(limits::PAYLOAD_BYTES)).await.is_ok());
    let unknown = engine.history("none", 0, 1).await;
    assert!(matches!(unknown, Err(EngineError::UnknownExecution(_))));
}

#[tokio::test]
async fn a_stop_ends_what_waits_and_leaves_alone_what_ended() {
    let world = World::new(&[("m", WAIT), ("c", &chain(1))]);
    let echo = Arc::new(Echo {
        keep: true,
        ..Echo::default()
    });
    let engine = world.open(echo.clone()).await;
    engine.start("m", "e", "1".into()).await.unwrap();
    for _ in 0..2 {
        engine
            .stop("e", Some("Why".into()), Some("because".into()))
            .await
            .unwrap();
    }
    let end = world.ears.end_of("e").await;
    assert_eq!(
        (end.status, end.error.as_deref(), end.cause.as_deref()),
        (Status::Aborted, Some("Why"), Some("because"))
    );
    assert_eq!(
        types(&engine, "e").await,
        ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    );
    engine.start("c", "c", "1".into()).await.unwrap();
    engine.stop("c", None, None).await.unwrap();
    assert_eq!(echo.cancelled.lock().len(), 1);
    let (_, responder) = echo.kept.lock().pop_front().unwrap();
    responder.succeeded("1".into());
    assert_eq!(until_closed(&engine, "c").await, Status::Aborted);
}

#[tokio::test]
async fn a_token_is_answered_once() {
    let world = World::new(&[("m", TOKEN)]);
    let echo = Arc::new(Echo {
        keep: true,
        ..Echo::default()
    });
    let engine = world.open(echo.clone()).await;
    engine.start("m", "e", "{}".into()).await.unwrap();
    let token = engine.waiting_token("e", "Ask").await.unwrap().unwrap();
    assert_eq!(engine.waiting_token("e", "Other").await.unwrap(), None);
    let (request, responder) = echo.kept.lock().pop_front().unwrap();
    assert!(request.task.payload.contains(&token));
    responder.submitted("{}".into());
    engine.task_heartbeat(&token).await.unwrap();
    let wrong = asl::token::encode("e", request.task.task, 1);
    for (token, error) in [
        (wrong.as_str(), "no task waits"),
        ("rubbish", "not a task token"),
    ] {
        let refused = engine.task_success(token, "1".into()).await.unwrap_err();
        assert!(refused.to_string().contains(error), "{refused}");
    }
    let not_json = engine.task_success(&token, "{".into()).await;
    assert!(matches!(not_json, Err(EngineError::NotJson { .. })));
    engine
        .task_success(&token, r#"{"yes":1}"#.into())
        .await
        .unwrap();
    let end = world.ears.end_of("e").await;
    assert_eq!(end.output.as_deref(), Some(r#"{"yes":1}"#));
    for again in [
        engine.task_success(&token, "1".into()).await,
        engine.task_failure(&token, "E", "c").await,
    ] {
        assert!(matches!(again, Err(EngineError::NoSuchTask)));
    }
}

#[tokio::test]
async fn a_wait_ends_at_its_time() {
    let wait = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"S"},"S":{"Type":"Succeed"}}}"#;
    let world = World::new(&[("m", wait)]);
    let engine = open(&world).await;
    engine.start("m", "e", "1".into()).await.unwrap();
    let (began, ended) = (
        world.ears.wait(|_| true).await.at,
        world.ears.end_of("e").await,
    );
    assert_eq!(ended.status, Status::Succeeded);
    let took = described(&engine, "e")
        .await
        .stopped
        .unwrap()
        .duration_since(began);
    assert!(took >= jiff::SignedDuration::from_secs(1), "{took}");
}

#[tokio::test]
async fn a_loop_starves_nobody() {
    let endless = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$","IsPresent":true,"Next":"A"}],"Default":"Z"},"Z":{"Type":"Succeed"}}}"#;
    let world = World::new(&[("endless", endless), ("m", &chain(3))]);
    let engine = open(&world).await;
    engine.start("endless", "loop", "1".into()).await.unwrap();
    engine.start("m", "e", "1".into()).await.unwrap();
    assert_eq!(world.ears.end_of("e").await.status, Status::Succeeded);
    let end = world.ears.end_of("loop").await;
    assert!(
        end.cause.unwrap().contains("25000"),
        "ends at the limit of the history"
    );
    let last = engine.history("loop", 24_999, 10).await.unwrap();
    assert_eq!(last.events[0]["type"], "ExecutionFailed");
    assert_eq!((last.events.len(), last.next), (1, None));
}

#[tokio::test]
async fn resting_executions_leave_memory_and_come_back() {
    let world = World::new(&[("m", TOKEN)]);
    let settings = workflow::Settings {
        idle_in_memory: 2,
        ..world.settings()
    };
    let echo = Arc::new(Echo {
        keep: true,
        ..Echo::default()
    });
    let engine = world.open_with(settings, echo.clone()).await;
    for n in 0..20 {
        engine
            .start("m", &format!("e{n}"), "{}".into())
            .await
            .unwrap();
        let (_, responder) = echo.kept.lock().pop_front().unwrap();
        responder.submitted("{}".into());
    }
    for n in 0..20 {
        let token = engine
            .waiting_token(&format!("e{n}"), "Ask")
            .await
            .unwrap()
            .unwrap();
        engine
            .task_success(&token, n.to_string().into())
            .await
            .unwrap();
        let end = world.ears.end_of(&format!("e{n}")).await;
        assert_eq!(end.output.as_deref(), Some(n.to_string().as_str()));
    }
    assert!(echo.kept.lock().is_empty(), "no request was made twice");
}

#[tokio::test]
async fn closed_executions_are_forgotten_after_their_retention() {
    let world = World::new(&[("m", &chain(1)), ("w", WAIT)]);
    {
        let engine = open(&world).await;
        engine.start("m", "gone", "1".into()).await.unwrap();
        engine.start("w", "kept", "1".into()).await.unwrap();
        world.ears.end_of("gone").await;
    }
    let settings = workflow::Settings {
        retention: Some(Duration::ZERO),
        ..world.settings()
    };
    let engine = world.open_with(settings, Arc::new(Echo::default())).await;
    let forgotten = async {
        while engine.describe("gone").await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::DEADLINE, forgotten)
        .await
        .unwrap();
    assert!(engine.describe("kept").await.unwrap().is_some());
    let listed = engine.list(None, None, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn executions_are_listed_newest_first_in_pages() {
    let world = World::new(&[("m", &chain(1)), ("w", WAIT)]);
    let engine = open(&world).await;
    for n in 0..5 {
        engine
            .start("m", &format!("m{n}"), json!(n).to_string().into())
            .await
            .unwrap();
        engine
            .start("w", &format!("w{n}"), json!(n).to_string().into())
            .await
            .unwrap();
    }
    let page = engine
        .list(Some("w"), Some(Status::Running), None, 3)
        .await
        .unwrap();
    let names: Vec<&str> = page.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["w4", "w3", "w2"]);
    let rest = engine
        .list(Some("w"), None, Some(page[2].id), 3)
        .await
        .unwrap();
    assert_eq!(rest.len(), 2);
    assert!(
        engine
            .list(Some("w"), Some(Status::Failed), None, 3)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_redrive_goes_on_at_the_state_that_failed() {
    let world = World::new(&[("m", &chain(2)), ("w", WAIT)]);
    let echo = Arc::new(Echo {
        keep: true,
        ..Echo::default()
    });
    let engine = world.open(echo.clone()).await;
    let next = || echo.kept.lock().pop_front();
    let taken = async || {
        let taken = async {
            loop {
                match next() {
                    Some(task) => return task,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(crate::world::DEADLINE, taken)
            .await
            .unwrap()
    };
    engine.start("m", "e", "1".into()).await.unwrap();
    let running = engine.redrive("e").await.unwrap_err();
    assert!(running.to_string().contains("RUNNING"), "{running}");
    taken().await.1.succeeded("2".into());
    taken().await.1.failed("E", "why");
    assert_eq!(until_closed(&engine, "e").await, Status::Failed);
    let racing = futures_util::future::join_all((0..5).map(|_| engine.redrive("e"))).await;
    assert_eq!(racing.iter().filter(|one| one.is_ok()).count(), 1);
    let description = described(&engine, "e").await;
    assert_eq!(
        (description.status, description.stopped),
        (Status::Running, None)
    );
    let (request, responder) = taken().await;
    assert_eq!(
        (request.task.state.as_str(), &*request.task.payload),
        ("S2", "2")
    );
    responder.succeeded("3".into());
    assert_eq!(until_closed(&engine, "e").await, Status::Succeeded);
    let ended = engine.redrive("e").await.unwrap_err();
    assert!(ended.to_string().contains("SUCCEEDED"), "{ended}");
    let kinds = types(&engine, "e").await;
    assert!(kinds.contains(&"ExecutionRedriven".to_owned()));
    assert_eq!(
        described(&engine, "e")
            .await
            .so_far
            .end
            .unwrap()
            .output
            .as_deref(),
        Some("3")
    );
    engine.start("w", "w", "1".into()).await.unwrap();
    engine.stop("w", None, None).await.unwrap();
    engine.redrive("w").await.unwrap();
    assert_eq!(described(&engine, "w").await.status, Status::Running);
}
