//! The connections of the public listener, counted from `accept`: all of them, and of each address
//! those that have not shown valid credentials yet. When no slot is free, the connections that have
//! waited longest for their peers (for a head, for the rest of a body, or idle) are closed, so that
//! callers with requests get through.
//!
//! What a connection may request is not decided here, nor how long it may wait while slots are
//! free.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;
use tokio::task::AbortHandle;

/// Number of open files that are kept for everything but connections: the database, objects,
/// functions, other services.
pub const RESERVED_FILES: u64 = 256;
/// Time for which a connection may wait for its peer although its slot is needed.
pub const SPARED: Duration = Duration::from_millis(250);
/// Maximum number of connections that are closed at a time to free their slots.
pub const GIVEN_UP_AT_ONCE: usize = 64;
/// Divisor of the number of slots: the share that one address may have before it has shown valid
/// credentials.
pub const SHARE_OF_AN_ADDRESS: usize = 2;

/// The number of slots that a limit of open files allows; `None` is no limit.
pub fn slots(open_files: Option<u64>) -> usize {
    let Some(files) = open_files else {
        return usize::MAX;
    };
    let slots = files.saturating_sub(RESERVED_FILES).max(files / 2).max(1);
    usize::try_from(slots).unwrap_or(usize::MAX)
}

/// The open connections.
#[derive(Debug)]
pub struct Peers {
    began: Instant,
    slots: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    peers: Slab<Weak<Peer>>,
    /// The open connections without valid credentials, by address.
    strangers: HashMap<IpAddr, usize>,
}

/// One open connection. Its slot is free again when this is dropped.
#[derive(Debug)]
pub struct Peer {
    all: Arc<Peers>,
    slot: usize,
    address: IpAddr,
    /// Whether valid credentials were shown.
    known: AtomicBool,
    /// Whether the slot was taken away.
    gave_up: AtomicBool,
    /// The start of the wait for the peer, in milliseconds since the start of [`Peers`]; 0 while
    /// the connection does not wait.
    waits_since: AtomicU64,
    task: Mutex<Option<AbortHandle>>,
}

impl Peers {
    /// `slots` slots in all, and `per_address` of them for one address without credentials.
    pub fn new(slots: usize, per_address: usize) -> Arc<Peers> {
        Arc::new(Peers {
            began: Instant::now(),
            slots: slots.max(1),
            per_address: per_address.max(1),
            open: Mutex::default(),
        })
    }

    /// A slot for a connection from this address; `None` if none is free and none can be freed.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Peer>> {
        let address = network(address);
        let mut open = self.open.lock();
        let strangers = open.strangers.get(&address).copied().unwrap_or(0);
        if open.peers.len() >= self.slots || strangers >= self.per_address {
            let of = (strangers >= self.per_address).then_some(address);
            drop(open);
            self.make_room(of);
            open = self.open.lock();
            let strangers = open.strangers.get(&address).copied().unwrap_or(0);
            if open.peers.len() >= self.slots || strangers >= self.per_address {
                return None;
            }
        }
        let entry = open.peers.vacant_entry();
        let peer = Arc::new(Peer {
            all: Arc::clone(self),
            slot: entry.key(),
            address,
            known: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            waits_since: AtomicU64::new(self.now()),
            task: Mutex::new(None),
        });
        entry.insert(Arc::downgrade(&peer));
        *open.strangers.entry(address).or_default() += 1;
        Some(peer)
    }

    /// The number of open connections.
    pub fn len(&self) -> usize {
        self.open.lock().peers.len()
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Milliseconds since the start, never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Closes the connections that have waited longest, first those without credentials; with `of`
    /// only those of that address without credentials.
    fn make_room(&self, of: Option<IpAddr>) {
        let spared = u64::try_from(SPARED.as_millis()).unwrap_or(u64::MAX);
        let latest = self.now().saturating_sub(spared);
        let peers: Vec<Arc<Peer>> = {
            let open = self.open.lock();
            open.peers
                .iter()
                .filter_map(|(_, peer)| peer.upgrade())
                .collect()
        };
        let mut waiting: Vec<(bool, u64, &Arc<Peer>)> = peers
            .iter()
            .filter(|peer| of.is_none_or(|address| peer.address == address && !peer.is_known()))
            .map(|peer| {
                (
                    peer.is_known(),
                    peer.waits_since.load(Ordering::Relaxed),
                    peer,
                )
            })
            .filter(|(_, since, _)| (1..=latest).contains(since))
            .collect();
        let count = (self.slots / 16)
            .clamp(1, GIVEN_UP_AT_ONCE)
            .min(waiting.len());
        if count == 0 {
            return;
        }
        waiting.select_nth_unstable_by_key(count - 1, |(known, since, _)| (*known, *since));
        tracing::debug!(count, "connections that only waited gave up their slots");
        for (_, _, peer) in &waiting[..count] {
            peer.give_up();
        }
    }
}

/// An address; of version 6 the network of one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host = u128::MAX >> 64;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
        }
        address => address,
    }
}

impl Peer {
    /// Sets the task to end when the slot is needed, unless the connection has a later one already.
    pub fn begins_in(&self, task: AbortHandle) {
        let mut known = self.task.lock();
        if known.is_none() {
            *known = Some(task);
        }
        drop(known);
        self.end_if_given_up();
    }

    /// The connection continues in this task.
    pub fn serve_in(&self, task: AbortHandle) {
        *self.task.lock() = Some(task);
        self.end_if_given_up();
    }

    /// The slot may have been taken away before there was a task to end.
    fn end_if_given_up(&self) {
        if self.gave_up.load(Ordering::SeqCst)
            && let Some(task) = self.task.lock().take()
        {
            task.abort();
        }
    }

    /// Valid credentials were shown.
    pub fn known(&self) {
        if !self.known.swap(true, Ordering::SeqCst) && !self.gave_up.load(Ordering::SeqCst) {
            self.all.open.lock().forget(self.address);
        }
    }

    fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// The connection waits for its peer from now on.
    pub fn waits(&self) {
        self.waits_since.store(self.all.now(), Ordering::Relaxed);
    }

    /// The connection works for its peer.
    pub fn works(&self) {
        self.waits_since.store(0, Ordering::Relaxed);
    }

    /// The time of the current wait.
    pub fn waiting(&self) -> Option<Duration> {
        let since = self.waits_since.load(Ordering::Relaxed);
        (since > 0).then(|| Duration::from_millis(self.all.now().saturating_sub(since)))
    }

    /// The address; of version 6 its network of 64 bits.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    fn give_up(&self) {
        let mut open = self.all.open.lock();
        if self.gave_up.swap(true, Ordering::SeqCst) {
            return;
        }
        open.peers.remove(self.slot);
        if !self.is_known() {
            open.forget(self.address);
        }
        drop(open);
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if *self.gave_up.get_mut() {
            return;
        }
        let mut open = self.all.open.lock();
        open.peers.remove(self.slot);
        if !*self.known.get_mut() {
            open.forget(self.address);
        }
    }
}

impl Open {
    fn forget(&mut self, address: IpAddr) {
        if let Some(count) = self.strangers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.strangers.remove(&address);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn there(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Sets the start of the wait back by this time.
    fn waited(peer: &Peer, millis: u64) {
        let now = peer.all.now() + 100_000;
        peer.waits_since
            .store(now - 100_000 - millis.min(now - 100_001), Ordering::Relaxed);
    }

    /// Peers whose clock started long ago.
    fn peers(slots: usize, per_address: usize) -> Arc<Peers> {
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        Arc::new(Peers {
            began,
            slots,
            per_address,
            open: Mutex::default(),
        })
    }

    #[test]
    fn slots_stay_below_the_limit_of_open_files() {
        for (files, expected) in [
            (None, usize::MAX),
            (Some(2_000), 1_744),
            (Some(1_024), 768),
            (Some(512), 256),
            (Some(256), 128),
            (Some(1), 1),
        ] {
            assert_eq!(slots(files), expected, "{files:?}");
        }
    }

    #[test]
    fn a_slot_is_free_again_after_its_connection() {
        let peers = peers(2, 2);
        let first = peers.admit(HERE).unwrap();
        let second = peers.admit(HERE).unwrap();
        assert!(peers.admit(HERE).is_none(), "they have not waited for long");
        drop(first);
        let third = peers.admit(HERE).unwrap();
        assert_eq!(peers.len(), 2);
        drop((second, third));
        assert!(peers.is_empty() && peers.open.lock().strangers.is_empty());
    }

    #[test]
    fn an_address_is_limited_to_its_share_until_it_is_authorized() {
        let peers = peers(100, 2);
        let first = peers.admit(there(1)).unwrap();
        let _second = peers.admit(there(1)).unwrap();
        assert!(peers.admit(there(1)).is_none());
        let _other = peers.admit(there(2)).unwrap();
        first.known();
        first.known();
        let _third = peers.admit(there(1)).unwrap();
        assert!(peers.admit(there(1)).is_none());
    }

    #[test]
    fn addresses_of_one_version_6_network_count_together() {
        let peers = peers(100, 1);
        let _first = peers.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(peers.admit("2001:db8::ffff:2".parse().unwrap()).is_none());
        assert!(peers.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _mapped = peers.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(peers.admit(there(1)).is_none());
    }

    #[tokio::test]
    async fn the_connection_that_has_waited_longest_loses_its_slot() {
        let peers = peers(3, 3);
        let (idle, head, busy) = (
            peers.admit(there(1)).unwrap(),
            peers.admit(there(2)).unwrap(),
            peers.admit(there(3)).unwrap(),
        );
        idle.known();
        waited(&idle, 9_000);
        waited(&head, 5_000);
        busy.works();
        let task = tokio::spawn(std::future::pending::<()>());
        head.serve_in(task.abort_handle());
        let next = peers.admit(HERE).unwrap();
        assert!(
            task.await.unwrap_err().is_cancelled(),
            "a stranger goes first"
        );
        let later = peers.admit(HERE).unwrap();
        assert!(idle.gave_up.load(Ordering::SeqCst));
        assert!(peers.admit(HERE).is_none(), "work is not ended");
        drop((idle, head));
        assert_eq!(peers.len(), 3);
        let late = tokio::spawn(std::future::pending::<()>());
        waited(&later, 1_000);
        let _again = peers.admit(HERE).unwrap();
        later.serve_in(late.abort_handle());
        assert!(late.await.unwrap_err().is_cancelled());
        drop((busy, next, later));
        assert_eq!(peers.len(), 1);
    }

    #[test]
    fn a_slot_that_was_only_just_taken_is_kept() {
        let peers = peers(1, 1);
        let spared = u64::try_from(SPARED.as_millis()).unwrap();
        let first = peers.admit(HERE).unwrap();
        waited(&first, spared / 2);
        assert!(peers.admit(HERE).is_none());
        waited(&first, spared * 2);
        assert!(peers.admit(HERE).is_some());
    }
}
