//! The internal listener and web pages: nothing of it is done for a page, and everything for the programs that use it.

use serde_json::json;

use crate::kit::Home;

#[tokio::test]
async fn no_page_reaches_the_internal_listener() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let internal = server.internal();
    let invoke = "/2015-03-31/functions/noop1/invocations";
    let next = "/noop1/2018-06-01/runtime/invocation/next";
    let response =
        "/noop1/2018-06-01/runtime/invocation/019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f/response";
    let json_type = ("content-type", "application/json");
    let target = ("x-amz-target", "AWSStepFunctions.ListStateMachines");
    for (method, path, lines, expected) in [
        // As a page of another site, by DNS rebinding, and by simple requests.
        (
            "POST",
            invoke,
            vec![json_type, ("host", "rebound.evil.example")],
            421,
        ),
        (
            "POST",
            invoke,
            vec![json_type, ("origin", "https://evil.example")],
            403,
        ),
        ("POST", invoke, vec![json_type, ("origin", "null")], 403),
        (
            "POST",
            invoke,
            vec![json_type, ("sec-fetch-site", "cross-site")],
            403,
        ),
        (
            "POST",
            invoke,
            vec![json_type, ("sec-fetch-site", "same-site")],
            403,
        ),
        ("POST", invoke, vec![("content-type", "text/plain")], 415),
        (
            "POST",
            invoke,
            vec![
                ("content-type", "application/x-www-form-urlencoded"),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
        // As curl does.
        (
            "POST",
            invoke,
            vec![("content-type", "application/x-www-form-urlencoded")],
            200,
        ),
        (
            "POST",
            invoke,
            vec![("content-type", "multipart/form-data; boundary=x")],
            415,
        ),
        ("POST", invoke, vec![], 200),
        ("POST", invoke, vec![("origin", "null")], 403),
        (
            "POST",
            "/",
            vec![
                target,
                ("content-type", "application/x-amz-json-1.0"),
                ("host", "evil.example"),
            ],
            421,
        ),
        (
            "POST",
            "/",
            vec![target, ("content-type", "text/plain")],
            415,
        ),
        ("POST", "/", vec![target], 415),
        ("GET", next, vec![("sec-fetch-site", "cross-site")], 403),
        ("GET", next, vec![("origin", "https://evil.example")], 403),
        ("GET", next, vec![("host", "rebound.evil.example")], 421),
        (
            "POST",
            response,
            vec![json_type, ("origin", "https://evil.example")],
            403,
        ),
        // As programs do.
        (
            "POST",
            "/",
            vec![target, ("content-type", "application/x-amz-json-1.0")],
            200,
        ),
        (
            "POST",
            "/",
            vec![target, ("content-type", "application/json")],
            200,
        ),
        (
            "POST",
            "/",
            vec![target, json_type, ("sec-fetch-site", "none")],
            200,
        ),
        ("POST", invoke, vec![json_type], 200),
        (
            "POST",
            invoke,
            vec![("content-type", "application/octet-stream")],
            200,
        ),
        (
            "POST",
            invoke,
            vec![("authorization", "AWS4-HMAC-SHA256 Credential=x")],
            200,
        ),
        (
            "POST",
            invoke,
            vec![json_type, ("host", "localhost:1")],
            200,
        ),
        // Runtimes send what they like.
        (
            "POST",
            response,
            vec![("content-type", "application/x-www-form-urlencoded")],
            400,
        ),
    ] {
        let mut request = client.request(method.parse().unwrap(), &format!("{internal}{path}"));
        for (name, value) in &lines {
            request = request.header(*name, *value);
        }
        let answer = request.body("{}").send().await.unwrap();
        assert_eq!(answer.status(), expected, "{method} {path} {lines:?}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
    let preflight = client
        .request(reqwest::Method::OPTIONS, internal)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-amz-target");
    let answer = preflight.send().await.unwrap();
    assert!(!answer.status().is_success());
    assert!(
        !answer
            .headers()
            .contains_key("access-control-allow-headers")
    );
}

#[tokio::test]
async fn secrets_are_shown_only_where_that_is_configured() {
    let connection = "[services.connections.billing]\nallow = [\"http://127.0.0.1:9/\"]\nheaders = { authorization = \"Bearer TOPSECRET\" }\n";
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "End": true,
        "Parameters": {"ApiEndpoint": "http://127.0.0.1:9/x", "Method": "GET",
            "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:123456789012:connection/billing/x"}}});
    for (lines, reveals) in [("", false), ("[services]\nreveal_secrets = true\n", true)] {
        let home = Home::simple().config(&format!("{lines}{connection}"));
        let server = home.start().await;
        for reveal in [true, false] {
            let body = json!({"definition": state.to_string(), "roleArn": "arn:aws:iam::123456789012:role/x",
                "inspectionLevel": "TRACE", "revealSecrets": reveal});
            let request = server
                .client()
                .request(reqwest::Method::POST, server.internal())
                .header("x-amz-target", "AWSStepFunctions.TestState")
                .header("content-type", "application/x-amz-json-1.0");
            let answer = request.body(body.to_string()).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert_eq!(text.contains("TOPSECRET"), reveals && reveal, "{text}");
            if reveal && !reveals {
                assert_eq!(status, 400);
                assert!(
                    text.contains("AccessDeniedException") && text.contains("reveal_secrets"),
                    "{text}"
                );
            }
        }
    }
}
