//! Functions over the Lambda Runtime API: one that runs outside and attaches, and the samples on a picture that is none.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, Home, soon};

/// The runtime of a function that lives in this test: answers one invocation after the other with what `answer` gives.
async fn attach(internal: String, name: &str, answer: impl Fn(Value) -> Result<Value, Value>) {
    let client = Client::new(&internal);
    let base = format!("{internal}/{name}/2018-06-01/runtime/invocation");
    loop {
        let next = client
            .request(Method::GET, &format!("{base}/next"))
            .send()
            .await
            .unwrap();
        let id = next.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            next.headers()["lambda-runtime-invoked-function-arn"]
                .to_str()
                .unwrap()
                .ends_with(name)
        );
        let (place, body) = match answer(next.json().await.unwrap()) {
            Ok(result) => ("response", result),
            Err(error) => ("error", error),
        };
        let sent = client
            .request(Method::POST, &format!("{base}/{id}/{place}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 202, "{}", sent.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_process_from_outside_attaches() {
    let definition = json!({ "StartAt": "Call", "States": { "Call": {
        "Type": "Task", "Resource": "outside", "End": true,
        "Retry": [{ "ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 2 }] } } });
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine("outside", &definition);
    let server = home.start().await;
    let client = server.client();
    let tries = std::sync::atomic::AtomicU32::new(0);
    let answer = |event: Value| {
        assert!(
            event["job"]["reportToken"]
                .as_str()
                .is_some_and(|token| token.starts_with("jc1."))
        );
        match event["how"].as_str() {
            Some("fails") => Err(json!({ "errorType": "Broken", "errorMessage": "as asked" })),
            Some("again") if tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
                Err(json!({ "errorType": "Again", "errorMessage": "once" }))
            }
            _ => Ok(json!({ "double": event["n"].as_i64().unwrap() * 2 })),
        }
    };
    let runtime = attach(server.internal().to_owned(), "outside", answer);
    let jobs = async {
        let id = client.submit("outside", &json!({ "n": 21 })).await;
        client.until_status(&id, "SUCCEEDED").await;
        assert_eq!(client.job(&id).await["result"], "{\"double\":42}");
        let id = client.submit("outside", &json!({ "how": "fails" })).await;
        let failed = client.until_status(&id, "FAILED").await;
        assert_eq!(
            failed["error"],
            json!({ "name": "Broken", "message": "as asked", "step": "Call" })
        );
        let id = client
            .submit("outside", &json!({ "how": "again", "n": 2 }))
            .await;
        let done = client.until_status(&id, "SUCCEEDED").await;
        assert_eq!(done["steps"][0]["attempt"], 2, "{done}");
    };
    tokio::select! {
        () = runtime => unreachable!("a runtime does not end"),
        () = soon("the jobs", jobs) => {}
    }
}

#[tokio::test]
async fn a_picture_that_is_none_fails_by_name() {
    let mut home = Home::new().config("samples = true");
    for name in [
        "thumbnails-inspect",
        "thumbnails-resize",
        "thumbnails-assemble",
    ] {
        home = home.sample_function(name, 1);
    }
    let server = home.start().await;
    let client = server.client();
    let bytes = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/samples/corrupt.jpg"
    ))
    .unwrap();
    let document = "mutation($size: Int!) { createUpload(name: \"corrupt.jpg\", contentType: \"image/jpeg\", size: $size) { putUrl getUrl } }";
    let place = client.data(document, json!({ "size": bytes.len() })).await;
    let put = client
        .request(Method::PUT, place["putUrl"].as_str().unwrap())
        .body(bytes)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 204);
    let id = client
        .submit("thumbnails", &json!({ "image": place["getUrl"] }))
        .await;
    let failed = client.until_status(&id, "FAILED").await;
    assert_eq!(failed["error"]["name"], "InvalidImage", "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(
        message.len() > 20 && !message.contains("errorType"),
        "{message}"
    );
    // A picture that is not there at all is another error.
    let id = client
        .submit(
            "thumbnails",
            &json!({ "image": format!("{}/files/0/none.jpg", server.url) }),
        )
        .await;
    let failed = client.until_status(&id, "FAILED").await;
    assert_ne!(failed["error"]["name"], "InvalidImage", "{failed}");
}

#[tokio::test]
async fn what_a_function_gives_is_bounded() {
    let definition = json!({ "StartAt": "Call", "States": { "Call": { "Type": "Task", "Resource": "outside", "End": true } } });
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine("outside", &definition);
    let server = home.start().await;
    let client = server.client();
    // A JSON text of exactly so many bytes has two quotes.
    let answer = |event: Value| match (event["bytes"].as_u64(), event["cause"].as_u64()) {
        (Some(bytes), _) => Ok(json!("x".repeat(bytes as usize - 2))),
        (_, cause) => {
            Err(json!({ "errorType": "Long", "errorMessage": "m".repeat(cause.unwrap() as usize) }))
        }
    };
    let runtime = attach(server.internal().to_owned(), "outside", answer);
    let jobs = async {
        let most = job::limits::RESULT_BYTES;
        let id = client.submit("outside", &json!({ "bytes": most })).await;
        client.until_status(&id, "SUCCEEDED").await;
        assert_eq!(
            client.job(&id).await["result"].as_str().unwrap().len(),
            most
        );
        let id = client
            .submit("outside", &json!({ "bytes": most + 1 }))
            .await;
        let failed = client.until_status(&id, "FAILED").await;
        assert_eq!(
            failed["error"]["name"], "States.DataLimitExceeded",
            "{failed}"
        );
        // An error that is too long is shown as far as it fits.
        let id = client
            .submit(
                "outside",
                &json!({ "cause": job::limits::ERROR_MESSAGE_BYTES + 1 }),
            )
            .await;
        let failed = client.until_status(&id, "FAILED").await;
        assert_eq!(failed["error"]["name"], "Long", "{failed}");
        let shown = failed["error"]["message"].as_str().unwrap().len();
        assert!(
            (1000..=job::limits::ERROR_MESSAGE_BYTES).contains(&shown),
            "{shown}"
        );
    };
    tokio::select! {
        () = runtime => unreachable!("a runtime does not end"),
        () = soon("the jobs", jobs) => {}
    }
}

/// A retry whose step fails at once: whatever the order in which the row of the retry and the news of the step come, the step was tried.
#[tokio::test]
async fn a_step_that_fails_again_at_once_was_tried() {
    let definition = json!({ "StartAt": "First", "States": {
        "First": { "Type": "Task", "Resource": "fails", "Next": "Second" },
        "Second": { "Type": "Task", "Resource": "fails", "End": true },
    } });
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine("failing", &definition);
    let server = home.start().await;
    let client = server.client();
    let broken = |_| Err(json!({ "errorType": "Broken", "errorMessage": "as ever" }));
    let _function = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(attach(
        server.internal().to_owned(),
        "fails",
        broken,
    )));
    let id = client.submit("failing", &json!({})).await;
    client.until_status(&id, "FAILED").await;
    let retry = "mutation($id: ID!) { retryJob(id: $id) { version } }";
    let steps = "query($id: ID!) { getJob(id: $id) { attempt steps { status attempt startedAt finishedAt } } }";
    for attempt in 2..22 {
        client.data(retry, json!({ "id": id })).await;
        let failed = |job: &Value| job["attempt"] == attempt && job["status"] == "FAILED";
        client.until(&id, failed).await;
        let job = client.data(steps, json!({ "id": id })).await;
        let [first, second] = [&job["steps"][0], &job["steps"][1]];
        assert_eq!(
            (&first["status"], &first["attempt"]),
            (&json!("FAILED"), &json!(1)),
            "{job}"
        );
        assert!(
            first["startedAt"].is_string() && first["finishedAt"].is_string(),
            "{job}"
        );
        assert_eq!(
            (&second["status"], &second["attempt"]),
            (&json!("PENDING"), &json!(0)),
            "{job}"
        );
        assert!(second["startedAt"].is_null(), "{job}");
    }
}
