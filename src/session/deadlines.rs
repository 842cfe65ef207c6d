//! The deadlines of one socket, apart from that of a stalled reader. Time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::lifetime::{drain_delay, lifetime};
use super::limits;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The credentials have ended.
    Expired,
    /// The node drains, or the socket has lived its time.
    Leave,
    /// The peer has been silent for two ping periods.
    PeerIsDead,
    /// The next ping.
    Ping,
    /// The protocol asked for a tick.
    Tick,
}

/// When something is due.
pub(super) struct Deadlines {
    wake: Option<Instant>,
    ping: Instant,
    /// When the peer was last heard.
    heard: Instant,
    leave: Instant,
    expires: Option<Instant>,
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            wake: None,
            // Sockets that were opened together are not pinged together.
            ping: now + limits::PING - rand::random_range(Duration::ZERO..limits::PING / 2),
            heard: now,
            leave: now + lifetime(),
            expires: None,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The protocol wants a tick.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.wake = Some(at);
    }

    /// The node drains.
    pub(super) fn drain(&mut self, now: Instant) {
        self.leave = self.leave.min(now + drain_delay());
    }

    /// Credentials of this connection end. The earliest end counts.
    pub(super) fn expire(&mut self, at: Instant) {
        self.expires = Some(self.expires.map_or(at, |earlier| earlier.min(at)));
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Instant {
        [self.wake, self.expires]
            .into_iter()
            .flatten()
            .fold(self.ping.min(self.leave), Instant::min)
    }

    /// Takes what is due. `may_close`: whether the protocol lets the socket be closed now.
    pub(super) fn take_due(&mut self, now: Instant, may_close: bool) -> Option<Due> {
        if self.expires.is_some_and(|at| now >= at) {
            self.expires = None;
            return Some(Due::Expired);
        }
        if now >= self.leave {
            // Never between upgrade and acknowledgement: Amplify would not come back.
            if may_close {
                return Some(Due::Leave);
            }
            self.leave = now + limits::DRAIN_SPREAD / 10;
        }
        if now >= self.ping {
            if now.duration_since(self.heard) > limits::PING * 2 {
                return Some(Due::PeerIsDead);
            }
            self.ping = now + limits::PING;
            return Some(Due::Ping);
        }
        if self.wake.is_some_and(|at| now >= at) {
            self.wake = None;
            return Some(Due::Tick);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_end_of_credentials_counts_once() {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(now);
        let second = Duration::from_secs(1);
        deadlines.expire(now + second * 2);
        deadlines.expire(now + second);
        deadlines.expire(now + second * 3);
        assert_eq!(deadlines.earliest(), now + second);
        assert_eq!(deadlines.take_due(now, true), None);
        assert_eq!(deadlines.take_due(now + second, true), Some(Due::Expired));
        assert_eq!(deadlines.take_due(now + second, true), None);
    }

    #[test]
    fn a_silent_peer_is_pinged_twice_before_it_counts_as_dead() {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(now);
        let mut due = Vec::new();
        while due.last() != Some(&Due::PeerIsDead) {
            due.extend(deadlines.take_due(deadlines.earliest(), true));
            assert!(due.len() < 9, "{due:?}");
        }
        assert_eq!(due, [Due::Ping, Due::Ping, Due::PeerIsDead]);
    }

    #[test]
    fn a_drain_waits_until_the_protocol_lets_it_close() {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(now);
        deadlines.drain(now);
        let drained = now + limits::DRAIN_SPREAD;
        assert_eq!(deadlines.take_due(drained, false), None);
        assert_eq!(deadlines.earliest(), drained + limits::DRAIN_SPREAD / 10);
        let later = deadlines.earliest();
        assert_eq!(deadlines.take_due(later, true), Some(Due::Leave));
    }
}
