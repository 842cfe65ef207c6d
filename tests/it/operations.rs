//! What operators look at, and the page that a browser gets.

use serde_json::json;

use crate::kit::{Door, Home, Watch, on_job};

#[tokio::test]
async fn health_readiness_and_metrics() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    assert_eq!(client.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(client.get("/readyz").await, (200, "ready\n".to_owned()));
    let id = client.submit("wait", &json!({})).await;
    let mut watch = Watch::open(Door::TransportWs, &client, &on_job(), json!({ "id": id })).await;
    watch.event().await;
    let (status, text) = client.get("/metrics").await;
    assert_eq!(status, 200);
    // Prometheus's text format: every line is a comment or `NAME{LABELS} VALUE`.
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    for name in [
        "active_connections",
        "active_subscriptions",
        "subscribe_success",
    ] {
        let line = text.lines().find(|line| line.starts_with(name));
        assert!(
            line.is_some_and(|line| line.ends_with(" 1")),
            "{name}: {line:?}\n{text}"
        );
    }
    let (status, _) = client.get("/nothing").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn graphiql_comes_whole_from_this_server() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let browser = |path: &str| {
        client
            .request(reqwest::Method::GET, path)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    };
    let page = browser("/graphql").send().await.unwrap();
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let page = page.text().await.unwrap();
    // Everything that the page loads is beside it, below any path where a proxy puts it.
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for piece in page.split(attribute).skip(1) {
            let path = piece.split('"').next().unwrap();
            if path.starts_with("data:") || path.starts_with('#') {
                continue;
            }
            assert!(
                path.starts_with("graphql/"),
                "{path} comes from elsewhere, or is found at one path only"
            );
            let asset = client
                .request(reqwest::Method::GET, &format!("/{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(asset.status(), 200, "{path}");
            assert!(asset.bytes().await.unwrap().len() > 1000, "{path}");
            loaded += 1;
        }
    }
    assert!(loaded >= 2, "a script and a style sheet");
    // Not in its own script either; the name of the SVG language is no address.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    // The start page leads there.
    let home_page = browser("/").send().await.unwrap();
    assert_eq!(home_page.url().path(), "/graphql");
    // A query in the address is answered, not shown.
    let (status, text) = client
        .get("/graphql?query=%7B%20listJobTypes%20%7B%20name%20%7D%20%7D")
        .await;
    assert_eq!(status, 200);
    assert!(text.contains("\"pass\""), "{text}");
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_refused() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let ask = |name: &str, value: &str| {
        let request = client
            .request(reqwest::Method::POST, "/graphql")
            .header(name, value);
        request
            .json(&json!({ "query": "{ listJobTypes { name } }" }))
            .send()
    };
    let rebound = ask("host", "evil.example").await.unwrap();
    assert_eq!(rebound.status(), 421);
    let foreign = ask("origin", "https://evil.example").await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert!(foreign.text().await.unwrap().contains("allowed_origins"));
    let local = ask("origin", "http://localhost:3000").await.unwrap();
    assert_eq!(local.status(), 200);
    assert_eq!(
        local.headers()["access-control-allow-origin"],
        "http://localhost:3000"
    );
}
