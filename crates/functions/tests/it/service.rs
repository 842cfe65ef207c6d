//! The wrapper: typed input, named errors, a panic becomes an error, and the last report is sent
//! before the response.

use functions::lambda_runtime::{Context, Diagnostic, LambdaEvent, Service};
use functions::{Failure, Job, PANIC_ERROR, service};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::Server;

#[derive(Deserialize)]
struct Input {
    what: String,
}

async fn handler(input: Input, job: Job) -> Result<Value, Failure> {
    job.progress(90, "nearly");
    tokio::task::yield_now().await;
    match input.what.as_str() {
        "panic" => panic!("the {} broke", "handler"),
        "fail" => Err(Failure::new("TooSour", "the lemon is too sour")),
        "lose" => {
            let gone = "http://127.0.0.1:9/x?signature=s3cr3t";
            Ok(json!(
                job.download(&gone.replace("127.0.0.1:9", "[::bad"))
                    .await?
                    .size()
            ))
        }
        what => Ok(json!({"did": what})),
    }
}

async fn call(payload: Value) -> Result<Value, Diagnostic> {
    service(handler)
        .call(LambdaEvent::new(payload, Context::default()))
        .await
}

#[tokio::test]
async fn a_result_is_sent_after_the_last_report() {
    let server = Server::start().await;
    let result = call(server.event(json!({"what": "dance"}))).await.unwrap();
    assert_eq!(result, json!({"did": "dance"}));
    assert_eq!(server.last_report().unwrap()["progress"], 90);
}

#[tokio::test]
async fn an_error_has_the_name_that_retry_and_catch_match() {
    let server = Server::start().await;
    let cases = [
        ("fail", "TooSour", "the lemon is too sour"),
        ("panic", PANIC_ERROR, "the handler broke"),
        ("lose", "InvalidUrl", "http"),
    ];
    for (what, name, message) in cases {
        let diagnostic = call(server.event(json!({ "what": what })))
            .await
            .unwrap_err();
        assert_eq!(diagnostic.error_type, name);
        assert!(
            diagnostic.error_message.contains(message),
            "{}",
            diagnostic.error_message
        );
        assert!(!diagnostic.error_message.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn an_invalid_input_is_an_error_and_the_service_continues() {
    let mut service = service(handler);
    let mut call = |payload| service.call(LambdaEvent::new(payload, Context::default()));
    let wrong = call(json!({"what": 1})).await.unwrap_err();
    assert_eq!(wrong.error_type, "InvalidInput");
    assert!(
        wrong.error_message.contains("expected a string"),
        "{}",
        wrong.error_message
    );
    let broken = call(json!({"what": "x", "job": "y"})).await.unwrap_err();
    assert_eq!(broken.error_type, "InvalidEvent");
    assert_eq!(
        call(json!({"what": "panic"})).await.unwrap_err().error_type,
        PANIC_ERROR
    );
    assert_eq!(
        call(json!({"what": "sing"})).await.unwrap(),
        json!({"did": "sing"})
    );
}

#[tokio::test]
async fn a_lost_report_does_not_fail_the_function() {
    let server = Server::start().await;
    server.refuse("UNAUTHORIZED", "the token has expired");
    let result = call(server.event(json!({"what": "dance"}))).await;
    assert_eq!(result.unwrap(), json!({"did": "dance"}));
}
