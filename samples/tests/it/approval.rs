//! `approval`: yes, no, an invalid answer, and no answer.

use asl::{Event, TaskId};
use serde_json::{Value, json};

use crate::machine::{Machine, Outcome};
use crate::server::Server;

async fn ask(answer: impl Fn() -> Event) -> (Outcome, Vec<String>) {
    let server = Server::start().await;
    let input = json!({"subject": "Refund order 1042", "approver": "Dana"});
    let outcome = Machine::start(&server, "approval", input)
        .finish(|payload: &Value| {
            assert!(
                payload["taskToken"]
                    .as_str()
                    .is_some_and(|token| !token.is_empty())
            );
            answer()
        })
        .await;
    let messages = server
        .reports()
        .iter()
        .filter_map(|(_, report)| Some(report["message"].as_str()?.into()))
        .collect();
    (outcome, messages)
}

fn answered(output: Value) -> Event {
    Event::TaskSucceeded {
        task: TaskId(0),
        output: output.to_string().into(),
    }
}

#[tokio::test]
async fn a_yes_is_recorded() {
    let (outcome, messages) =
        ask(|| answered(json!({"approved": true, "comment": " fine "}))).await;
    let expected = json!({"subject": "Refund order 1042", "approver": "Dana", "approved": true, "comment": "fine"});
    assert_eq!(outcome, Ok(expected));
    assert_eq!(
        messages,
        [
            "waiting for Dana to decide: Refund order 1042",
            "Dana approved: Refund order 1042"
        ]
    );
}

#[tokio::test]
async fn a_no_fails_with_the_approvers_comment() {
    let (outcome, _) = ask(|| answered(json!({"approved": false, "comment": "too much"}))).await;
    let (error, cause) = outcome.unwrap_err();
    assert_eq!(error, "Rejected");
    assert!(
        cause.contains("too much") && cause.contains("Dana"),
        "{cause}"
    );
}

#[tokio::test]
async fn an_invalid_answer_is_an_error() {
    for nonsense in [
        json!({"approved": "yes"}),
        json!({}),
        json!("yes"),
        json!(null),
    ] {
        let (outcome, _) = ask(|| answered(nonsense.clone())).await;
        assert_eq!(outcome.unwrap_err().0, "InvalidAnswer", "{nonsense}");
    }
}

#[tokio::test]
async fn a_question_without_an_answer_times_out() {
    let (outcome, _) = ask(|| Event::Continue).await;
    assert_eq!(outcome.unwrap_err().0, "ApprovalTimedOut");
}

#[tokio::test]
async fn an_error_as_the_answer_is_the_jobs_error() {
    let failed = || Event::TaskFailed {
        task: TaskId(0),
        error: "OutOfBudget".into(),
        cause: "none left".into(),
    };
    let (outcome, _) = ask(failed).await;
    assert_eq!(outcome, Err(("OutOfBudget".into(), "none left".into())));
}

#[tokio::test]
async fn an_empty_question_is_not_asked() {
    let server = Server::start().await;
    let input = json!({"subject": " ", "approver": "Dana"});
    let outcome = Machine::start(&server, "approval", input)
        .finish(|_| unreachable!("it was asked"))
        .await;
    assert_eq!(outcome.unwrap_err().0, "InvalidInput");
}
