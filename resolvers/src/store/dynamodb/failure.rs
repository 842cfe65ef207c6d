//! Calls that failed: a line in the log has the cause, and the port's error a reason for clients of
//! the API.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::aws::CallFailed;
use crate::store::StoreError;

/// The error of a call on a resource, after a line in the log.
pub(super) fn failed_on<E>(resource: &str, error: &SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let failed = CallFailed::new(resource, error);
    failed.log();
    StoreError::Unavailable {
        reason: failed.outward().to_owned(),
        source: Some(Box::new(failed)),
    }
}

/// The error for a request that cannot be built.
pub(super) fn unbuilt(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable {
        reason: "a request to the job table cannot be built".to_owned(),
        source: Some(Box::new(error)),
    }
}
