//! Bounds of sockets and streams; those of the protocols are in [`wire::limits`].

use std::time::Duration;

/// Maximum number of open sockets and streams of one node. Beyond it an upgrade is answered 503,
/// after which every client tries again.
pub const CONNECTIONS: usize = 100_000;
/// Maximum number of open sockets and streams of one caller.
pub const CONNECTIONS_PER_CALLER: usize = 1_000;
/// Time allowed for the executor to check credentials; after it the client is asked to try again.
pub const AUTHORIZE: Duration = Duration::from_secs(8);
/// Maximum time during which a reader takes nothing; after it the socket is closed. The client
/// connects again and receives the newest state.
pub const STALLED: Duration = Duration::from_secs(60);
/// Bytes queued for one socket at which the driver stops reading from it and taking deliveries.
pub const OUTBOX_BYTES: usize = 64 * 1024;
/// Minimum size of a payload that is written without a copy. A smaller one is copied, so that all
/// queued messages leave in one write.
pub const UNCOPIED_BYTES: usize = 4 * 1024;
/// Maximum lifetime of a connection (AppSync: 24 h).
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Maximum random time by which a lifetime is shortened.
pub const LIFETIME_JITTER: Duration = Duration::from_secs(60 * 60);
/// Maximum number of running futures of one socket, those of stopped operations included, at which
/// the driver stops reading from it.
pub const PENDING: usize = 2 * wire::limits::SUBSCRIPTIONS;
/// Maximum size of one event's payload (AppSync: 240 KB). A larger one ends the operation with an
/// error that names the limit.
pub const EVENT_BYTES: usize = 240 * 1024;
/// Time of silence after which a stream over HTTP sends a keep-alive.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Period of the pings that find dead peers.
pub const PING: Duration = Duration::from_secs(30);
/// Time within which a drain closes all connections, each at a random moment.
pub const DRAIN_SPREAD: Duration = Duration::from_secs(3);
/// Time allowed for a closed socket to read its close frame.
pub const CLOSING: Duration = Duration::from_secs(2);
