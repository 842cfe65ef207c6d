//! GraphiQL, with all its assets in the binary: it works without a network. `console/graphiql/build.sh` says where they come from.

use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};

const PAGE: &str = include_str!("../../console/graphiql/index.html");
const SCRIPT: &[u8] = include_bytes!("../../console/graphiql/graphiql.js.gz");
const STYLE: &[u8] = include_bytes!("../../console/graphiql/graphiql.css.gz");

/// The page.
pub fn page() -> Response {
    (
        [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-cache"),
        ],
        PAGE,
    )
        .into_response()
}

/// `/`: leads to the page.
pub async fn home() -> Redirect {
    Redirect::temporary("/graphql")
}

/// React, graphql-ws and GraphiQL itself.
pub async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// The style sheet.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// Every browser takes gzip; the assets are kept in no other form.
fn asset(kind: &'static str, bytes: &'static [u8]) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_ENCODING, "gzip"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes).into_response()
}
