//! The failure of a call. Its text is for the log and for the operator of a node: it names the
//! action, the resource and what to do. Clients of the API receive none of it.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::RequestId;
use parking_lot::Mutex;

use super::clock::{ahead, seconds_ahead, seconds_of};

/// Maximum number of log lines about one action that fails for one cause, within
/// [`LINES_PERIOD`]. The next line has the number of omitted ones.
pub const LINES: u32 = 3;
/// The period of [`LINES`].
pub const LINES_PERIOD: Duration = Duration::from_secs(10);
/// The reason that clients receive.
pub const LATER: &str = "try again later";

/// Why a call failed: one variant per thing that an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The credentials do not allow the action.
    Denied,
    /// There are no credentials, or AWS does not know them.
    Credentials,
    /// The clocks of this machine and of AWS differ too much.
    Clock,
    /// The resource does not exist in this account and region.
    Missing,
    /// Too many requests.
    Throttled,
    /// No answer in the time allowed.
    NoAnswer,
    /// No connection.
    Unreachable,
    /// Anything else.
    Other,
}

/// A call of an AWS service that failed, after its tries.
#[derive(Debug)]
pub struct CallFailed {
    action: String,
    resource: String,
    cause: Cause,
    detail: String,
    request_id: Option<String>,
    ahead: Option<i64>,
}

impl CallFailed {
    /// The failure of a call on a resource, such as `table jobs`. The action is the one of the
    /// SDK's error.
    pub fn new<E>(resource: &str, error: &SdkError<E>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let detail = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => with_causes(error),
        };
        let date = error.raw_response();
        let date = date.and_then(|response| response.headers().get("date"));
        Self {
            action: action_of::<E>(),
            resource: resource.to_owned(),
            cause: cause_of(error, &detail),
            detail: job::limits::beginning(&detail, DETAIL_BYTES).to_owned(),
            request_id: error.request_id().map(str::to_owned),
            ahead: date
                .and_then(seconds_of)
                .map(|at| seconds_ahead(at, SystemTime::now())),
        }
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The action as IAM names it: `dynamodb:GetItem`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The reason that a client of the API receives.
    #[must_use]
    pub fn outward(&self) -> &'static str {
        match self.cause {
            Cause::Throttled => "there are too many requests; try again later",
            _ => LATER,
        }
    }

    /// Writes a line in the log, unless there were [`LINES`] about the same lately.
    pub fn log(&self) {
        let Some(left_out) = line(&self.action, self.cause, Instant::now()) else {
            return;
        };
        let (action, resource) = (&self.action, &self.resource);
        tracing::warn!(action, resource, left_out, "a call of AWS failed: {self}");
    }

    /// What to do; empty if it is only to wait.
    fn advice(&self) -> String {
        match self.cause {
            Cause::Denied => format!("; allow {} on {} to the credentials of this node", self.action, self.resource),
            Cause::Credentials => "; give this node valid credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the role of its task or instance".to_owned(),
            Cause::Clock => match self.ahead {
                Some(seconds) => format!("; set the clock of this machine, which is {} AWS's", ahead(seconds)),
                None => "; set the clock of this machine".to_owned(),
            },
            Cause::Missing => "; check its name, the region and the account".to_owned(),
            Cause::Throttled | Cause::NoAnswer | Cause::Unreachable | Cause::Other => String::new(),
        }
    }
}

/// Maximum number of bytes of the service's own words in a failure.
const DETAIL_BYTES: usize = 1_000;

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, resource, detail) = (&self.action, &self.resource, &self.detail);
        write!(f, "{action} on {resource}: {detail}")?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        f.write_str(&self.advice())
    }
}

impl Error for CallFailed {}

/// The text of an error and of its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// The action of an operation's error type, `aws_sdk_SERVICE::operation::…::OPERATIONError`, so
/// that no call can be without its name.
fn action_of<E>() -> String {
    let name = std::any::type_name::<E>();
    let operation = name.rsplit("::").next().unwrap_or(name);
    let operation = operation.strip_suffix("Error").unwrap_or(operation);
    let service = match name.split("::").next() {
        Some("aws_sdk_sfn") => "states",
        _ => "dynamodb",
    };
    format!("{service}:{operation}")
}

fn cause_of<E>(error: &SdkError<E>, detail: &str) -> Cause
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let said = |text: &str| detail.contains(text);
    match error.code() {
        Some("AccessDeniedException" | "AccessDenied" | "NotAuthorized") => Cause::Denied,
        Some("InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed")
            if said("Signature expired") || said("not yet current") || said("TooSkewed") =>
        {
            Cause::Clock
        }
        Some("RequestExpired") => Cause::Clock,
        Some(
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException",
        ) => Cause::Credentials,
        Some("ResourceNotFoundException" | "StateMachineDoesNotExist") => Cause::Missing,
        Some(
            "ThrottlingException"
            | "Throttling"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TooManyRequestsException",
        ) => Cause::Throttled,
        Some(_) => Cause::Other,
        None => match error {
            SdkError::TimeoutError(_) => Cause::NoAnswer,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Cause::NoAnswer,
            SdkError::DispatchFailure(failure) if failure.is_io() => Cause::Unreachable,
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_)
                if said("credentials") =>
            {
                Cause::Credentials
            }
            _ => Cause::Other,
        },
    }
}

/// One action and cause in the log: the start of the period, the lines in it, the omitted ones.
struct Lines {
    of: (String, Cause),
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// The lines of this process. There are few actions, so the list is short.
static WRITTEN: Mutex<Vec<Lines>> = Mutex::new(Vec::new());

/// Whether to write a line, and the number of lines that were omitted before it.
fn line(action: &str, cause: Cause, now: Instant) -> Option<u64> {
    let mut written = WRITTEN.lock();
    let of = (action.to_owned(), cause);
    let place = written.iter().position(|lines| lines.of == of);
    let place = place.unwrap_or_else(|| {
        written.push(Lines {
            of,
            since: now,
            lines: 0,
            left_out: 0,
        });
        written.len() - 1
    });
    let lines = &mut written[place];
    if now.duration_since(lines.since) >= LINES_PERIOD {
        (lines.since, lines.lines) = (now, 0);
    }
    if lines.lines >= LINES {
        lines.left_out += 1;
        return None;
    }
    lines.lines += 1;
    Some(std::mem::take(&mut lines.left_out))
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::operation::start_execution::StartExecutionError;

    use super::*;

    #[test]
    fn an_error_type_names_its_action() {
        assert_eq!(action_of::<StartExecutionError>(), "states:StartExecution");
    }

    #[test]
    fn omitted_log_lines_are_counted_in_the_next_one() {
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(line("dynamodb:Test", Cause::Denied, start), Some(0));
        }
        assert_eq!(line("dynamodb:Test", Cause::Denied, start), None);
        let other = line("dynamodb:Test", Cause::Throttled, start);
        assert_eq!(other, Some(0), "each cause has its lines");
        let later = start + LINES_PERIOD;
        assert_eq!(line("dynamodb:Test", Cause::Denied, later), Some(1));
    }
}
