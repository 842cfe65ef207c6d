//! Callers of the internal listener: no web page; every program of this machine, or only those that
//! show the secret of this start.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::json;

use crate::kit::{Client, Home};

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

/// The status of a request of the internal listener, and its text.
async fn ask(url: &str, target: &str, lines: &[(&str, &str)]) -> (u16, String) {
    let client = Client::new(url);
    let request = match target {
        "states" => client
            .request(Method::POST, url)
            .header("x-amz-target", "AWSStepFunctions.ListStateMachines")
            .header("content-type", "application/x-amz-json-1.0"),
        "invoke" => client
            .request(
                Method::POST,
                &format!("{url}/2015-03-31/functions/noop1/invocations"),
            )
            .header("content-type", "application/json"),
        // An invocation that is not there: the answer of a runtime that is let in.
        "runtime" => client.request(
            Method::POST,
            &format!("{url}/noop1/2018-06-01/runtime/invocation/1/response"),
        ),
        _ => panic!("{target}"),
    };
    let request = lines.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let answer = request.body("{}").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn signed_with(key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=00"
    )
}

#[tokio::test]
async fn the_secret_of_this_start_is_required_where_there_is_authentication_or_the_setting_says_so()
{
    let keys = "[[auth.api_keys]]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsubject = \"a\"\nroles = [\"viewer\"]\n";
    for (lines, required) in [
        (String::new(), false),
        ("internal_secret_required = true\n".to_owned(), true),
        (keys.to_owned(), true),
        (format!("internal_secret_required = false\n{keys}"), false),
    ] {
        let home = Home::simple().config(&lines);
        let server = home.start().await;
        let secret = home.internal_secret();
        let plain = server
            .internal()
            .trim_end_matches(&secret)
            .trim_end_matches('/');
        let with_path = format!("{plain}/{secret}");
        let (bearer, key) = (format!("Bearer {secret}"), signed_with(&secret));
        let (wrong, dummy) = (format!("Bearer {secret}0"), signed_with("111111111111"));
        let wrong_path = format!("{plain}/{}", "0".repeat(secret.len()));
        for (target, admitted) in [("states", 200), ("invoke", 200), ("runtime", 400)] {
            for (url, authorization) in [
                (with_path.as_str(), None),
                (plain, Some(&bearer)),
                (plain, Some(&key)),
                (&with_path, Some(&dummy)),
            ] {
                let lines: Vec<_> = authorization
                    .map(|value| ("authorization", value.as_str()))
                    .into_iter()
                    .collect();
                let (status, text) = ask(url, target, &lines).await;
                assert_eq!(status, admitted, "{lines:?} {target}: {text}");
            }
            for authorization in [None, Some(&wrong), Some(&dummy)] {
                let lines: Vec<_> = authorization
                    .map(|value| ("authorization", value.as_str()))
                    .into_iter()
                    .collect();
                let (status, text) = ask(plain, target, &lines).await;
                let expected = if required { 403 } else { admitted };
                assert_eq!(status, expected, "{lines:?} {target}: {text}");
                assert!(!required || text.contains("internal.key"), "{text}");
                assert!(!text.contains(&secret), "{text}");
            }
            // The secret opens nothing for a page.
            let (status, _) = ask(&with_path, target, &[("origin", "https://evil.example")]).await;
            assert_eq!(status, 403);
        }
        if required {
            let (status, text) = ask(&wrong_path, "runtime", &[]).await;
            assert_eq!(status, 403, "{text}");
        }
        assert!(!home.log().contains(&secret));
    }
}

#[tokio::test]
async fn the_secret_is_another_one_at_each_start_and_its_owner_s_alone() {
    let home = Home::simple().config("internal_secret_required = true\n");
    let server = home.start().await;
    let first = home.internal_secret();
    let about = std::fs::metadata(home.path("data/internal.key")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    drop(server);
    let server = home.start().await;
    assert_ne!(home.internal_secret(), first);
    let stale = format!("{}/{first}", server.internal());
    assert_eq!(ask(&stale, "invoke", &[]).await.0, 403);
}
