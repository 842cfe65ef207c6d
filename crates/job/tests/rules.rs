//! The rules of a job, exhaustively: every status with every event, and every update applied twice.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use job::change::{Report, Source, StepUpdate};
use job::status::diagram;
use job::{
    Applied, Change, Event, Job, JobError, JobId, NewJob, RULES, Refused, Status, Step, StepKind,
    StepStatus, Time, Update, Version,
};
use proptest::prelude::*;

fn job() -> Job {
    NewJob {
        id: JobId::new(Time::from_millis(1_000), 7),
        job_type: "thumbnails".into(),
        owner: "ann".into(),
        tags: vec![],
        steps: vec![
            Step::pending("inspect", 0, StepKind::Task),
            Step::pending("resize", 1, StepKind::Map),
            Step::pending("assemble", 2, StepKind::Task),
        ],
    }
    .into_job()
    .unwrap()
}

fn at(status: Status) -> Job {
    Job { status, ..job() }
}

fn now() -> Time {
    Time::from_millis(2_000)
}

fn error() -> JobError {
    JobError::new("Oops", "it broke")
}

fn changed(job: &Job, change: &Change) -> Job {
    match job.apply(change, now()).unwrap() {
        Applied::Changed(next) => *next,
        Applied::Unchanged => panic!("{change:?} changed nothing"),
    }
}

fn step(name: &str, update: StepUpdate) -> Update {
    Update::Step {
        name: name.into(),
        update,
    }
}

#[test]
fn the_rules_decide_every_status_with_every_event() {
    let mut grid = String::new();
    for status in Status::ALL {
        for event in Event::ALL {
            let after = status.after(event).map_or("-", Status::as_str);
            grid.push_str(&format!(
                "{status:<9} {:<8} {after}\n",
                format!("{event:?}")
            ));
        }
    }
    insta::assert_snapshot!(grid);
}

#[test]
fn the_rules_have_each_pair_once_and_reach_every_status() {
    for (index, (from, event, _)) in RULES.iter().enumerate() {
        assert!(
            !RULES[..index]
                .iter()
                .any(|(f, e, _)| f == from && e == event),
            "{from} {event:?}"
        );
    }
    for status in Status::ALL {
        assert!(status == Status::Queued || RULES.iter().any(|(_, _, to)| *to == status));
    }
    let terminal: Vec<_> = Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
        .collect();
    assert_eq!(
        terminal,
        [
            Status::Succeeded,
            Status::Failed,
            Status::Cancelled,
            Status::TimedOut
        ]
    );
}

#[test]
fn the_diagram_of_the_documentation_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/design/job.md");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.contains(&diagram()),
        "put this into docs/design/job.md:\n{}",
        diagram()
    );
}

/// The check in `apply` agrees with the table for what callers may ask. (The workflow's own events
/// are never refused.)
#[test]
fn apply_agrees_with_the_rules() {
    for status in Status::ALL {
        for (update, event) in [
            (Update::Cancel(error()), Event::Cancel),
            (
                Update::Retry {
                    execution: job().execution,
                    known: 0,
                },
                Event::Retry,
            ),
            (Update::Fail(error()), Event::Fail),
            (Update::TimeOut(error()), Event::TimeOut),
        ] {
            let job = at(status);
            let result = job.apply(&Change::of(update), now());
            match status.after(event) {
                Some(to) => match result.unwrap() {
                    Applied::Changed(next) => {
                        assert_eq!(next.status, to);
                        assert_eq!(next.version, Version(2));
                    }
                    Applied::Unchanged => panic!("{status} {event:?}"),
                },
                None if status == Status::Cancelled && event == Event::Cancel => {
                    assert_eq!(result, Ok(Applied::Unchanged))
                }
                None => assert_eq!(
                    result,
                    Err(Refused::Rule {
                        id: job.id,
                        status,
                        event
                    })
                ),
            }
        }
    }
}

#[test]
fn a_chain_of_steps_gives_progress_and_ends_at_100() {
    let started = changed(
        &job(),
        &Change {
            updates: vec![Update::Start, step("inspect", StepUpdate::Entered)],
            ..Change::default()
        },
    );
    assert_eq!(
        (started.status, started.version, started.progress),
        (Status::Running, Version(2), 0)
    );
    let reported = changed(
        &started,
        &Change::of(Update::Report(Report {
            progress: Some(50),
            message: Some("half".into()),
            ..Report::default()
        })),
    );
    assert_eq!(
        (reported.progress, reported.message.as_deref()),
        (16, Some("half"))
    );
    let lower = reported.apply(
        &Change::of(Update::Report(Report {
            progress: Some(10),
            ..Report::default()
        })),
        now(),
    );
    assert_eq!(lower, Ok(Applied::Unchanged));
    let next = changed(
        &reported,
        &Change {
            updates: vec![
                step("inspect", StepUpdate::Exited),
                step("resize", StepUpdate::Entered),
            ],
            ..Change::default()
        },
    );
    assert_eq!(
        (next.progress, next.steps[0].status, next.steps[1].status),
        (33, StepStatus::Succeeded, StepStatus::Running)
    );
    let items = changed(
        &next,
        &Change::of(step("resize", StepUpdate::Items { done: 1, total: 2 })),
    );
    assert_eq!((items.progress, items.steps[1].progress), (50, 50));
    let end = changed(
        &items,
        &Change {
            updates: vec![step("resize", StepUpdate::Exited), Update::Succeed],
            retention_millis: Some(5),
            ..Change::default()
        },
    );
    assert_eq!(
        (end.status, end.progress, end.finished_at),
        (Status::Succeeded, 100, Some(now()))
    );
    assert_eq!(end.steps[2].status, StepStatus::Skipped);
    assert_eq!(end.expires_at, Some(Time::from_millis(2_005)));
}

#[test]
fn a_waiting_step_makes_the_job_wait_and_its_answer_resumes_it() {
    let waiting = changed(
        &at(Status::Running),
        &Change {
            updates: vec![
                step("inspect", StepUpdate::Entered),
                step("inspect", StepUpdate::Waiting),
            ],
            ..Change::default()
        },
    );
    assert_eq!(waiting.status, Status::Waiting);
    let on = changed(&waiting, &Change::of(step("inspect", StepUpdate::Exited)));
    assert_eq!(on.status, Status::Running);
}

#[test]
fn a_failed_job_names_its_failed_step() {
    let running = changed(
        &at(Status::Running),
        &Change::of(step("resize", StepUpdate::Entered)),
    );
    let failed = changed(&running, &Change::of(Update::Fail(error())));
    assert_eq!(
        failed.error.as_ref().unwrap().step.as_deref(),
        Some("resize")
    );
    assert_eq!(failed.steps[1].status, StepStatus::Failed);
    assert_eq!(failed.steps[2].status, StepStatus::Pending);
}

#[test]
fn a_retry_keeps_succeeded_steps_only_on_a_redrive() {
    let mut failed = changed(
        &at(Status::Running),
        &Change {
            updates: vec![
                step("inspect", StepUpdate::Entered),
                step("inspect", StepUpdate::Exited),
                step("resize", StepUpdate::Entered),
                Update::Fail(error()),
            ],
            ..Change::default()
        },
    );
    failed.position = 9;
    let redriven = changed(
        &failed,
        &Change::of(Update::Retry {
            execution: failed.execution.clone(),
            known: 0,
        }),
    );
    assert_eq!(
        (redriven.status, redriven.attempt, redriven.position),
        (Status::Queued, 2, 9)
    );
    assert_eq!(
        (redriven.steps[0].status, redriven.steps[1].status),
        (StepStatus::Succeeded, StepStatus::Pending)
    );
    assert_eq!((redriven.error, redriven.finished_at), (None, None));
    let anew = changed(
        &failed,
        &Change::of(Update::Retry {
            execution: "other".into(),
            known: 12,
        }),
    );
    assert_eq!(
        (anew.position, anew.progress, anew.execution.as_str()),
        (0, 0, "other")
    );
    assert!(
        anew.steps
            .iter()
            .all(|step| step.status == StepStatus::Pending)
    );
}

#[test]
fn events_of_the_execution_are_applied_once_and_never_refused() {
    let source = |execution: &str, position| {
        Some(Source {
            execution: execution.into(),
            position,
            attempt: 0,
            so_far: false,
        })
    };
    let job = job();
    let first = Change {
        source: source(&job.execution, 3),
        ..Change::of(step("inspect", StepUpdate::Entered))
    };
    let running = changed(&job, &first);
    assert_eq!((running.status, running.position), (Status::Running, 3));
    assert_eq!(running.apply(&first, now()), Ok(Applied::Unchanged));
    let elsewhere = Change {
        source: source("another", 9),
        ..Change::of(Update::Succeed)
    };
    assert_eq!(running.apply(&elsewhere, now()), Ok(Applied::Unchanged));
    let cancelled = at(Status::Cancelled);
    let late = Change {
        source: source(&job.execution, 9),
        ..Change::of(Update::Fail(error()))
    };
    assert_eq!(cancelled.apply(&late, now()), Ok(Applied::Unchanged));
}

#[test]
fn a_change_is_refused_if_its_conditions_do_not_hold() {
    let other = Change {
        expected: Some(Version(5)),
        ..Change::of(Update::Cancel(error()))
    };
    assert_eq!(
        job().apply(&other, now()),
        Err(Refused::Version {
            expected: Version(5),
            actual: Version(1)
        })
    );
    let stale = Change {
        attempt: Some(2),
        ..Change::of(Update::Report(Report::default()))
    };
    assert_eq!(
        job().apply(&stale, now()),
        Err(Refused::Attempt {
            attempt: 2,
            actual: 1
        })
    );
    let over = |progress, message: usize| {
        Change::of(Update::Report(Report {
            progress: Some(progress),
            message: Some("x".repeat(message)),
            ..Report::default()
        }))
    };
    assert!(job().apply(&over(100, 1024), now()).is_ok());
    assert_eq!(
        job().apply(&over(101, 1), now()),
        Err(Refused::Progress(101))
    );
    assert!(matches!(
        job().apply(&over(1, 1025), now()),
        Err(Refused::OverLimit(_))
    ));
    let unknown = Change::of(Update::Report(Report {
        step: Some("nowhere".into()),
        ..Report::default()
    }));
    assert_eq!(
        job().apply(&unknown, now()),
        Err(Refused::UnknownStep("nowhere".into()))
    );
}

#[test]
fn a_new_job_over_a_limit_is_refused() {
    let new = |tags: usize, tag: usize| NewJob {
        id: job().id,
        job_type: "t".into(),
        owner: "o".into(),
        tags: vec!["x".repeat(tag); tags],
        steps: vec![],
    };
    assert!(new(10, 128).into_job().is_ok());
    assert_eq!(
        new(11, 1).into_job().unwrap_err().to_string(),
        "tags is too large: 11 tags, and the limit is 10"
    );
    assert_eq!(
        new(1, 129).into_job().unwrap_err().to_string(),
        "tag is too large: 129 bytes, and the limit is 128"
    );
}

fn any_update() -> impl Strategy<Value = Update> {
    let name = prop::sample::select(vec!["inspect", "resize", "assemble", "elsewhere"]);
    let step_update = prop_oneof![
        Just(StepUpdate::Entered),
        (2..5_u32).prop_map(|attempt| StepUpdate::Retrying {
            attempt,
            error: error()
        }),
        Just(StepUpdate::Waiting),
        Just(StepUpdate::Running),
        (0..9_u32, 0..9_u32).prop_map(|(done, total)| StepUpdate::Items { done, total }),
        Just(StepUpdate::Exited),
        Just(StepUpdate::Failed(error())),
    ];
    prop_oneof![
        1 => Just(Update::Start),
        4 => (name, step_update).prop_map(|(name, update)| step(name, update)),
        2 => (0..=100_u8).prop_map(|progress| Update::Report(Report { progress: Some(progress), ..Report::default() })),
        1 => Just(Update::Succeed),
        1 => Just(Update::Fail(error())),
        1 => Just(Update::Cancel(error())),
        1 => Just(Update::TimeOut(error())),
        1 => Just(Update::Retry { execution: job().execution, known: 0 }),
    ]
}

proptest! {
    #[test]
    fn versions_rise_by_one_and_progress_never_falls_within_an_attempt(updates in prop::collection::vec(any_update(), 0..40)) {
        let mut job = job();
        for update in updates {
            let change = Change::of(update);
            if let Ok(Applied::Changed(next)) = job.apply(&change, now()) {
                prop_assert_eq!(next.version, job.version.next());
                prop_assert!(next.attempt > job.attempt || next.progress >= job.progress);
                prop_assert_eq!(next.status.is_terminal(), next.finished_at.is_some());
                prop_assert!(next.steps.iter().filter(|step| step.status.is_open()).count() == 0 || !next.status.is_terminal());
                let text = serde_json::to_string(&next).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Job>(&text).unwrap(), &*next);
                job = *next;
            }
        }
    }
}

#[test]
fn a_description_so_far_updates_a_job_without_counting_twice() {
    let so_far = |position, updates| Change {
        updates,
        source: Some(Source {
            execution: job().execution,
            position,
            attempt: 0,
            so_far: true,
        }),
        ..Change::default()
    };
    let inspect = || step("inspect", StepUpdate::Entered);
    let running = changed(&job(), &so_far(2, vec![Update::Start, inspect()]));
    assert_eq!(running.steps[0].attempt, 1);
    let again = running.apply(&so_far(3, vec![Update::Start, inspect()]), now());
    assert_eq!(again, Ok(Applied::Unchanged));
    let later = Time::from_millis(9_000);
    let all = vec![
        Update::Start,
        inspect(),
        step("inspect", StepUpdate::Exited),
        step("resize", StepUpdate::Entered),
    ];
    let Ok(Applied::Changed(next)) = running.apply(&so_far(5, all.clone()), later) else {
        panic!("it changed");
    };
    assert_eq!(
        (next.steps[0].status, next.steps[0].attempt),
        (StepStatus::Succeeded, 1)
    );
    assert_eq!(
        (next.steps[0].started_at, next.steps[0].finished_at),
        (Some(now()), Some(later))
    );
    assert_eq!(
        (next.steps[1].status, next.steps[1].attempt),
        (StepStatus::Running, 1)
    );
    assert_eq!(
        next.apply(&so_far(6, all), later.plus_millis(1)),
        Ok(Applied::Unchanged)
    );
}

#[test]
fn a_job_follows_an_execution_that_was_redriven_without_it() {
    let event = |position, attempt, update| Change {
        source: Some(Source {
            execution: job().execution,
            position,
            attempt,
            so_far: false,
        }),
        ..Change::of(update)
    };
    let step = |update| Update::Step {
        name: job().steps[0].name.clone(),
        update,
    };
    for (ending, follows) in [
        (Update::Fail(JobError::new("E", "")), true),
        (Update::Cancel(JobError::new("E", "")), true),
        (Update::TimeOut(JobError::new("E", "")), true),
        (Update::Succeed, false),
    ] {
        let mut ended = changed(&job(), &event(2, 1, Update::Start));
        ended = changed(&ended, &event(3, 1, ending.clone()));
        // The last words of the attempt that has ended, and words of an unknown one.
        for attempt in [0, 1] {
            let late = ended.apply(&event(4, attempt, step(StepUpdate::Entered)), now());
            assert_eq!(late, Ok(Applied::Unchanged), "{ending:?}");
        }
        // An event at or below the known position is a repeat, with any content.
        let repeat = ended.apply(&event(3, 2, step(StepUpdate::Entered)), now());
        assert_eq!(repeat, Ok(Applied::Unchanged));
        let redriven = ended.apply(&event(5, 2, step(StepUpdate::Entered)), now());
        if !follows {
            assert_eq!(redriven, Ok(Applied::Unchanged));
            continue;
        }
        let running = changed(&ended, &event(5, 2, step(StepUpdate::Entered)));
        assert_eq!((running.status, running.attempt), (Status::Running, 2));
        assert_eq!((&running.error, running.expires_at), (&None, None));
        assert_eq!(running.version, ended.version.next());
        // It runs in that attempt, and no further one begins.
        let again = changed(&running, &event(6, 2, Update::Fail(JobError::new("E", ""))));
        assert_eq!((again.status, again.attempt), (Status::Failed, 2));
    }
}
