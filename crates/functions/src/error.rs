//! What can go wrong between a function and Jobcast ([`Error`]), and what a function answers to the state machine
//! ([`Failure`]). It does not decide what is retried: the definition's `Retry` does, by the names given here.

use std::borrow::Cow;

use lambda_runtime::Diagnostic;

/// A call to Jobcast, or to a file's address, that did not work. `Display` is safe to show: no token, no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event's `job` field is there but is not what a state machine of Jobcast passes.
    #[error(
        "the event's `job` is not usable: {0}; pass {{id, reportUrl, reportToken}} from the execution input, \
         and optionally `step`"
    )]
    InvalidEvent(String),
    /// The event has no `job`, and the call needs one.
    #[error(
        "the event has no `job`, so {what} has nowhere to go: pass `job` on in the state's Parameters"
    )]
    Detached {
        /// What was asked for, such as "an upload".
        what: &'static str,
    },
    /// An address that is not an absolute `http` or `https` URL.
    #[error("{url:?} is not an address this can use: {reason}")]
    InvalidUrl {
        /// The address without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address that the function may not read, or that led to one.
    #[error(
        "{url} may not be read here: files are read below {allowed} only; upload the file to Jobcast (`createUpload`, `jobcast submit --file`), \
         or have the operator allow its address"
    )]
    NotAllowed {
        /// The address without its query.
        url: String,
        /// What may be read.
        allowed: String,
    },
    /// Jobcast understood the request and said no: an expired or foreign token, a finished or cancelled job. Doing it
    /// again changes nothing.
    #[error("{what} was refused ({code}): {message}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The service's code, such as `UNAUTHORIZED`, or `HTTP 403`.
        code: String,
        /// The service's words.
        message: String,
    },
    /// Nobody answered, or only with 5xx or 429, for as long as the retries lasted.
    #[error("{what} did not work after {attempts} attempts: {reason}")]
    Unavailable {
        /// What was asked for.
        what: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// A transfer broke off in the middle.
    #[error("the download broke off after {received} bytes: {reason}")]
    Interrupted {
        /// Bytes received before.
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
        /// Its size in bytes, as far as it is known.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl Error {
    /// The name a state machine sees, for `Retry` and `Catch`.
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

    /// Whether nothing more about the job will be taken: its token is no good, or it is over. Other refusals are about
    /// one request (an unknown step, a value over a limit).
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

/// A service's code without case and punctuation: services write `BAD_REQUEST`, `BadRequest` and `bad-request`.
pub(crate) fn folded(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// What a function answers when it fails: a name that `Retry` and `Catch` match with `ErrorEquals`, and a message for
/// people. It becomes Lambda's `errorType` and `errorMessage`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Failure {
    name: Cow<'static, str>,
    message: String,
}

impl Failure {
    /// A failure with a name of one's own, such as `InvalidImage`.
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
    fn only_what_may_pass_is_called_unavailable() {
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
