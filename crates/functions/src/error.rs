//! Errors between a function and Jobcast ([`Error`]), and the error that a function returns to the
//! state machine ([`Failure`]). Retries are not decided here: the definition's `Retry` decides, by
//! the names given here.

use std::borrow::Cow;

use lambda_runtime::Diagnostic;

/// A call to Jobcast, or to a file's address, failed. `Display` is safe to show: it contains no
/// token and no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event's field `job` does not have the form that a state machine of Jobcast passes.
    #[error(
        "the event's `job` is invalid: {0}; pass {{id, reportUrl, reportToken}} from the execution input, \
         and optionally `step`"
    )]
    InvalidEvent(String),
    /// The event has no `job`, and the call needs one.
    #[error("the event has no `job`, which {what} needs: pass `job` on in the state's Parameters")]
    Detached {
        /// The request, such as "an upload".
        what: &'static str,
    },
    /// An address that is not an absolute `http` or `https` URL.
    #[error("{url:?} is not an address that can be used: {reason}")]
    InvalidUrl {
        /// The address without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address that the function may not read, or that redirected to such an address.
    #[error(
        "{url} may not be read here: files are read below {allowed} only; upload the file to Jobcast (`createUpload`, `jobcast submit --file`), \
         or have the operator allow its address"
    )]
    NotAllowed {
        /// The address without its query.
        url: String,
        /// The addresses that may be read.
        allowed: String,
    },
    /// Jobcast understood the request and refused it: the token has expired or belongs to another
    /// job, or the job is finished or cancelled. A repeat has the same result.
    #[error("{what} was refused ({code}): {message}")]
    Refused {
        /// The request.
        what: &'static str,
        /// The service's code, such as `UNAUTHORIZED`, or `HTTP 403`.
        code: String,
        /// The service's message.
        message: String,
    },
    /// The server did not answer, or only with 5xx or 429, until the retries were used up.
    #[error("{what} failed after {attempts} attempts: {reason}")]
    Unavailable {
        /// The request.
        what: &'static str,
        /// Number of attempts.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// A transfer was interrupted.
    #[error("the download was interrupted after {received} bytes: {reason}")]
    Interrupted {
        /// Number of bytes received.
        received: u64,
        /// The failure.
        reason: String,
    },
    /// A file's address answered 4xx.
    #[error("{url} answered {status}: the file is not there, or its signed address has expired")]
    NotAvailable {
        /// The address without its query.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Something is over a named limit.
    #[error("{what} is too large: {size} bytes, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes, if it is known; otherwise the number of bytes so far.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl Error {
    /// The error's name in a state machine, for `Retry` and `Catch`.
    ///
    /// | name | worth a retry |
    /// |---|---|
    /// | `ServiceUnavailable` | yes |
    /// | `InvalidEvent`, `InvalidUrl`, `AddressNotAllowed`, `Refused`, `FileNotAvailable`, `FileTooLarge` | no |
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidEvent(_) | Self::Detached { .. } => "InvalidEvent",
            Self::InvalidUrl { .. } => "InvalidUrl",
            Self::NotAllowed { .. } => "AddressNotAllowed",
            Self::Refused { .. } => "Refused",
            Self::Unavailable { .. } | Self::Interrupted { .. } => "ServiceUnavailable",
            Self::NotAvailable { .. } => "FileNotAvailable",
            Self::TooLarge { .. } => "FileTooLarge",
        }
    }

    /// Whether Jobcast refuses all further reports of this job: the token is invalid, or the job is
    /// finished. Other refusals concern one request (an unknown step, a value over a limit).
    #[must_use]
    pub fn is_final(&self) -> bool {
        let Self::Refused { code, .. } = self else {
            return false;
        };
        let code = folded(code);
        !matches!(
            code.as_str(),
            "badrequest" | "badinput" | "baduserinput" | "limitexceeded" | "graphqlerror"
        ) && !code.contains("validation")
    }
}

/// A service's code without case and punctuation: services write `BAD_REQUEST`, `BadRequest` and
/// `bad-request`.
pub(crate) fn folded(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// The error that a function returns: a name that `Retry` and `Catch` match with `ErrorEquals`, and
/// a message for people. It becomes Lambda's `errorType` and `errorMessage`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Failure {
    name: Cow<'static, str>,
    message: String,
}

impl Failure {
    /// A failure with a name that the function chooses, such as `InvalidImage`.
    pub fn new(name: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
        }
    }

    /// The name that `ErrorEquals` matches.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.name(), error.to_string())
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.name.into_owned(),
            error_message: failure.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_lambdas_error_shape() {
        let diagnostic = Diagnostic::from(Failure::new("InvalidImage", "not a picture"));
        assert_eq!(
            serde_json::to_value(diagnostic).unwrap(),
            serde_json::json!({"errorType": "InvalidImage", "errorMessage": "not a picture"})
        );
    }

    #[test]
    fn only_a_temporary_error_is_named_unavailable() {
        let passing = Error::Interrupted {
            received: 3,
            reason: "reset".into(),
        };
        assert_eq!(Failure::from(passing).name(), "ServiceUnavailable");
        let lasting = Error::NotAvailable {
            url: "http://x/y".into(),
            status: 404,
        };
        assert_eq!(Failure::from(lasting).name(), "FileNotAvailable");
    }
}
