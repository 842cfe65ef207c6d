//! The limits of a call. The SDK has none for an answer unless they are configured: a call whose
//! connection was forgotten on its way would never end.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

/// Time allowed for connecting.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Time allowed for one try of a call, with its answer.
pub const TRY_WITHIN: Duration = Duration::from_secs(3);
/// Time allowed for a call with all its tries.
pub const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Maximum number of tries of a call.
pub const TRIES: u32 = 4;
/// Maximum pause before the second try; each further one may be twice as long.
pub const PAUSE: Duration = Duration::from_millis(100);

/// The configuration with the limits of this module, which hold for DynamoDB, its streams and Step
/// Functions. Limits that it has already are kept.
#[must_use]
pub fn bounded(config: &SdkConfig) -> SdkConfig {
    let given = config.timeout_config();
    if given.is_some_and(|given| given.operation_timeout().is_some()) {
        return config.clone();
    }
    let times = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(TRY_WITHIN)
        .operation_timeout(CALL_WITHIN)
        .build();
    let tries = RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(PAUSE);
    let bounded = config.to_builder().timeout_config(times);
    bounded.retry_config(tries).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_gets_the_limits_unless_it_has_its_own() {
        let config = bounded(&SdkConfig::builder().build());
        let times = config.timeout_config().unwrap();
        assert_eq!(times.connect_timeout(), Some(CONNECT_WITHIN));
        assert_eq!(times.operation_attempt_timeout(), Some(TRY_WITHIN));
        assert_eq!(times.operation_timeout(), Some(CALL_WITHIN));
        assert_eq!(config.retry_config().unwrap().max_attempts(), TRIES);
        let own = TimeoutConfig::builder().operation_timeout(PAUSE).build();
        let own = bounded(&SdkConfig::builder().timeout_config(own).build());
        let times = own.timeout_config().unwrap();
        assert_eq!(times.operation_timeout(), Some(PAUSE));
    }
}
