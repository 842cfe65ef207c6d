//! The credentials of a request, and the result of checking them.

use job::Time;
use resolvers::Caller;

/// The credentials of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// `Authorization`, with or without `Bearer`.
    pub authorization: Option<&'a str>,
    /// `x-api-key`.
    pub api_key: Option<&'a str>,
}

/// A caller, and when its credentials end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The caller.
    pub caller: Caller,
    /// When the credentials end; `None` for never.
    pub expires_at: Option<Time>,
}

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no credentials.
    #[error(
        "credentials are needed: an API key in `x-api-key`, or a token in `Authorization: Bearer …`"
    )]
    Missing,
    /// The credentials are not valid.
    #[error("the credentials are not valid")]
    Invalid,
    /// They were valid once.
    #[error("Token has expired.")]
    Expired,
    /// The credentials cannot be checked now: the identity provider's keys are not available.
    #[error("the credentials cannot be checked at the moment, come back later")]
    Unavailable,
}

impl AuthError {
    /// The code for clients; AppSync's where it has one.
    pub fn code(self) -> &'static str {
        match self {
            AuthError::Missing | AuthError::Invalid | AuthError::Expired => "UnauthorizedException",
            AuthError::Unavailable => "ServiceUnavailable",
        }
    }
}
