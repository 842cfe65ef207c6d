//! Computations on a separate thread.

use functions::Failure;

/// Runs a long computation on a separate thread, so that progress is reported meanwhile.
pub(crate) async fn compute<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            // The wrapper around the handler turns the panic into an error.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(Failure::new("Cancelled", cancelled.to_string())),
        },
    }
}
