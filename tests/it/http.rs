//! HTTP to the letter at the public listener: what clients, browsers and proxies send, and what
//! they must get.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::access;
use crate::kit::{Client, Home, Server, soon};

/// Sends bytes and reads the head of the answer and what of the body comes with it.
async fn raw(server: &Server, request: &str) -> String {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            if socket.read_buf(&mut answer).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    soon("an answer", reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1);
    code.and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("{answer:?} is no answer"))
}

#[tokio::test]
async fn offers_of_other_protocols_are_ignored() {
    let home = Home::simple();
    let server = home.start().await;
    let body = r#"{"query":"{ __typename }"}"#;
    for offer in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.2, HTTP/2.0\r\n",
        "Upgrade: h2c\r\n",
        "",
    ] {
        let post = format!(
            "POST /graphql HTTP/1.1\r\nHost: localhost\r\n{offer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let get = |accept: &str| {
            format!(
                "GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: localhost\r\n{offer}Accept: {accept}\r\n\r\n"
            )
        };
        let asset = format!("GET /graphql/graphiql.css HTTP/1.1\r\nHost: localhost\r\n{offer}\r\n");
        for request in [
            post,
            get("application/json"),
            get("text/event-stream"),
            asset,
        ] {
            assert_eq!(status(&raw(&server, &request).await), 200, "{request}");
        }
    }
    // An offer of WebSocket among others is taken.
    let upgrade = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    assert_eq!(status(&raw(&server, upgrade).await), 101);
}

#[tokio::test]
async fn requests_that_are_not_well_formed() {
    let home = Home::simple();
    let server = home.start().await;
    // What is over the limit may be noticed a little later.
    let long = "x".repeat(jobcast::http::HEAD_BYTES + 1_000);
    let post = |lines: &str, body: &str| {
        format!(
            "POST /graphql HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n{body}"
        )
    };
    for (request, expected) in [
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET /healthz HTTP/1.1\r\nHost: \r\n\r\n".to_owned(), 421),
        (
            "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            421,
        ),
        (
            "GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            200,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}{long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET /healthz?{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            414,
        ),
        (
            "DELETE /graphql HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            405,
        ),
        (
            "DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            405,
        ),
        (
            "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            404,
        ),
        (
            post("Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}"),
            415,
        ),
        (post("Content-Length: 2\r\n", "{}"), 415),
        (
            post(
                "Content-Type: application/json; charset=latin1\r\nContent-Length: 2\r\n",
                "{}",
            ),
            415,
        ),
        (post("Content-Type: application/json\r\n", ""), 400),
        (
            post(
                "Content-Type: application/json\r\nAccept: image/png\r\nContent-Length: 2\r\n",
                "{}",
            ),
            406,
        ),
    ] {
        let answer = raw(&server, &request).await;
        let first = &request[..request.len().min(120)];
        assert_eq!(status(&answer), expected, "{first}\n{answer}");
        if expected == 405 {
            assert!(
                answer.to_ascii_lowercase().contains("\r\nallow: "),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_head_is_asked_for_at_each_door_of_get() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for (path, accept) in [
        ("/graphql?query=%7B__typename%7D", "application/json"),
        (
            "/graphql?query=%7B__typename%7D",
            "application/graphql-response+json",
        ),
        ("/graphql", "text/html"),
        (
            "/graphql?query=subscription%7BonJobs%7Bkind%7D%7D",
            "text/event-stream",
        ),
        (
            "/graphql?query=subscription%7BonJobs%7Bkind%7D%7D",
            "multipart/mixed;subscriptionSpec=1.0",
        ),
        ("/graphql/graphiql.js", "*/*"),
        ("/healthz", "*/*"),
        ("/readyz", "*/*"),
        ("/metrics", "*/*"),
    ] {
        let ask = |method: Method| client.request(method, path).header("accept", accept).send();
        let head = soon("a head", ask(Method::HEAD)).await.unwrap();
        let get = soon("an answer", ask(Method::GET)).await.unwrap();
        assert_eq!(head.status(), get.status(), "{path} {accept}");
        let kind = |headers: &reqwest::header::HeaderMap| headers.get("content-type").cloned();
        assert_eq!(kind(head.headers()), kind(get.headers()), "{path} {accept}");
        let body = soon("the end of a head", head.bytes()).await.unwrap();
        assert!(body.is_empty(), "{path} {accept}");
    }
    // Nothing is changed by it.
    let query = "/graphql?query=mutation%7BsubmitJob(input:%7Btype:%22pass%22%7D)%7Bid%7D%7D";
    let head = client.request(Method::HEAD, query).send().await.unwrap();
    assert_eq!(head.status(), 405);
    let page = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn pages_of_other_origins() {
    let home = Home::simple().config("allowed_origins = [\"https://app.example.com\"]");
    let server = home.start().await;
    let client = server.client();
    let origin = "https://app.example.com";
    // What the usual clients and their tracing send.
    for names in [
        "content-type",
        "authorization,content-type,x-amz-user-agent,x-api-key",
        "apollographql-client-name,apollographql-client-version,apollo-require-preflight,x-apollo-operation-name,content-type",
        "baggage,content-type,sentry-trace,traceparent,tracestate",
        "last-event-id,x-requested-with",
        "x-amz-date,x-amz-security-token,x-amz-content-sha256",
        "x-csrf-token,graphql-preflight",
    ] {
        for path in ["/graphql", "/graphql/realtime", "/files/a/b"] {
            let request = client
                .request(Method::OPTIONS, path)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", names);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 204);
            let headers = answer.headers();
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            assert_eq!(text("access-control-allow-headers"), names);
            assert_eq!(text("access-control-allow-origin"), origin);
            assert_eq!(text("access-control-allow-credentials"), "true");
            assert_eq!(text("access-control-max-age"), "86400");
            for method in ["GET", "HEAD", "POST", "PUT"] {
                assert!(text("access-control-allow-methods").contains(method));
            }
        }
    }
    // What an error says in its headers can be read; caches keep the answers apart.
    let refused = client
        .request(Method::POST, "/graphql")
        .header("origin", origin);
    let refused = refused.json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let exposed = refused.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    for name in ["x-amzn-errortype", "retry-after", "content-range", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(refused.headers().contains_key("x-amzn-errortype"));
    for with in [true, false] {
        let mut request = client.request(Method::GET, "/graphql?query=%7B__typename%7D");
        if with {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
        assert!(vary.iter().any(|vary| *vary == "origin"), "{vary:?}");
        assert!(vary.iter().any(|vary| *vary == "accept"), "{vary:?}");
    }
    for origin in ["null", "https://evil.example", "http://localhost:3000"] {
        let request = client
            .request(Method::OPTIONS, "/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_page_without_an_origin_starts_nothing() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let mutation = "/graphql?query=mutation%7BsubmitJob(input:%7Btype:%22pass%22%7D)%7Bid%7D%7D";
    for accept in [
        "application/json",
        "text/html,*/*;q=0.8",
        "text/event-stream",
        "multipart/mixed;subscriptionSpec=\"1.0\"",
        "*/*",
    ] {
        for (site, expected) in [
            (None, 405),
            (Some("cross-site"), 403),
            (Some("same-site"), 403),
        ] {
            let mut request = client
                .request(Method::GET, mutation)
                .header("accept", accept);
            if let Some(site) = site {
                request = request
                    .header("sec-fetch-site", site)
                    .header("sec-fetch-mode", "no-cors");
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), expected, "{accept} {site:?}");
            if expected == 405 {
                assert_eq!(answer.headers()["allow"], "POST", "{accept}");
            }
        }
    }
    let page = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn graphiql_trusts_nobody() {
    let home = Home::simple();
    let server = home.start().await;
    let page = server
        .client()
        .request(Method::GET, "/graphql")
        .header("accept", "text/html");
    let page = page.send().await.unwrap();
    let headers = page.headers();
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self' 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("'unsafe-eval'") && !policy.contains('*'),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

/// Asks as a proxy does that takes the path of the public address away, and as one that hands it
/// on.
async fn behind(client: &Client, path: &str) -> [reqwest::Response; 2] {
    let ask = async |path: &str| {
        let request = client
            .request(Method::GET, path)
            .header("host", "jobs.example.com")
            .header("x-forwarded-host", "evil.example")
            .header("forwarded", "host=evil.example;proto=http")
            .header("accept", "text/html");
        request.send().await.unwrap()
    };
    [ask(path).await, ask(&format!("/jobs{path}")).await]
}

#[tokio::test]
async fn one_setting_is_enough_behind_a_proxy() {
    let home = access::home().config_before("public_url = \"https://jobs.example.com/jobs/\"");
    let server = home.start().await;
    let client = server.client().without_redirects().with_key("ann-key");
    for answer in behind(&client, "/").await {
        assert_eq!(answer.status(), 307);
        assert_eq!(answer.headers()["location"], "/jobs/graphql");
    }
    for path in ["/graphql", "/graphql/graphiql.js", "/healthz"] {
        for answer in behind(&client, path).await {
            assert_eq!(answer.status(), 200, "{path}");
        }
    }
    for answer in behind(&client, "/nothing").await {
        assert_eq!(answer.status(), 404);
    }
    let document = "mutation { createUpload(name: \"söt.txt\", contentType: \"text/plain\", size: 3) { putUrl getUrl } }";
    let place = client.data(document, json!({})).await;
    let [put, get] = ["putUrl", "getUrl"].map(|name| {
        let url = place[name].as_str().unwrap();
        let inner = url.strip_prefix("https://jobs.example.com/jobs/files/");
        inner.unwrap_or_else(|| panic!("{url}")).to_owned()
    });
    for prefix in ["/files/", "/jobs/files/"] {
        let stored = client
            .request(Method::PUT, &format!("{prefix}{put}"))
            .body("abc");
        assert_eq!(stored.send().await.unwrap().status(), 204);
        let (status, text) = client.get(&format!("{prefix}{get}")).await;
        assert_eq!((status, text.as_str()), (200, "abc"));
    }
    // The page of the public address is the server's own, with any Host of the proxy's request.
    let request = client
        .request(Method::POST, "/graphql")
        .header("host", "127.0.0.1:1")
        .header("origin", "https://jobs.example.com");
    let answer = request
        .json(&json!({ "query": "{ __typename }" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    // A socket finds both ways too.
    for path in ["/graphql", "/jobs/graphql", "/jobs/graphql/realtime"] {
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: jobs.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        );
        assert_eq!(status(&raw(&server, &upgrade).await), 101, "{path}");
    }
}

#[tokio::test]
async fn streams_are_not_held_back_on_the_way() {
    let home = Home::simple();
    let server = home.start().await;
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let request = server
            .client()
            .request(Method::POST, "/graphql")
            .header("accept", accept)
            .json(&json!({ "query": "subscription { onJobs { kind } }" }));
        let answer = soon("a head", request.send()).await.unwrap();
        assert_eq!(answer.headers()["x-accel-buffering"], "no", "{accept}");
        assert_eq!(
            answer.headers()["cache-control"],
            "no-cache, no-transform",
            "{accept}"
        );
    }
}

#[tokio::test]
async fn metrics_are_for_operators_where_there_are_keys() {
    let home = access::home();
    let server = home.start().await;
    let client = server.client();
    for (key, expected) in [
        (None, 401),
        (Some("nobodys"), 401),
        (Some("vera-key"), 403),
        (Some("ann-key"), 403),
        (Some("paul-key"), 403),
        (Some("olga-key"), 200),
        (Some("adam-key"), 200),
    ] {
        let with_key = key.map_or(client.clone(), |key| client.with_key(key));
        assert_eq!(with_key.get("/metrics").await.0, expected, "{key:?}");
        // As Prometheus sends it.
        let bearer = key.map_or(client.clone(), |key| client.with_token(key));
        assert_eq!(bearer.get("/metrics").await.0, expected, "{key:?}");
    }
    let home = access::home().config_before("open_metrics = true");
    let server = home.start().await;
    assert_eq!(server.client().get("/metrics").await.0, 200);
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_and_show_in_the_log() {
    let home = access::home();
    let server = home.start().await;
    let (stranger, ann) = (
        server.client().with_key("guess"),
        server.client().with_key("ann-key"),
    );
    let query = json!({ "query": "{ __typename }" });
    let mut braked = None;
    for _ in 0..=jobcast::http::brake::AT_ONCE * 3 {
        let request = stranger.request(Method::POST, "/graphql").json(&query);
        let answer = soon("an answer", request.send()).await.unwrap();
        if answer.status() != 401 {
            braked = Some(answer);
            break;
        }
    }
    let braked = braked.expect("too many wrong keys are slowed down");
    assert_eq!(braked.status(), 429);
    assert_eq!(braked.headers()["retry-after"], "1");
    // Others at the same address are not.
    assert_eq!(
        ann.ask("{ __typename }", json!({})).await["data"]["__typename"],
        "Query"
    );
    let log = home.log();
    assert_eq!(
        log.matches("wrong credentials were refused").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("guess"));
}

#[tokio::test]
async fn too_many_submits_have_a_status_of_their_own() {
    let home = Home::simple().config("[limits]\nsubmits_per_second = 1");
    let server = home.start().await;
    let client = server.client();
    let batch =
        "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } } }";
    let inputs = json!({ "inputs": vec![json!({ "type": "pass" }); 100] });
    let request = |accept: &str| {
        client
            .request(Method::POST, "/graphql")
            .header("accept", accept)
            .json(&json!({ "query": batch, "variables": inputs }))
    };
    client.data(batch, inputs.clone()).await;
    for accept in ["application/json", "application/graphql-response+json"] {
        let answer = request(accept).send().await.unwrap();
        assert_eq!(answer.status(), 429, "{accept}");
        let seconds: u64 = answer.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=100).contains(&seconds), "{seconds}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("too many jobs at once"), "{text}");
    }
}
