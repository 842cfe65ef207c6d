//! Starting executions and finding them.

use resolvers::workflow::{ExecutionStatus, Started, WorkflowError};

use crate::places::Place;

pub(crate) async fn job_types_are_those_of_the_directory(place: &Place) {
    let types = place.workflow.job_types();
    let names: Vec<&str> = types.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["asks", "chain", "fails", "many", "waits"]);
    let chain = place.workflow.job_type("chain").unwrap();
    assert_eq!(chain.description.as_deref(), Some("Two steps"));
    assert_eq!(chain.steps.len(), 1, "Pass does no work");
    assert!(place.workflow.job_type("none").is_none());
}

pub(crate) async fn an_execution_is_started_once(place: &Place) {
    let start = |input: &'static str| place.workflow.start("waits", "one", input.into());
    assert_eq!(start("{}").await.unwrap(), Started::New);
    // Open with the same input, open with another one, closed.
    assert_eq!(start("{}").await.unwrap(), Started::Already);
    assert_eq!(start("1").await.unwrap(), Started::Already);
    place.workflow.stop("waits", "one", "E", "C").await.unwrap();
    place.ears.to_the_end("one").await;
    assert_eq!(start("{}").await.unwrap(), Started::Already);
}

pub(crate) async fn what_is_not_there_is_said_to_be_unknown(place: &Place) {
    let workflow = &place.workflow;
    let started = workflow.start("none", "x", "{}".into()).await;
    assert!(matches!(started, Err(WorkflowError::UnknownType(name)) if name == "none"));
    assert!(
        workflow
            .describe("chain", "nobody")
            .await
            .unwrap()
            .is_none()
    );
    let unknown = |error: WorkflowError| {
        assert!(
            matches!(&error, WorkflowError::UnknownExecution(name) if name == "nobody"),
            "{error}"
        );
    };
    unknown(
        workflow
            .stop("chain", "nobody", "E", "C")
            .await
            .unwrap_err(),
    );
    unknown(workflow.redrive("chain", "nobody").await.unwrap_err());
    unknown(
        workflow
            .history("chain", "nobody", 0, 10)
            .await
            .unwrap_err(),
    );
    unknown(
        workflow
            .waiting_token("asks", "nobody", "Ask")
            .await
            .unwrap_err(),
    );
    let answered = workflow.task_success("no token", "1".into()).await;
    assert!(
        matches!(answered, Err(WorkflowError::NoSuchTask)),
        "{answered:?}"
    );
}

pub(crate) async fn a_history_has_pages(place: &Place) {
    place
        .workflow
        .start("chain", "paged", "{}".into())
        .await
        .unwrap();
    place.ears.to_the_end("paged").await;
    let (mut types, mut after) = (Vec::new(), 0);
    loop {
        let page = place
            .workflow
            .history("chain", "paged", after, 2)
            .await
            .unwrap();
        assert!(page.events.len() <= 2);
        for event in &page.events {
            after += 1;
            assert_eq!(event["id"], after);
            types.push(event["type"].as_str().unwrap().to_owned());
        }
        match page.next {
            Some(next) => assert_eq!(next, after),
            None => break,
        }
    }
    let all = [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ];
    assert_eq!(types, all);
    let described = place
        .workflow
        .describe("chain", "paged")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(described.status, ExecutionStatus::Succeeded);
    assert_eq!(described.so_far.position, after);
}
