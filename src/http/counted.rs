//! Counts the requests to `/graphql`, under AppSync's metric names in snake case. Sockets and
//! streams are counted by the sessions; only the beginning of an upgrade or a stream is measured
//! here.

use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

/// Handles to the metrics.
struct Metrics {
    requests: Counter,
    /// AppSync's `4XXError`.
    client_error: Counter,
    /// AppSync's `5XXError`.
    server_error: Counter,
    latency: Histogram,
}

fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics {
        requests: counter!("requests"),
        client_error: counter!("_4xx_error"),
        server_error: counter!("_5xx_error"),
        latency: histogram!("latency_seconds"),
    })
}

/// The layer of the GraphQL routes.
pub async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    answered(began, response.status());
    response
}

/// Counts one request that began at this time.
pub(super) fn answered(began: Instant, status: StatusCode) {
    let metrics = metrics();
    metrics.requests.increment(1);
    metrics.latency.record(began.elapsed());
    match status {
        status if status.is_server_error() => metrics.server_error.increment(1),
        status if status.is_client_error() => {
            metrics.client_error.increment(1);
        }
        _ => {}
    }
}
