//! Tasks that are answered, tries that fail, executions that continue.

use job::JobError;
use job::change::StepUpdate;
use resolvers::workflow::{End, ExecutionStatus, WorkflowError};

use crate::ears::StepUpdates;
use crate::places::Place;

/// The token, once the task has waited for the `tries`-th time.
async fn token(place: &Place, name: &str, tries: usize) -> String {
    let waits = |told: &StepUpdates| {
        told.iter()
            .filter(|(_, update)| *update == StepUpdate::Waiting)
            .count()
    };
    let enough = |told: &StepUpdates, _: Option<&End>| (waits(told) >= tries).then_some(());
    place.ears.until(name, enough).await;
    let token = place
        .workflow
        .waiting_token("asks", name, "Ask")
        .await
        .unwrap();
    token.expect("the task waits")
}

pub(crate) async fn a_waiting_task_is_answered_by_its_token(place: &Place) {
    let workflow = &place.workflow;
    workflow.start("asks", "a", "{}".into()).await.unwrap();
    let token = token(place, "a", 1).await;
    assert_eq!(
        workflow.waiting_token("asks", "a", "Other").await.unwrap(),
        None
    );
    workflow
        .task_success(&token, r#""yes""#.into())
        .await
        .unwrap();
    let (told, end) = place.ears.to_the_end("a").await;
    let updates: Vec<StepUpdate> = told.into_iter().map(|(_, update)| update).collect();
    assert_eq!(
        updates,
        [StepUpdate::Entered, StepUpdate::Waiting, StepUpdate::Exited]
    );
    assert_eq!(end.output.as_deref(), Some(r#""yes""#));
    assert_eq!(
        workflow.waiting_token("asks", "a", "Ask").await.unwrap(),
        None
    );
    for answer in [
        workflow.task_success(&token, "1".into()).await,
        workflow.task_failure(&token, "E", "C").await,
    ] {
        assert!(
            matches!(answer, Err(WorkflowError::NoSuchTask)),
            "{answer:?}"
        );
    }
}

pub(crate) async fn a_failed_task_is_tried_again(place: &Place) {
    let workflow = &place.workflow;
    workflow.start("asks", "t", "{}".into()).await.unwrap();
    let first = token(place, "t", 1).await;
    workflow
        .task_failure(&first, "Again", "not yet")
        .await
        .unwrap();
    let second = token(place, "t", 2).await;
    assert_ne!(first, second);
    workflow.task_success(&second, "1".into()).await.unwrap();
    let (told, end) = place.ears.to_the_end("t").await;
    assert_eq!(end.status, ExecutionStatus::Succeeded);
    let retrying = StepUpdate::Retrying {
        attempt: 2,
        error: JobError::new("Again", ""),
    };
    assert!(told.contains(&("Ask".to_owned(), retrying)), "{told:?}");
}

pub(crate) async fn a_failed_execution_is_redriven_and_another_is_not(place: &Place) {
    let workflow = &place.workflow;
    workflow.start("asks", "r", "{}".into()).await.unwrap();
    let first = token(place, "r", 1).await;
    workflow.task_failure(&first, "Wrong", "no").await.unwrap();
    let (_, end) = place.ears.to_the_end("r").await;
    assert_eq!(
        (end.status, end.error.as_deref()),
        (ExecutionStatus::Failed, Some("Wrong"))
    );
    workflow.redrive("asks", "r").await.unwrap();
    let second = token(place, "r", 2).await;
    workflow.task_success(&second, "1".into()).await.unwrap();
    let succeeded = |end: &End| end.status == ExecutionStatus::Succeeded;
    place
        .ears
        .until("r", |_, end| end.filter(|end| succeeded(end)).map(|_| ()))
        .await;
    let again = workflow.redrive("asks", "r").await.unwrap_err();
    assert!(
        matches!(&again, WorkflowError::NotRedrivable { name, .. } if name == "r"),
        "{again}"
    );
}
