//! Functions over the Lambda Runtime API: one that runs outside and attaches, and the samples on a
//! picture that is none.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, Home, soon};

/// The runtime of a function that lives in this test: answers one invocation after the other with
/// what `answer` gives.
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
    // A proxy that is not there: what is on this machine is asked without it.
    let mut home = Home::new()
        .config("samples = true")
        .variable("HTTP_PROXY", "http://127.0.0.1:9")
        .variable("http_proxy", "http://127.0.0.1:9");
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
        "/samples/files/corrupt.jpg"
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
    // A JSON text of exactly this many bytes has two quotes.
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

/// A retry whose step fails at once: in either order of the row of the retry and the event of the
/// step, the step was tried.
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

/// How a process of the test's own function begins and what its process does: this binary again,
/// with a variable set.
const MARK: &str = "TEST_PROCESS";

fn own_function(mark: &str) -> Vec<String> {
    let own = std::env::current_exe().unwrap();
    let script = format!("{MARK}='{mark}' exec \"$0\" \"$@\"");
    let words = [
        "sh",
        "-c",
        &script,
        own.to_str().unwrap(),
        "--exact",
        "functions::process",
        "--nocapture",
    ];
    words.map(str::to_owned).to_vec()
}

/// Not a test: what a function's process runs.
#[test]
fn process() {
    let Ok(mark) = std::env::var(MARK) else {
        return;
    };
    let hang = || -> ! {
        loop {
            std::thread::park();
        }
    };
    if mark == "session" {
        rustix::process::setsid().unwrap();
        hang();
    }
    let write = |name: &str, pid: u32| std::fs::write(name, pid.to_string()).unwrap();
    let child = || {
        let words = own_function("session");
        let child = std::process::Command::new(&words[0])
            .args(&words[1..])
            .spawn();
        let pid = child.unwrap().id();
        write("child", pid);
    };
    if mark == "hangs" {
        child();
        write("own", std::process::id());
        hang();
    }
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::new(&format!("http://{api}"));
        let base = format!("http://{api}/2018-06-01/runtime/invocation");
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
            let event: Value = next.json().await.unwrap();
            match event["do"].as_str() {
                Some("exit") => std::process::exit(1),
                Some("child") => child(),
                Some("print") => println!("the event is {event}"),
                _ => {}
            }
            let (place, body) = if event["do"] == "report" {
                let job = &event["job"];
                let document = "mutation($id: ID!) { reportProgress(input: { id: $id, message: \"at work\" }) { id } }";
                let own = Client::new(job["reportUrl"].as_str().unwrap().strip_suffix("/graphql").unwrap());
                let token = job["reportToken"].as_str().unwrap();
                let said = own.with_token(token).ask(document, json!({ "id": job["id"] })).await;
                let name = if said["errors"].is_null() { "Reported" } else { "Refused" };
                ("error", json!({ "errorType": name, "errorMessage": said.to_string() }))
            } else {
                ("response", json!({}))
            };
            let answer = client
                .request(Method::POST, &format!("{base}/{id}/{place}"))
                .json(&body)
                .send();
            assert_eq!(answer.await.unwrap().status(), 202);
        }
    });
}

fn one_task(function: &str) -> Value {
    json!({ "StartAt": "Call", "States": { "Call": { "Type": "Task", "Resource": function, "End": true } } })
}

/// Waits for a process's number in a file below the home.
async fn number_in(home: &Home, name: &str) -> rustix::process::Pid {
    let read = async {
        loop {
            let text = std::fs::read_to_string(home.path(name)).unwrap_or_default();
            match text.parse().ok().and_then(rustix::process::Pid::from_raw) {
                Some(pid) => return pid,
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    soon("a process that says its number", read).await
}

async fn until_gone(pid: rustix::process::Pid) {
    let gone = async {
        while rustix::process::test_kill_process(pid).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon("the end of a process", gone).await;
}

fn of_own(mark: &str) -> Home {
    let words = own_function(mark);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Home::simple()
        .machine("own", &one_task("own"))
        .function("own", &words, 1)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn children_end_with_their_process_also_in_a_session_of_their_own() {
    let home = of_own("works");
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("own", &json!({ "do": "child" })).await;
    client.until_status(&id, "SUCCEEDED").await;
    let child = number_in(&home, "child").await;
    assert!(
        rustix::process::test_kill_process(child).is_ok(),
        "it lives as long as the process"
    );
    let id = client.submit("own", &json!({ "do": "exit" })).await;
    let failed = client.until_status(&id, "FAILED").await;
    assert_eq!(failed["error"]["name"], "Runtime.ExitError", "{failed}");
    until_gone(child).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_is_left_of_a_killed_server() {
    let home = of_own("hangs");
    let server = home.start().await;
    let (child, own) = (
        number_in(&home, "child").await,
        number_in(&home, "own").await,
    );
    server.kill().await;
    until_gone(own).await;
    until_gone(child).await;
}

#[tokio::test]
async fn what_a_function_prints_holds_no_token() {
    let home = of_own("works");
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("own", &json!({ "do": "print" })).await;
    client.until_status(&id, "SUCCEEDED").await;
    let printed = async {
        while !home.log().contains("the event is") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon("the output of a function", printed).await;
    assert!(
        home.log().contains("\"reportToken\":\"hidden\""),
        "{}",
        home.log()
    );
    assert!(!home.log().contains("jc1."), "{}", home.log());
}

#[tokio::test]
async fn a_function_that_cannot_start_is_explained_in_the_jobs_error() {
    let missing = "echo \"No module named awslambdaric\" >&2; exit 1";
    let home = Home::simple()
        .machine("none", &one_task("none"))
        .machine("lacks", &one_task("lacks"))
        .function("none", &["/no/such/program"], 1)
        .function("lacks", &["sh", "-c", missing], 1);
    let server = home.start().await;
    let client = server.client();
    for (job_type, name, words) in [
        (
            "none",
            "Runtime.InvalidEntrypoint",
            "check command in [functions.none]",
        ),
        ("lacks", "Runtime.ExitError", "No module named awslambdaric"),
    ] {
        let id = client.submit(job_type, &json!({})).await;
        let failed = client.until_status(&id, "FAILED").await;
        assert_eq!(failed["error"]["name"], name, "{failed}");
        assert!(
            failed["error"]["message"].as_str().unwrap().contains(words),
            "{failed}"
        );
        assert!(home.log().contains(words), "{}", home.log());
    }
}

#[tokio::test]
async fn a_function_may_report_as_soon_as_its_attempt_begins() {
    let home = of_own("works");
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("own", &json!({ "do": "report" })).await;
    for attempt in 1..=5 {
        let failed = client.until_status(&id, "FAILED").await;
        assert_eq!(
            (&failed["error"]["name"], &failed["attempt"]),
            (&json!("Reported"), &json!(attempt)),
            "{failed}"
        );
        let progress = failed["message"].as_str().map(str::to_owned);
        assert_eq!(progress.as_deref(), Some("at work"), "{failed}");
        client
            .data(
                "mutation($id: ID!) { retryJob(id: $id) { id } }",
                json!({ "id": id }),
            )
            .await;
    }
}

#[tokio::test]
async fn a_redriven_attempt_reports_with_a_token_of_its_own() {
    // The function is called, and then the job waits, so that reports are judged in an attempt that
    // goes on.
    let machine = |call: Value| {
        let mut call = call;
        call["Type"] = "Task".into();
        call["ResultPath"] = Value::Null;
        call["Next"] = "Ask".into();
        json!({ "StartAt": "Call", "States": { "Call": call, "Ask": {
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": { "FunctionName": "noop1", "Payload": {} }, "End": true } } })
    };
    let nested = json!({ "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {
        "FunctionName": "outside",
        "Payload": { "job.$": "$.job", "text.$": "States.JsonToString($.job)" } } });
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine("plain", &machine(json!({ "Resource": "outside" })))
        .machine("nested", &machine(nested));
    let server = home.start().await;
    let client = server.client();
    let tokens = std::sync::Mutex::new(Vec::new());
    // The first two attempts fail.
    let answer = |event: Value| {
        let token = event["job"]["reportToken"].as_str().unwrap().to_owned();
        if let Some(text) = event["text"].as_str() {
            assert!(text.contains(&token), "{event}");
        }
        let mut tokens = tokens.lock().unwrap();
        tokens.push(token);
        if tokens.len() < 3 {
            return Err(json!({ "errorType": "E", "errorMessage": "again" }));
        }
        Ok(json!({}))
    };
    let runtime = attach(server.internal().to_owned(), "outside", answer);
    let jobs = async {
        for job_type in ["plain", "nested"] {
            tokens.lock().unwrap().clear();
            let id = client.submit(job_type, &json!({})).await;
            for attempt in 1..=2 {
                let failed = client.until_status(&id, "FAILED").await;
                assert_eq!(failed["attempt"], attempt, "{failed}");
                client
                    .data(
                        "mutation($id: ID!) { retryJob(id: $id) { id } }",
                        json!({ "id": id }),
                    )
                    .await;
            }
            client.until_status(&id, "WAITING").await;
            let tokens = tokens.lock().unwrap().clone();
            let expected = [Some("StaleAttempt"), Some("StaleAttempt"), None];
            assert_eq!(tokens.len(), expected.len(), "{tokens:?}");
            for (token, expected) in tokens.iter().zip(expected) {
                report_is_answered_with(&client, token, &id, expected).await;
            }
        }
    };
    tokio::select! {
        () = runtime => unreachable!("a runtime does not end"),
        () = soon("the jobs", jobs) => {}
    }
}

#[tokio::test]
async fn a_job_follows_an_execution_that_is_redriven_through_the_step_functions_api() {
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine(
            "plain",
            &json!({ "StartAt": "Call", "States": {
                "Call": { "Type": "Task", "Resource": "outside", "ResultPath": null, "Next": "Ask" },
                "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                    "Parameters": { "FunctionName": "noop1", "Payload": {} }, "End": true } } }),
        );
    let server = home.start().await;
    let client = server.client();
    let tokens = std::sync::Mutex::new(Vec::new());
    // The first three attempts fail.
    let answer = |event: Value| {
        let mut tokens = tokens.lock().unwrap();
        tokens.push(event["job"]["reportToken"].as_str().unwrap().to_owned());
        if tokens.len() < 4 {
            return Err(json!({ "errorType": "E", "errorMessage": "again" }));
        }
        Ok(json!({}))
    };
    let runtime = attach(server.internal().to_owned(), "outside", answer);
    let job = async {
        let id = client.submit("plain", &json!({})).await;
        let arn = format!("arn:aws:states:us-east-1:000000000000:execution:plain:{id}");
        let failed_in = async |attempt: u32| loop {
            let job = client.until_status(&id, "FAILED").await;
            if job["attempt"] == attempt {
                return;
            }
            tokio::task::yield_now().await;
        };
        failed_in(1).await;
        // Redriven by hand, by a retry, and by hand again: the counts never part.
        for attempt in [2, 3, 4] {
            if attempt == 3 {
                let retry = "mutation($id: ID!) { retryJob(id: $id) { id } }";
                client.data(retry, json!({ "id": id })).await;
            } else {
                let redrive = client
                    .request(Method::POST, server.internal())
                    .header("x-amz-target", "AWSStepFunctions.RedriveExecution")
                    .header("content-type", "application/x-amz-json-1.0")
                    .body(json!({ "executionArn": arn }).to_string());
                assert_eq!(redrive.send().await.unwrap().status(), 200);
            }
            if attempt < 4 {
                failed_in(attempt).await;
            }
        }
        let waiting = client.until_status(&id, "WAITING").await;
        assert_eq!(waiting["attempt"], 4, "{waiting}");
        let tokens = tokens.lock().unwrap().clone();
        assert_eq!(tokens.len(), 4);
        for (index, token) in tokens.iter().enumerate() {
            let expected = (index < 3).then_some("StaleAttempt");
            report_is_answered_with(&client, token, &id, expected).await;
        }
    };
    tokio::select! {
        () = runtime => unreachable!("a runtime does not end"),
        () = soon("the job", job) => {}
    }
}

/// Reports with a token: the code of the refusal is `expected`, `None` if the report is accepted.
async fn report_is_answered_with(client: &Client, token: &str, id: &str, expected: Option<&str>) {
    let report = "mutation($id: ID!) { reportProgress(input: { id: $id, progress: 7 }) { id } }";
    let answer = client
        .with_token(token)
        .ask(report, json!({ "id": id }))
        .await;
    let refused = crate::kit::code_of(&answer).map(|(code, _)| code);
    assert_eq!(refused.as_deref(), expected, "{answer}");
}
