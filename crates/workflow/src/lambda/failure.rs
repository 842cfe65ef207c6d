//! Why an invocation failed without an answer of the function, in Lambda's names and words
//! (`errorType`, `errorMessage`).

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use super::limits;
use super::outcome::Outcome;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    /// The process that watched it was killed.
    Unknown,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The program could not be started: Lambda's name, and `fork/exec PROGRAM: REASON`.
    NotStarted(&'static str, String),
    /// The process ended.
    Exited(Exit),
    /// It did not ask for work in time.
    InitTimedOut(Duration),
    /// It reported that its initialization failed: the error's name, and the error as JSON.
    InitError(String, Bytes),
    /// The invocation took longer than the function's timeout.
    TimedOut(Duration),
    /// The host stops.
    Stopped,
}

/// A failure with what the process wrote before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureReport<'a> {
    pub(super) failure: &'a Failure,
    /// It never asked for work.
    pub(super) during_init: bool,
    pub(super) output: &'a [u8],
}

impl Failure {
    pub(super) fn took_too_long(&self) -> bool {
        matches!(self, Failure::InitTimedOut(_))
    }

    fn name(&self) -> &str {
        match self {
            Failure::NotStarted(name, _) => name,
            Failure::Exited(_) | Failure::Stopped => "Runtime.ExitError",
            Failure::InitTimedOut(_) | Failure::TimedOut(_) => "Sandbox.Timedout",
            Failure::InitError(name, _) => name,
        }
    }

    /// What happened, without the request.
    pub(super) fn words(&self) -> String {
        match self {
            Failure::NotStarted(_, reason) => reason.clone(),
            // Lambda's words for a runtime that ends without an error.
            Failure::Exited(Exit::Code(0)) => {
                "Runtime exited without providing a reason".to_owned()
            }
            Failure::Exited(Exit::Code(code)) => {
                format!("Runtime exited with error: exit status {code}")
            }
            Failure::Exited(Exit::Signal(number)) => {
                format!("Runtime exited with error: signal: {}", signal(*number))
            }
            Failure::Exited(Exit::Unknown) => "Runtime exited with error: unknown".to_owned(),
            Failure::InitTimedOut(after) | Failure::TimedOut(after) => {
                format!("Task timed out after {:.2} seconds", after.as_secs_f64())
            }
            Failure::InitError(name, _) => format!("Runtime failed to start: {name}"),
            Failure::Stopped => "Runtime exited: the server stops".to_owned(),
        }
    }

    /// The outcome of an invocation that began.
    pub(super) fn outcome(&self, id: Uuid, log: Vec<u8>) -> Outcome {
        let report = FailureReport {
            failure: self,
            during_init: false,
            output: &[],
        };
        match report.outcome(id) {
            Outcome::Failed { error, payload, .. } => Outcome::Failed {
                error,
                payload,
                log,
            },
            other => other,
        }
    }
}

impl FailureReport<'_> {
    /// The outcome of an invocation that the failure hits.
    pub(super) fn outcome(&self, id: Uuid) -> Outcome {
        let log = self.output.to_vec();
        let error = self.failure.name().to_owned();
        let payload = match self.failure {
            Failure::InitError(_, payload) => payload.clone(),
            failure => {
                let message = format!("RequestId: {id} Error: {}{}", failure.words(), self.help());
                payload(&error, &message)
            }
        };
        Outcome::Failed {
            error,
            payload,
            log,
        }
    }

    /// What to do about a process that never asked for work, and the end of what it wrote.
    pub(super) fn help(&self) -> String {
        let mut help = String::new();
        let asked = "A function's process asks for work at the Lambda Runtime API, with a runtime client such as awslambdaric for Python.";
        match self.failure {
            Failure::Exited(_) if self.during_init => {
                let _ = write!(
                    help,
                    "\nThe process ended before it asked for work. {asked}"
                );
            }
            Failure::InitTimedOut(_) => {
                let _ = write!(help, "\nThe process did not ask for work. {asked}");
            }
            _ => {}
        }
        let lines = last_lines(self.output);
        if !lines.is_empty() {
            let _ = write!(help, "\nThe end of its output:\n{lines}");
        }
        help
    }
}

/// An error as Lambda answers it.
pub(super) fn payload(error: &str, message: &str) -> Bytes {
    json!({"errorType": error, "errorMessage": message})
        .to_string()
        .into()
}

/// The last lines of an output, whole ones where that is possible, at most
/// [`limits::SHOWN_OUTPUT_BYTES`].
fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let text = text.trim_end();
    if text.len() <= limits::SHOWN_OUTPUT_BYTES {
        return text.trim_start_matches('\n').to_owned();
    }
    let mut from = text.len() - limits::SHOWN_OUTPUT_BYTES;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = &text[from..];
    end.split_once('\n')
        .map_or(end, |(_, whole)| whole)
        .to_owned()
}

/// A signal in the words of Lambda's runtime supervisor, which is written in Go.
fn signal(number: i32) -> String {
    use rustix::process::Signal;
    let names = [
        (Signal::HUP, "hangup"),
        (Signal::INT, "interrupt"),
        (Signal::QUIT, "quit"),
        (Signal::ILL, "illegal instruction"),
        (Signal::TRAP, "trace/breakpoint trap"),
        (Signal::ABORT, "aborted"),
        (Signal::BUS, "bus error"),
        (Signal::FPE, "floating point exception"),
        (Signal::KILL, "killed"),
        (Signal::USR1, "user defined signal 1"),
        (Signal::SEGV, "segmentation fault"),
        (Signal::USR2, "user defined signal 2"),
        (Signal::PIPE, "broken pipe"),
        (Signal::ALARM, "alarm clock"),
        (Signal::TERM, "terminated"),
    ];
    let known = names.iter().find(|(known, _)| known.as_raw() == number);
    known.map_or_else(
        || format!("signal {number}"),
        |(_, name)| (*name).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: Failure, during_init: bool, output: &[u8]) -> String {
        let report = FailureReport {
            failure: &failure,
            during_init,
            output,
        };
        let Outcome::Failed { error, payload, .. } = report.outcome(Uuid::nil()) else {
            panic!("a failure")
        };
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["errorType"], *error);
        format!("{error}: {}", payload["errorMessage"].as_str().unwrap())
    }

    #[test]
    fn failures_have_lambdas_names_and_words() {
        let id = Uuid::nil();
        for (failure, expected) in [
            (
                Failure::Exited(Exit::Code(1)),
                "Runtime.ExitError: RequestId: {id} Error: Runtime exited with error: exit status 1",
            ),
            (
                Failure::Exited(Exit::Code(0)),
                "Runtime.ExitError: RequestId: {id} Error: Runtime exited without providing a reason",
            ),
            (
                Failure::Exited(Exit::Signal(9)),
                "Runtime.ExitError: RequestId: {id} Error: Runtime exited with error: signal: killed",
            ),
            (
                Failure::Exited(Exit::Signal(64)),
                "Runtime.ExitError: RequestId: {id} Error: Runtime exited with error: signal: signal 64",
            ),
            (
                Failure::TimedOut(Duration::from_secs(3)),
                "Sandbox.Timedout: RequestId: {id} Error: Task timed out after 3.00 seconds",
            ),
            (
                Failure::NotStarted(
                    "Runtime.InvalidEntrypoint",
                    "fork/exec /f: no such file or directory".to_owned(),
                ),
                "Runtime.InvalidEntrypoint: RequestId: {id} Error: fork/exec /f: no such file or directory",
            ),
        ] {
            let expected = expected.replace("{id}", &id.to_string());
            assert_eq!(message(failure, false, b""), expected);
        }
    }

    #[test]
    fn the_end_of_the_output_is_shown_up_to_its_limit() {
        let said = message(Failure::Exited(Exit::Code(1)), true, b"\n\nno module\n");
        assert!(said.contains("before it asked for work"), "{said}");
        assert!(
            said.ends_with("The end of its output:\nno module"),
            "{said}"
        );
        let most = "x".repeat(limits::SHOWN_OUTPUT_BYTES);
        assert_eq!(last_lines(most.as_bytes()), most);
        let over = format!("first line\n{most}\u{fc}y");
        assert!(last_lines(over.as_bytes()).len() <= limits::SHOWN_OUTPUT_BYTES);
        let lines = format!("{}\nlast", "\u{fc}".repeat(limits::SHOWN_OUTPUT_BYTES));
        assert_eq!(last_lines(lines.as_bytes()), "last");
    }
}
