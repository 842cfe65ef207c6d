//! The server as a client sees it: GraphQL over HTTP, one job over a WebSocket, one job across lost
//! connections, and the errors of all of them.

pub(crate) mod error;
pub(crate) mod follow;
pub(crate) mod http;
pub(crate) mod socket;
