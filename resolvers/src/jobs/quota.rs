//! Limits the upload addresses of one caller, by number and by bytes. The quota is what may be
//! outstanding at once, and it is refilled over the lifetime of an address. Bytes that were really
//! uploaded are not counted here.

use std::collections::HashMap;

use job::limits::check;
use job::{OverLimit, Time};
use parking_lot::Mutex;

use crate::files::PUT_LIFE_MILLIS;

/// Maximum number of upload addresses that one caller receives within their lifetime.
pub const UPLOADS: usize = 10_000;
/// Maximum number of bytes for which these addresses are issued: 32 GiB.
pub const UPLOAD_BYTES: usize = 32 * 1024 * 1024 * 1024;
/// Maximum number of callers that are remembered. A caller without a request within the lifetime of
/// an address is forgotten.
pub const CALLERS: usize = 10_000;

/// The addresses that all callers received recently.
#[derive(Debug, Default)]
pub(super) struct Quota {
    callers: Mutex<HashMap<String, Given>>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    addresses: f64,
    bytes: f64,
    at: Time,
}

impl Given {
    /// The part that still counts at `now`.
    fn at(self, now: Time) -> Given {
        #[expect(
            clippy::cast_precision_loss,
            reason = "an hour in milliseconds is small"
        )]
        let part = (now.as_millis() - self.at.as_millis()).max(0) as f64 / PUT_LIFE_MILLIS as f64;
        #[expect(clippy::cast_precision_loss, reason = "the limits are below 2^52")]
        let (addresses, bytes) = (UPLOADS as f64 * part, UPLOAD_BYTES as f64 * part);
        Given {
            addresses: (self.addresses - addresses).max(0.0),
            bytes: (self.bytes - bytes).max(0.0),
            at: now,
        }
    }

    fn is_nothing(self) -> bool {
        self.addresses == 0.0 && self.bytes == 0.0
    }
}

impl Quota {
    /// Counts one more address.
    ///
    /// # Errors
    /// [`OverLimit`]; then it is not counted.
    pub(super) fn take(&self, caller: &str, size: u64, now: Time) -> Result<(), OverLimit> {
        let mut callers = self.callers.lock();
        if callers.len() >= CALLERS && !callers.contains_key(caller) {
            callers.retain(|_, given| !given.at(now).is_nothing());
            if callers.len() >= CALLERS {
                callers.clear();
            }
        }
        let before = callers.get(caller).copied();
        let mut given = before.map_or(
            Given {
                addresses: 0.0,
                bytes: 0.0,
                at: now,
            },
            |given| given.at(now),
        );
        #[expect(clippy::cast_precision_loss, reason = "an upload is below 2^52 bytes")]
        let size = size as f64;
        given.addresses += 1.0;
        given.bytes += size;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "they are not negative, and below 2^52"
        )]
        let (addresses, bytes) = (given.addresses.ceil() as usize, given.bytes.ceil() as usize);
        check("uploads of one hour", "addresses", addresses, UPLOADS)?;
        check("uploads of one hour", "bytes", bytes, UPLOAD_BYTES)?;
        callers.insert(caller.to_owned(), given);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_over_the_limit_are_refused() {
        let (quota, now) = (Quota::default(), Time::from_millis(0));
        for _ in 0..UPLOADS {
            quota.take("ann", 0, now).unwrap();
        }
        let over = quota.take("ann", 0, now).unwrap_err();
        assert_eq!(
            (over.value, over.limit, over.unit),
            (UPLOADS + 1, UPLOADS, "addresses")
        );
        quota.take("bob", 0, now).unwrap();
        // One address is refilled every 360 ms.
        let each = PUT_LIFE_MILLIS / i64::try_from(UPLOADS).unwrap();
        quota.take("ann", 0, now.plus_millis(each + 1)).unwrap();
        assert!(quota.take("ann", 0, now.plus_millis(each + 1)).is_err());
    }

    #[test]
    fn bytes_over_the_limit_are_refused() {
        let (quota, now) = (Quota::default(), Time::from_millis(0));
        let (one, all) = (1_u64 << 30, u64::try_from(UPLOAD_BYTES).unwrap());
        for _ in 0..all / one {
            quota.take("ann", one, now).unwrap();
        }
        let over = quota.take("ann", 1, now).unwrap_err();
        assert_eq!((over.limit, over.unit), (UPLOAD_BYTES, "bytes"));
        let later = now.plus_millis(PUT_LIFE_MILLIS);
        quota.take("ann", all, later).unwrap();
        assert!(quota.take("ann", 1, later).is_err());
    }

    #[test]
    fn callers_over_the_limit_are_forgotten() {
        let (quota, now) = (Quota::default(), Time::from_millis(0));
        for caller in 0..CALLERS + 5 {
            quota.take(&caller.to_string(), 1, now).unwrap();
            assert!(quota.callers.lock().len() <= CALLERS);
        }
    }
}
