//! Progress: it is throttled, the newest report wins, the last always arrives, and a lost server or
//! an expired token never fails the function.

use std::time::Duration;

use functions::{Error, Job, MAX_ATTEMPTS, REPORT_INTERVAL};
use serde_json::json;

use crate::server::{Fault, Server};

#[tokio::test]
async fn many_reports_are_throttled_and_the_last_one_arrives() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    let beginning = std::time::Instant::now();
    for percent in 0..=100 {
        job.progress(percent, format!("{percent} of 100"));
        job.items(percent.into(), 100);
        tokio::task::yield_now().await;
    }
    // A second burst, after the first report was sent: it falls into the interval.
    server.reported(1).await;
    job.progress(100, "done");
    job.flush().await.unwrap();
    let elapsed = beginning.elapsed();
    let reports = server.reports();
    let bound = 2 + (elapsed.as_millis() / REPORT_INTERVAL.as_millis()) as usize;
    assert!(
        reports.len() <= bound,
        "{} reports in {elapsed:?}",
        reports.len()
    );
    assert_eq!(
        reports.last().unwrap().1,
        json!({"id": "job-1", "step": "Step", "progress": 100, "message": "done", "itemsDone": 100, "itemsTotal": 100})
    );
}

#[tokio::test]
async fn reports_keep_the_minimum_interval() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    for number in 0..3 {
        job.progress(number, "going on");
        server.reported(number as usize + 1).await;
    }
    let times: Vec<_> = server.reports().into_iter().map(|(time, _)| time).collect();
    for pair in times.windows(2) {
        // A timer may fire a millisecond early by the other clock.
        assert!(
            pair[1] - pair[0] >= REPORT_INTERVAL - Duration::from_millis(20),
            "{:?}",
            pair[1] - pair[0]
        );
    }
}

#[tokio::test]
async fn a_blocking_thread_reports_too() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    let worker = job.clone();
    tokio::task::spawn_blocking(move || worker.progress(40, "computing"))
        .await
        .unwrap();
    server.reported(1).await;
    assert_eq!(server.last_report().unwrap()["progress"], 40);
}

#[tokio::test]
async fn an_empty_flush_sends_no_request() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.flush().await.unwrap();
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_failed_report_is_sent_again_with_the_newer_fields() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.fault(Fault::Status(503));
    }
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.progress(10, "first");
    tokio::task::yield_now().await;
    job.items(1, 9);
    job.flush().await.unwrap();
    assert_eq!(server.requests(), 3);
    let report = server.last_report().unwrap();
    assert_eq!(
        (&report["progress"], &report["itemsDone"]),
        (&json!(10), &json!(1))
    );
}

#[tokio::test]
async fn reports_resume_after_a_server_was_unreachable() {
    let server = Server::start().await;
    for _ in 0..MAX_ATTEMPTS {
        server.fault(Fault::Status(500));
    }
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.progress(1, "lost");
    let error = job.flush().await.unwrap_err();
    assert_eq!(
        (error.name(), server.requests()),
        ("ServiceUnavailable", MAX_ATTEMPTS as usize)
    );
    assert!(
        job.stopped().is_none(),
        "an unreachable server does not end a job"
    );
    job.progress(2, "found");
    job.flush().await.unwrap();
    assert_eq!(server.last_report().unwrap()["message"], "found");
}

#[tokio::test]
async fn an_expired_token_gives_an_error_and_ends_reporting() {
    let server = Server::start().await;
    let mut event = server.event(json!({}));
    event["job"]["reportToken"] = json!("an-old-token");
    let job = Job::from_event(&event).unwrap();
    let error = job.heartbeat().await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { code, .. } if code == "UNAUTHORIZED"),
        "{error}"
    );
    assert!(!error.to_string().contains("an-old-token"), "{error}");
    assert_eq!(job.stopped(), Some(error));
    job.progress(50, "nobody hears this");
    assert_eq!(job.flush().await.unwrap_err().name(), "Refused");
    assert_eq!(server.requests(), 1, "a refused token is not tried again");
}

#[tokio::test]
async fn one_refused_report_does_not_end_reporting() {
    let server = Server::start().await;
    server.refuse("BadRequest", "there is no step `Step`");
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.progress(1, "of an unknown step");
    assert_eq!(job.flush().await.unwrap_err().name(), "Refused");
    assert_eq!(job.stopped(), None);
    server.accept();
    job.progress(2, "better");
    job.flush().await.unwrap();
    assert_eq!(server.last_report().unwrap()["progress"], 2);
}

#[tokio::test]
async fn a_heartbeat_of_a_cancelled_job_is_refused() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.heartbeat().await.unwrap();
    assert_eq!(
        server.last_report().unwrap(),
        json!({"id": "job-1", "step": "Step"})
    );
    server.refuse("InvalidTransition", "the job is CANCELLED");
    let error = job.heartbeat().await.unwrap_err();
    assert!(
        error.to_string().contains("the job is CANCELLED"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_without_a_server_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let event = json!({"job": {"id": "1", "reportUrl": format!("http://{address}/graphql"), "reportToken": "t"}});
    let job = Job::from_event(&event).unwrap();
    job.progress(1, "hello?");
    assert_eq!(job.flush().await.unwrap_err().name(), "ServiceUnavailable");
}
