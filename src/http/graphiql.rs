//! GraphiQL, with all its assets in the binary, so that it works without a network.
//! `console/graphiql/build.sh` names their sources. The page uses only its own address, so that it
//! works under any path.

use std::sync::OnceLock;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::connection::Connection;
use super::doors::GRAPHQL;

const PAGE: &str = include_str!("../../console/graphiql/index.html");
const SCRIPT: &[u8] = include_bytes!("../../console/graphiql/graphiql.js.gz");
const STYLE: &[u8] = include_bytes!("../../console/graphiql/graphiql.css.gz");

/// The page. It runs only its own scripts, connects only to this server, and no other page can
/// frame it.
pub fn page() -> Response {
    let page = (
        [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
            (REFERRER_POLICY, "no-referrer"),
            (X_FRAME_OPTIONS, "DENY"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ],
        PAGE,
    );
    let mut response = page.into_response();
    let policy = policy().clone();
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// The page's content security policy. It names its own script by the digest, so that no other
/// script runs.
fn policy() -> &'static HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    POLICY.get_or_init(|| {
        let script = PAGE
            .split_once("<script>")
            .and_then(|(_, rest)| rest.split_once("</script>"))
            .map_or("", |(script, _)| script);
        let digest = STANDARD.encode(Sha256::digest(script));
        let policy = format!(
            "default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).expect("base64 and our own text are a header's value")
    })
}

/// `/`: redirects to the page.
pub async fn home(request: Request) -> Response {
    let connection = Connection::of(request.extensions());
    let prefix = connection.map_or("", |connection| connection.served.prefix.as_str());
    let to = HeaderValue::from_str(&format!("{prefix}{GRAPHQL}"));
    let to = to.unwrap_or(HeaderValue::from_static(GRAPHQL));
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
}

/// React, graphql-ws and GraphiQL itself.
pub async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// The style sheet.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// The assets are kept only as gzip, which every browser accepts.
fn asset(kind: &'static str, bytes: &'static [u8]) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_ENCODING, "gzip"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes).into_response()
}
