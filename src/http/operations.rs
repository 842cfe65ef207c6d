//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::connection::Connection;
use super::doors::Doors;
use super::graphql::authenticate;

/// Time allowed for the store to answer a readiness check.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// Buckets of the histograms of seconds.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Whether the process is alive.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server takes work: its store answers and it is not stopping.
pub async fn readyz(State(doors): State<Doors>) -> Response {
    let unready =
        |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    if doors.stopping.is_cancelled() {
        return unready("stopping".to_owned());
    }
    match tokio::time::timeout(READY_WITHIN, doors.resolvers.store().check()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(error)) => unready(error.to_string()),
        Err(_) => unready("the job store does not answer".to_owned()),
    }
}

/// All metrics in Prometheus's text format. Where credentials are needed, an operator's or an
/// admin's.
pub async fn metrics(State(doors): State<Doors>, request: Request) -> Response {
    let connection = Connection::of(request.extensions());
    if connection.is_some_and(|connection| connection.served.guards_metrics) {
        match authenticate(&doors, request.headers(), connection).await {
            Ok(found) if found.caller.may_operate() => {}
            Ok(_) => {
                let text = "the metrics are for operators and admins, or for all callers with open_metrics = true\n";
                return (StatusCode::FORBIDDEN, text).into_response();
            }
            Err(refused) => return refused,
        }
    }
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        recorder().render(),
    )
        .into_response()
}

/// The recorder of this process. The first call installs it.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .expect("the list of buckets is not empty")
            .install_recorder()
            .expect("only this place installs a recorder")
    })
}
