//! The server as a client sees it: GraphQL over HTTP, one job over a WebSocket, and one job across
//! lost connections.

pub(crate) mod follow;
pub(crate) mod http;
pub(crate) mod socket;
