//! What an execution does, and what of it reaches its job: whatever is late, repeated, gathered or lost on the way, a step is shown as
//! it was tried.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use job::change::{Source, StepUpdate};
use job::{
    Applied, Change, Job, JobError, JobId, NewJob, Status, Step, StepKind, StepStatus, Time, Update,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

const STEPS: [&str; 3] = ["first", "second", "third"];

/// What an execution did, once: the number of its last history event, what the step did, and how the execution ended by it.
#[derive(Clone, Debug)]
struct Told {
    position: u64,
    updates: Vec<Update>,
}

fn error() -> JobError {
    JobError::new("Oops", "it broke")
}

fn job() -> Job {
    NewJob {
        id: JobId::new(Time::from_millis(1_000), 7),
        job_type: "chain".into(),
        owner: "ann".into(),
        tags: vec![],
        steps: STEPS
            .iter()
            .zip(0..)
            .map(|(name, index)| Step::pending(*name, index, StepKind::Task))
            .collect(),
    }
    .into_job()
    .unwrap()
}

/// How one try of a step goes.
#[derive(Clone, Copy, Debug)]
struct Try {
    /// Retries within the state, each of which is a try more.
    retries: u32,
    waits: bool,
    ends: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Exits,
    Fails,
    Stopped,
    TimesOut,
}

fn any_try() -> impl Strategy<Value = Try> {
    let ends = prop_oneof![
        3 => Just(End::Exits),
        3 => Just(End::Fails),
        1 => Just(End::Stopped),
        1 => Just(End::TimesOut),
    ];
    (0..3_u32, any::<bool>(), ends).prop_map(|(retries, waits, ends)| Try {
        retries,
        waits,
        ends,
    })
}

/// The attempts of an execution that is redriven after each end that is not the last step's: what each told, in order.
fn attempts(tries: &[Try]) -> Vec<Vec<Told>> {
    let (mut attempts, mut position, mut place) = (vec![Vec::new()], 1, 0);
    for one in tries {
        let Some(name) = STEPS.get(place) else { break };
        let mut tell = |updates: Vec<Update>| {
            position += 2;
            attempts
                .last_mut()
                .unwrap()
                .push(Told { position, updates });
        };
        let step = |update| Update::Step {
            name: (*name).to_owned(),
            update,
        };
        tell(vec![Update::Start, step(StepUpdate::Entered)]);
        for attempt in 2..2 + one.retries {
            let error = error();
            tell(vec![step(StepUpdate::Retrying { attempt, error })]);
        }
        tell(vec![step(if one.waits {
            StepUpdate::Waiting
        } else {
            StepUpdate::Running
        })]);
        match one.ends {
            End::Exits => {
                place += 1;
                let last = (place == STEPS.len()).then_some(Update::Succeed);
                let exited = step(StepUpdate::Exited);
                tell([exited].into_iter().chain(last).collect());
            }
            End::Fails => {
                let failed = step(StepUpdate::Failed(error()));
                tell(vec![failed, Update::Fail(error())]);
            }
            End::Stopped => tell(vec![Update::Cancel(error())]),
            End::TimesOut => tell(vec![Update::TimeOut(error())]),
        }
        if one.ends != End::Exits {
            attempts.push(Vec::new());
        }
    }
    attempts
}

/// Everything so far as one change, as a description of the execution gives it: of each step what it did since it was entered last.
fn so_far(told: &[&Told], execution: &str) -> Change {
    let mut updates: Vec<Update> = Vec::new();
    let mut end = None;
    for update in told.iter().flat_map(|told| &told.updates) {
        match update {
            Update::Step { name, update: what } => {
                end = None;
                if *what == StepUpdate::Entered {
                    updates.retain(
                        |kept| !matches!(kept, Update::Step { name: kept, .. } if kept == name),
                    );
                }
                updates.push(update.clone());
            }
            Update::Start => {}
            other => end = Some(other.clone()),
        }
    }
    updates.insert(0, Update::Start);
    updates.extend(end);
    let position = told.last().map_or(0, |told| told.position);
    let source = Source {
        execution: execution.to_owned(),
        position,
        attempt: 0,
        so_far: true,
    };
    Change {
        updates,
        source: Some(source),
        ..Change::default()
    }
}

fn of(told: &[&Told], execution: &str) -> Change {
    let source = Source {
        execution: execution.to_owned(),
        position: told.last().unwrap().position,
        attempt: 0,
        so_far: false,
    };
    Change {
        updates: told.iter().flat_map(|told| told.updates.clone()).collect(),
        source: Some(source),
        ..Change::default()
    }
}

fn apply(job: &mut Job, change: &Change, now: i64) {
    if let Applied::Changed(next) = job.apply(change, Time::from_millis(now)).unwrap() {
        *job = *next;
    }
    for step in &job.steps {
        let reached = !matches!(step.status, StepStatus::Pending | StepStatus::Skipped);
        assert_eq!(step.attempt > 0, reached, "{step:?} after {change:?}");
        assert_eq!(
            step.started_at.is_some(),
            reached,
            "{step:?} after {change:?}"
        );
    }
}

fn retry(job: &Job, known: u64) -> Change {
    Change::of(Update::Retry {
        execution: job.execution.clone(),
        known,
    })
}

/// What a watcher sees of the steps, times aside.
fn shown(job: &Job) -> (Status, u32, Vec<(StepStatus, u32)>) {
    let steps = job.steps.iter();
    let steps = steps.map(|step| (step.status, step.attempt)).collect();
    (job.status, job.attempt, steps)
}

/// The job to which everything comes in order, once, at the time.
fn reference(attempts: &[Vec<Told>]) -> Job {
    let (mut job, mut position) = (job(), 0);
    for (number, attempt) in attempts.iter().enumerate() {
        if number > 0 {
            let change = retry(&job, position);
            apply(&mut job, &change, 2_000);
        }
        for told in attempt {
            let change = of(&[told], &job.execution);
            apply(&mut job, &change, 2_000);
            position = told.position;
        }
    }
    job
}

/// The same over a bad way: `ways` says for each piece of news what becomes of it.
fn delivered(attempts: &[Vec<Told>], ways: &[u8]) -> Job {
    let (mut job, mut position, mut ways) = (job(), 0, ways.iter().cycle());
    let execution = job.execution.clone();
    let mut all: Vec<&Told> = Vec::new();
    for (number, attempt) in attempts.iter().enumerate() {
        if number > 0 {
            // What was told of the last attempt may still be under way.
            let late: Vec<&Told> = all.iter().rev().take(2).rev().copied().collect();
            let change = retry(&job, position);
            apply(&mut job, &change, 3_000);
            if !late.is_empty() {
                apply(&mut job, &of(&late, &execution), 3_000);
                apply(&mut job, &so_far(&all, &execution), 3_000);
            }
        }
        let mut gathered: Vec<&Told> = Vec::new();
        for told in attempt {
            all.push(told);
            position = told.position;
            gathered.push(told);
            match ways.next().unwrap() % 6 {
                // It waits, and comes together with what follows.
                0 => continue,
                // It comes twice.
                1 => {
                    let change = of(&gathered, &execution);
                    apply(&mut job, &change, 4_000);
                    apply(&mut job, &change, 4_001);
                }
                // It is lost, and the job is brought together with its execution.
                2 => apply(&mut job, &so_far(&all, &execution), 5_000),
                // Both.
                3 => {
                    apply(&mut job, &of(&gathered, &execution), 6_000);
                    apply(&mut job, &so_far(&all, &execution), 6_001);
                }
                _ => apply(&mut job, &of(&gathered, &execution), 7_000),
            }
            gathered.clear();
        }
        apply(&mut job, &so_far(&all, &execution), 8_000);
    }
    job
}

fn config() -> Config {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    Config {
        cases: number("JOBCAST_CASES").map_or(300, |cases: u64| u32::try_from(cases).unwrap()),
        rng_seed: RngSeed::Fixed(number("JOBCAST_TEST_SEED").unwrap_or(13)),
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_job_shows_what_its_execution_did_whatever_becomes_of_the_news(
        tries in prop::collection::vec(any_try(), 1..9),
        ways in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let attempts = attempts(&tries);
        let (all, some) = (reference(&attempts), delivered(&attempts, &ways));
        prop_assert_eq!(shown(&some), shown(&all));
    }

    /// An execution that was redriven without its job's knowledge: its first news met a job that had ended.
    #[test]
    fn a_step_of_which_the_beginning_was_missed_was_tried(
        tries in prop::collection::vec(any_try(), 2..9),
        missed in 1..4_usize,
    ) {
        let attempts = attempts(&tries);
        let mut job = reference(&attempts[..1]);
        let execution = job.execution.clone();
        if let Some(second) = attempts.get(1).filter(|second| second.len() > missed) {
            let change = retry(&job, 0);
            apply(&mut job, &change, 2_000);
            for told in &second[missed..] {
                apply(&mut job, &of(&[told], &execution), 3_000);
            }
        }
    }
}

#[test]
fn what_is_still_under_way_from_the_last_attempt_says_nothing_of_the_next() {
    let tries = [Try {
        retries: 0,
        waits: true,
        ends: End::Stopped,
    }];
    let attempts = attempts(&tries);
    let mut job = job();
    // The caller has cancelled the job; the execution's own word of that comes after the retry.
    let (aborted, before) = attempts[0].split_last().unwrap();
    for told in before {
        let change = of(&[told], &job.execution);
        apply(&mut job, &change, 2_000);
    }
    apply(&mut job, &Change::of(Update::Cancel(error())), 2_000);
    let change = retry(&job, aborted.position);
    apply(&mut job, &change, 2_000);
    let change = of(&[aborted], &job.execution);
    apply(&mut job, &change, 2_000);
    assert_eq!((job.status, job.attempt), (Status::Queued, 2));
}
