//! The clock of AWS, as the `Date` of its responses shows it. AWS refuses a request whose time
//! differs from its own by several minutes.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_sfn::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sfn::error::BoxError;
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use parking_lot::Mutex;

/// Difference in seconds between the clocks of this machine and of AWS from which a node warns at
/// its start.
pub const CLOCK_WARNED: i64 = 30;

/// Keeps the `Date` of a response, in seconds since the epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dated(Arc<Mutex<Option<i64>>>);

impl Dated {
    /// The time of the last response; `None` if it had none.
    pub(crate) fn seconds(&self) -> Option<i64> {
        *self.0.lock()
    }
}

impl Intercept for Dated {
    fn name(&self) -> &'static str {
        "Dated"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        *self.0.lock() = date.and_then(seconds_of);
        Ok(())
    }
}

/// The seconds since the epoch of a `Date` header.
#[must_use]
pub fn seconds_of(date: &str) -> Option<i64> {
    let date = DateTime::from_str(date, DateTimeFormat::HttpDate).ok()?;
    Some(date.secs())
}

/// The seconds by which this machine's clock is ahead of AWS's, which is at `seconds`.
#[must_use]
pub fn seconds_ahead(seconds: i64, now: SystemTime) -> i64 {
    DateTime::from(now).secs() - seconds
}

/// `90 s ahead of` or `90 s behind`.
#[must_use]
pub fn ahead(seconds: i64) -> String {
    match seconds {
        0.. => format!("{seconds} s ahead of"),
        _ => format!("{} s behind", seconds.unsigned_abs()),
    }
}

/// Warns if this machine's clock differs from AWS's, which is at `seconds`.
pub(crate) fn warn_of_difference(seconds: i64, now: SystemTime) {
    let difference = seconds_ahead(seconds, now);
    if difference.abs() >= CLOCK_WARNED {
        tracing::warn!(
            "this machine's clock is {} AWS's: set it (NTP); AWS refuses requests whose time differs by minutes",
            ahead(difference)
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_date_of_a_response() {
        let date = seconds_of("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 + 90);
        assert_eq!(seconds_ahead(date, now), 90);
        assert_eq!(ahead(90), "90 s ahead of");
        assert_eq!(ahead(-90), "90 s behind");
        assert_eq!(seconds_of("yesterday"), None);
    }
}
