//! Calls of DynamoDB that failed.

use crate::store::StoreError;

/// DynamoDB did not respond, or not as expected. The reason consists of the error's own message and
/// those of its causes.
pub(super) fn unavailable<E>(error: E) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut reason = format!("DynamoDB: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.ends_with(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = error.source();
    }
    StoreError::Unavailable {
        reason,
        source: Some(Box::new(error)),
    }
}
