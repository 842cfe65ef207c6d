//! The listeners and their addresses.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::error::ServeError;
use crate::config::{Config, usual_url};

/// Maximum number of connections that wait to be accepted. After a restart all clients connect at
/// once, and a client that the system turns away waits for a second. The system's own limit
/// (`net.core.somaxconn`) holds too.
const BACKLOG: u32 = 16_384;

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listening = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|source| ServeError::Listen { address, source })
}

pub(super) fn local(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(|source| ServeError::Io {
        what: "a listener has no address",
        source,
    })
}

/// The beginning of the addresses that are given to clients.
pub(super) fn base(config: &Config, public: SocketAddr) -> String {
    match &config.public_url {
        Some(url) => url.as_str().to_owned(),
        None => usual_url(public),
    }
}
