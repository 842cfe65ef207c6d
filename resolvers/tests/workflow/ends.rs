//! The events of an execution, and its description.

use std::collections::BTreeMap;

use job::JobError;
use job::change::StepUpdate;
use resolvers::workflow::{ExecutionEvent, ExecutionStatus};

use crate::ears::StepUpdates;
use crate::places::Place;

/// The last update of each step.
fn last(steps: &StepUpdates) -> BTreeMap<&str, &StepUpdate> {
    steps
        .iter()
        .map(|(step, update)| (step.as_str(), update))
        .collect()
}

async fn described(place: &Place, job_type: &str, name: &str) -> ExecutionEvent {
    let found = place
        .workflow
        .describe(job_type, name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.name, name);
    found.so_far
}

pub(crate) async fn each_step_is_told_and_the_end(place: &Place) {
    let started = place.workflow.start("chain", "c", r#"{"in":1}"#.into());
    started.await.unwrap();
    let (steps, end) = place.ears.to_the_end("c").await;
    let step = |name: &str, update| (name.to_owned(), update);
    let all = vec![
        step("First", StepUpdate::Entered),
        step("First", StepUpdate::Exited),
        step("Second", StepUpdate::Entered),
        step("Second", StepUpdate::Waiting),
        step("Second", StepUpdate::Exited),
    ];
    assert_eq!(steps, all);
    assert_eq!(end.status, ExecutionStatus::Succeeded);
    assert_eq!(end.output.as_deref(), Some(r#"{"answer":42}"#));
    let so_far = described(place, "chain", "c").await;
    assert_eq!(so_far.end.as_ref(), Some(&end));
    assert_eq!(last(&so_far.steps), last(&steps));
}

pub(crate) async fn a_failure_names_its_step(place: &Place) {
    place
        .workflow
        .start("fails", "f", "{}".into())
        .await
        .unwrap();
    let (steps, end) = place.ears.to_the_end("f").await;
    let failed = StepUpdate::Failed(JobError::new("Wrong", "on purpose"));
    assert_eq!(steps.last(), Some(&("Fail".to_owned(), failed)));
    assert_eq!(end.status, ExecutionStatus::Failed);
    assert_eq!(
        (end.error.as_deref(), end.cause.as_deref()),
        (Some("Wrong"), Some("on purpose"))
    );
    let so_far = described(place, "fails", "f").await;
    assert_eq!(last(&so_far.steps), last(&steps));
}

pub(crate) async fn iterations_and_branches_are_counted(place: &Place) {
    place
        .workflow
        .start("many", "m", "[1,2,3]".into())
        .await
        .unwrap();
    let (steps, end) = place.ears.to_the_end("m").await;
    assert_eq!(end.status, ExecutionStatus::Succeeded);
    let counts = |name: &str| -> Vec<(u32, u32)> {
        let of = steps.iter().filter(|(step, _)| step == name);
        of.filter_map(|(_, update)| match update {
            StepUpdate::Items { done, total } => Some((*done, *total)),
            _ => None,
        })
        .collect()
    };
    assert_eq!(counts("Each"), [(0, 3), (1, 3), (2, 3), (3, 3)]);
    let both = counts("Both");
    assert_eq!((both.first(), both.last()), (Some(&(0, 2)), Some(&(2, 2))));
    let top = steps
        .iter()
        .all(|(step, _)| ["Each", "Both"].contains(&step.as_str()));
    assert!(top, "only top-level states are steps: {steps:?}");
}

pub(crate) async fn a_stopped_execution_says_why(place: &Place) {
    place
        .workflow
        .start("waits", "s", "{}".into())
        .await
        .unwrap();
    let waits = |steps: &StepUpdates| steps.contains(&("Wait".to_owned(), StepUpdate::Waiting));
    place
        .ears
        .until("s", |steps, _| waits(steps).then_some(()))
        .await;
    let so_far = described(place, "waits", "s").await;
    assert!(so_far.end.is_none() && waits(&so_far.steps), "{so_far:?}");
    place
        .workflow
        .stop("waits", "s", "Cancelled", "by hand")
        .await
        .unwrap();
    let (_, end) = place.ears.to_the_end("s").await;
    assert_eq!(end.status, ExecutionStatus::Aborted);
    assert_eq!(
        (end.error.as_deref(), end.cause.as_deref()),
        (Some("Cancelled"), Some("by hand"))
    );
    // A closed execution is not changed.
    place
        .workflow
        .stop("waits", "s", "Other", "late")
        .await
        .unwrap();
    assert_eq!(described(place, "waits", "s").await.end, Some(end));
}
