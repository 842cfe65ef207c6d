//! Counts under AppSync's metric names in snake case. The exporter is chosen elsewhere; the
//! recorder must be installed before [`super::Sessions::new`].

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::realtime::hub::Delivery;

/// The number of deliveries of one event that are all measured.
const MEASURED: u32 = 16;
/// After [`MEASURED`] deliveries of an event, one of this number is measured: a histogram entry
/// costs more than a small part of a delivery.
const MEASURED_OF: u32 = 16;

/// Bytes per counted message (AppSync: 5 kB).
const OUTBOUND_BYTES: usize = 5_000;

/// Handles to the metrics. A look-up by name for each delivery would be too slow.
pub(crate) struct Metrics {
    pub(crate) connect_success: Counter,
    pub(crate) connect_client_error: Counter,
    pub(crate) connect_server_error: Counter,
    pub(crate) disconnect_success: Counter,
    pub(crate) disconnect_client_error: Counter,
    pub(crate) disconnect_server_error: Counter,
    pub(crate) subscribe_success: Counter,
    pub(crate) subscribe_client_error: Counter,
    pub(crate) subscribe_server_error: Counter,
    pub(crate) unsubscribe_success: Counter,
    pub(crate) publish_data_message_success: Counter,
    pub(crate) publish_data_message_client_error: Counter,
    pub(crate) publish_data_message_size: Counter,
    outbound_messages: Counter,
    pub(crate) resync: Counter,
    pub(crate) stalled_readers: Counter,
    pub(crate) active_connections: Gauge,
    pub(crate) active_subscriptions: Gauge,
    pub(crate) connection_duration: Histogram,
    commit_to_socket: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            connect_success: counter!("connect_success"),
            connect_client_error: counter!("connect_client_error"),
            connect_server_error: counter!("connect_server_error"),
            disconnect_success: counter!("disconnect_success"),
            disconnect_client_error: counter!("disconnect_client_error"),
            disconnect_server_error: counter!("disconnect_server_error"),
            subscribe_success: counter!("subscribe_success"),
            subscribe_client_error: counter!("subscribe_client_error"),
            subscribe_server_error: counter!("subscribe_server_error"),
            unsubscribe_success: counter!("unsubscribe_success"),
            publish_data_message_success: counter!("publish_data_message_success"),
            publish_data_message_client_error: counter!("publish_data_message_client_error"),
            publish_data_message_size: counter!("publish_data_message_size_bytes"),
            outbound_messages: counter!("outbound_messages"),
            resync: counter!("resync_total"),
            stalled_readers: counter!("stalled_readers_closed_total"),
            active_connections: gauge!("active_connections"),
            active_subscriptions: gauge!("active_subscriptions"),
            connection_duration: histogram!("connection_duration_seconds"),
            commit_to_socket: histogram!("commit_to_socket_seconds"),
        }
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Counts a delivery of `bytes` bytes, and measures the time since the commit (`updatedAt`).
    pub(crate) fn delivered(&self, delivery: &Delivery, bytes: usize) {
        self.publish_data_message_success.increment(1);
        self.publish_data_message_size.increment(bytes as u64);
        self.outbound_messages
            .increment(bytes.div_ceil(OUTBOUND_BYTES).max(1) as u64);
        let Some(job) = delivery.update.job().filter(|_| delivery.live) else {
            return;
        };
        let before = delivery.update.count_delivery();
        if before < MEASURED || before.is_multiple_of(MEASURED_OF) {
            let lag = (now_millis() - job.updated_at.as_millis()).max(0);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a lag has far fewer than 52 bits"
            )]
            self.commit_to_socket.record(lag as f64 / 1_000.0);
        }
    }
}
