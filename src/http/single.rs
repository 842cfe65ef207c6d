//! The doors for a host that hands over one request at a time, without connections: AWS Lambda
//! behind API Gateway. Everything holds as at the public listener but what needs a connection: a
//! request for a stream or a WebSocket is refused.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower::Service;

use super::connection::{Connection, Served};
use super::doors::Doors;
use super::graphql::no_stream;
use super::listener::inside;
use super::negotiation::{AnswerFormat, answer_format};
use super::{REALTIME, Settings, router};
use crate::peers::{Peers, SHARE_OF_AN_ADDRESS};
use crate::session;

/// Answers single requests.
#[derive(Debug)]
pub struct SingleRequests {
    router: Router,
    served: Arc<Served>,
    peers: Arc<Peers>,
}

impl SingleRequests {
    /// Answers at these doors.
    #[must_use]
    pub fn new(doors: Doors, settings: Settings) -> Self {
        let served = Served {
            times: settings.times,
            prefix: settings.prefix,
            guards_metrics: settings.guards_metrics,
            ..Served::default()
        };
        let slots = settings.slots;
        Self {
            router: router(doors, Arc::new(settings.guard)),
            served: Arc::new(served),
            peers: Peers::new(
                slots,
                settings.per_address.unwrap_or(slots / SHARE_OF_AN_ADDRESS),
            ),
        }
    }

    /// Answers a request that was sent from this address.
    pub async fn answer(&self, address: IpAddr, request: Request<Body>) -> Response {
        let mut request = inside(&self.served.prefix, request);
        let streams = matches!(
            answer_format(request.headers()),
            Some(AnswerFormat::EventStream | AnswerFormat::Multipart)
        );
        let path = request.uri().path();
        if path == REALTIME || streams || session::offers_websocket(request.headers()) {
            return no_stream();
        }
        if let Some(peer) = self.peers.admit(address) {
            let served = Arc::clone(&self.served);
            Connection { peer, served }.goes_with(request.extensions_mut());
        }
        let answering = self.router.clone().call(request);
        answering.await.unwrap_or_else(|never| match never {})
    }
}
