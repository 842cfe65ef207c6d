//! `lambda-http`: the doors of a node behind API Gateway, for queries and mutations without a
//! server. A response is sent whole, so that subscriptions are refused: they need a node.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use lambda_http::request::RequestContext;
use lambda_http::{RequestExt, service_fn};

use super::settings::Doors;
use super::start::{self, StartError};
use crate::http::SingleRequests;
use crate::server;

/// Time allowed for the work behind an acknowledged request, such as the start of its execution.
/// AWS Lambda stops the process after the answer; the next sweep completes what was interrupted.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    start::run(2, async |variables| {
        let node = server::invoked(&variables.node(Doors::Open)?).await?;
        let resolvers = node.doors.resolvers.clone();
        let requests = Arc::new(SingleRequests::new(node.doors, node.http));
        let handler = service_fn(move |request: lambda_http::Request| {
            let (resolvers, requests) = (resolvers.clone(), Arc::clone(&requests));
            async move {
                let response = answer(&requests, request).await;
                if tokio::time::timeout(SETTLE_WITHIN, resolvers.settle())
                    .await
                    .is_err()
                {
                    tracing::warn!(
                        "the work behind a request did not end in time; the next sweep goes on"
                    );
                }
                Ok::<_, Infallible>(response)
            }
        });
        lambda_http::run(handler).await.map_err(StartError::Host)
    })
}

async fn answer(requests: &SingleRequests, request: lambda_http::Request) -> Response {
    let address = source(request.request_context_ref());
    let request = request.map(|body| match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    });
    requests.answer(address, request).await
}

/// The address of the caller, as the gateway saw it: wrong credentials are counted for it.
fn source(context: Option<&RequestContext>) -> IpAddr {
    let text = match context {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.as_deref(),
        _ => None,
    };
    let address = text.and_then(|text| text.parse().ok());
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
