//! The engine is dropped without a word at every point where it talks to the outside, and opened
//! again on the same file.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};
use workflow::{Engine, ExecutionEvent, Listener, Status};

use crate::engine::Echo;
use crate::world::{World, chain, described, types, until_closed};

/// Lets the engine die at its n-th act.
#[derive(Debug, Default)]
struct Fuse {
    left: AtomicUsize,
    engine: Mutex<Option<Engine>>,
    dead: tokio::sync::Notify,
}

impl Fuse {
    /// Whether this act still happens.
    fn burn(&self) -> bool {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match before {
            Ok(1) => {
                let engine = self.engine.lock().take();
                drop(engine);
                self.dead.notify_one();
                false
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }
}

#[derive(Debug)]
struct Mortal(Arc<Fuse>);

impl TaskRunner for Mortal {
    fn run(&self, request: TaskRequest, responder: Responder) {
        if self.0.burn() {
            responder.succeeded(request.task.payload);
        }
    }

    fn cancel(&self, _: TaskKey) {}
}

impl Listener for Mortal {
    fn notify(&self, _: ExecutionEvent) {
        self.0.burn();
    }
}

const PARALLEL: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Parallel","Branches":[
  {"StartAt":"A","States":{"A":{"Type":"Task","Resource":"f","End":true}}},
  {"StartAt":"B","States":{"B":{"Type":"Wait","Seconds":0,"Next":"C"},"C":{"Type":"Task","Resource":"f","End":true}}}],"Next":"M"},
  "M":{"Type":"Map","ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Task","Resource":"f","End":true}}},"End":true}}}"#;

#[tokio::test]
async fn an_execution_ends_the_same_wherever_the_engine_died() {
    for (definition, concurrent) in [(chain(3), false), (PARALLEL.to_owned(), true)] {
        let world = World::new(&[("m", &definition)]);
        let engine = world.open(Arc::new(Echo::default())).await;
        engine.start("m", "e", "[1,2]".into()).await.unwrap();
        let whole = world.ears.end_of("e").await;
        let mut expected = types(&engine, "e").await;
        assert_eq!(whole.status, Status::Succeeded);
        let mut died = 0;
        for acts in 1.. {
            let world = World::new(&[("m", &definition)]);
            let fuse = Arc::new(Fuse::default());
            fuse.left.store(acts, Ordering::SeqCst);
            let mortal = Arc::new(Mortal(fuse.clone()));
            let engine = Engine::open(world.database(), world.settings(), mortal.clone(), mortal)
                .await
                .unwrap();
            *fuse.engine.lock() = Some(engine.clone());
            engine.start("m", "e", "[1,2]".into()).await.unwrap();
            let ended = {
                let ending = engine.end(None, "e");
                tokio::pin!(ending);
                // Only the fuse holds the engine from here on.
                tokio::select! {
                    biased;
                    () = async {
                        while fuse.left.load(Ordering::SeqCst) > 0 { tokio::task::yield_now().await; }
                    } => false,
                    _ = &mut ending => fuse.left.load(Ordering::SeqCst) > 0,
                }
            };
            // What was under way is written, and not acted upon: another process would not see it
            // otherwise.
            engine.shutdown().await;
            drop(engine);
            if ended {
                break;
            }
            died += 1;
            let engine = world.open(Arc::new(Echo::default())).await;
            assert_eq!(
                until_closed(&engine, "e").await,
                Status::Succeeded,
                "after {acts} acts"
            );
            let end = described(&engine, "e").await.so_far.end.unwrap();
            assert_eq!(end, whole, "after {acts} acts");
            let mut found = types(&engine, "e").await;
            if concurrent {
                found.sort();
                expected.sort();
            }
            // When the answer arrives without the event that a worker took the task, the language
            // adds that event.
            assert_eq!(found, expected, "after {acts} acts");
        }
        assert!(died >= 5, "died {died} times");
    }
}

#[tokio::test]
async fn a_timer_that_was_due_while_nobody_was_there_rings_at_once() {
    let wait = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"End":true}}}"#;
    let world = World::new(&[("m", wait)]);
    let engine = world.open(Arc::new(Echo::default())).await;
    engine.start("m", "e", "1".into()).await.unwrap();
    drop(engine);
    let engine = world.open(Arc::new(Echo::default())).await;
    assert_eq!(until_closed(&engine, "e").await, Status::Succeeded);
}

#[tokio::test]
async fn a_task_in_flight_is_run_again_and_one_that_was_handed_over_is_not() {
    let world = World::new(&[
        ("lambda", &chain(1)),
        (
            "token",
            r#"{"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
               "Parameters":{"FunctionName":"f","Payload":{"t.$":"$$.Task.Token"}},"End":true}}}"#,
        ),
    ]);
    let keep = || {
        Arc::new(Echo {
            keep: true,
            ..Echo::default()
        })
    };
    let echo = keep();
    let engine = world.open(echo.clone()).await;
    engine.start("lambda", "l", "1".into()).await.unwrap();
    engine.start("token", "t", "1".into()).await.unwrap();
    let answers: Vec<_> = echo.kept.lock().drain(..).collect();
    assert_eq!(answers.len(), 2);
    let submitted = answers.iter().find(|one| &*one.0.execution == "t").unwrap();
    submitted.1.submitted("{}".into());
    let seen = async {
        while !types(&engine, "t")
            .await
            .contains(&"TaskSubmitted".to_owned())
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::DEADLINE, seen)
        .await
        .unwrap();
    let token = engine.waiting_token("t", "T").await.unwrap().unwrap();
    drop(engine);
    let again = keep();
    let engine = world.open(again.clone()).await;
    engine.task_success(&token, "2".into()).await.unwrap();
    world.ears.end_of("t").await;
    let taken = async {
        loop {
            if let Some(one) = again.kept.lock().pop_front() {
                return one;
            }
            tokio::task::yield_now().await;
        }
    };
    let (request, responder) = tokio::time::timeout(crate::world::DEADLINE, taken)
        .await
        .unwrap();
    assert_eq!(&*request.execution, "l");
    assert_eq!(
        request.task.task,
        answers
            .iter()
            .find(|one| &*one.0.execution == "l")
            .unwrap()
            .0
            .task
            .task
    );
    responder.succeeded("3".into());
    assert_eq!(world.ears.end_of("l").await.output.as_deref(), Some("3"));
    assert!(again.kept.lock().is_empty());
}
