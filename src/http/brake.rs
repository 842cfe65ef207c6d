//! Slows down clients that guess credentials: per address a number of wrong ones at once and one
//! each second. Valid credentials are never delayed, even from the same address. A line of the log
//! reports the number of wrong ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Maximum number of wrong credentials of one address that are answered at once.
pub const AT_ONCE: u32 = 20;
/// Time after which one more is answered at once.
pub const EACH: Duration = Duration::from_secs(1);
/// Time by which the other answers are delayed.
pub const HELD_BACK: Duration = Duration::from_secs(1);
/// Maximum number of answers that are delayed at once; more are given without a delay.
pub const HELD_BACK_AT_ONCE: usize = 256;
/// Maximum number of remembered addresses.
pub const ADDRESSES: usize = 10_000;
/// Minimum time between two lines of the log about one address.
pub const LOGGED_EACH: Duration = Duration::from_secs(60);

/// Counts wrong credentials.
#[derive(Debug)]
pub(super) struct Brake {
    addresses: Mutex<HashMap<IpAddr, Tries>>,
    held_back: Semaphore,
}

#[derive(Debug)]
struct Tries {
    /// When all of [`AT_ONCE`] are available again.
    full_again: Instant,
    logged: Option<Instant>,
    /// The number of wrong credentials since the last line of the log.
    unlogged: u64,
}

impl Default for Brake {
    fn default() -> Self {
        Brake {
            addresses: Mutex::default(),
            held_back: Semaphore::new(HELD_BACK_AT_ONCE),
        }
    }
}

impl Brake {
    /// Counts wrong credentials. Returns whether there were too many, after the delay.
    pub(super) async fn wrong(&self, address: IpAddr) -> bool {
        if !self.count(address, Instant::now()) {
            return false;
        }
        if let Ok(_place) = self.held_back.try_acquire() {
            tokio::time::sleep(HELD_BACK).await;
        }
        true
    }

    fn count(&self, address: IpAddr, now: Instant) -> bool {
        let mut addresses = self.addresses.lock();
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&address) {
            addresses.retain(|_, tries| tries.full_again > now);
            if addresses.len() >= ADDRESSES {
                addresses.clear();
            }
        }
        let tries = addresses.entry(address).or_insert(Tries {
            full_again: now,
            logged: None,
            unlogged: 0,
        });
        tries.unlogged += 1;
        if tries
            .logged
            .is_none_or(|at| now.duration_since(at) >= LOGGED_EACH)
        {
            tracing::warn!(%address, count = tries.unlogged, "wrong credentials were refused");
            (tries.logged, tries.unlogged) = (Some(now), 0);
        }
        let full_again = tries.full_again.max(now) + EACH;
        if full_again.duration_since(now) > EACH * AT_ONCE {
            return true;
        }
        tries.full_again = full_again;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_credentials_are_answered_at_once_up_to_the_limit_then_one_each_second() {
        let (brake, now) = (Brake::default(), Instant::now());
        let address = |last: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(last));
        for _ in 0..AT_ONCE {
            assert!(!brake.count(address(1), now));
        }
        assert!(brake.count(address(1), now));
        assert!(!brake.count(address(2), now), "another address");
        assert!(brake.count(address(1), now + EACH - Duration::from_millis(1)));
        assert!(!brake.count(address(1), now + EACH));
        assert!(brake.count(address(1), now + EACH));
        assert!(!brake.count(address(1), now + EACH * (AT_ONCE + 2)));
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let (brake, now) = (Brake::default(), Instant::now());
        for last in 0..u32::try_from(ADDRESSES).expect("it is small") + 10 {
            brake.count(IpAddr::V4(std::net::Ipv4Addr::from_bits(last)), now);
            assert!(brake.addresses.lock().len() <= ADDRESSES);
        }
    }
}
