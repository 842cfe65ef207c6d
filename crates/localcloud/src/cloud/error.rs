//! Errors of starting a cloud.

/// Why a cloud does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port on loopback is free.
    #[error("no listener on loopback: {0}")]
    Listen(#[from] std::io::Error),
    /// DynamoDB does not start.
    #[error("DynamoDB does not start: {0}")]
    Database(String),
    /// Step Functions does not start.
    #[error("Step Functions does not start: {0}")]
    Engine(String),
}
