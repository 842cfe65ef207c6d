//! The errors of a command: a message for people, and an exit status for scripts.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::log::filter::FilterError;
use crate::printable::printable;
use crate::server::ServeError;

/// Exit status of a command that failed.
pub(crate) const FAILED: u8 = 1;
/// Exit status for an invalid command line or configuration, as clap has it.
pub(crate) const USAGE: u8 = 2;
/// Base of the exit status after a signal, as in shells: this plus the signal's number.
pub(crate) const SIGNALLED: u8 = 128;
/// Exit status of a watch whose output is closed: 128 plus the number of SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Flags that are well-formed but contradict each other or the input.
    #[error("{0}")]
    Usage(String),
    /// The configuration is invalid.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The log filter is invalid.
    #[error("log is `{filter}`, which is not a valid filter: {source}")]
    Log {
        /// The filter.
        filter: String,
        /// The error of the filter.
        source: FilterError,
    },
    /// The server could not start, or failed.
    #[error("{0}")]
    Serve(#[from] ServeError),
    /// No server answers.
    #[error(
        "no server answers at {url}: {reason}\nStart one with `jobcast serve`, or give its address with --url or JOBCAST_URL"
    )]
    Unreachable {
        /// The server's address.
        url: String,
        /// The error of the connection.
        reason: String,
    },
    /// The connection was lost.
    #[error("the connection to {url} was lost: {reason}")]
    Lost {
        /// The server's address.
        url: String,
        /// The error of the connection.
        reason: String,
    },
    /// The address belongs to another server.
    #[error(
        "the server at {url} is not a Jobcast server: {}\nGive the address of one with --url or JOBCAST_URL",
        printable(reason)
    )]
    NotJobcast {
        /// The address.
        url: String,
        /// The response that it sent.
        reason: String,
    },
    /// The server refused the request.
    #[error("{}{}", printable(message), advice(code))]
    Refused {
        /// The error's code, `errorType`.
        code: String,
        /// Its message.
        message: String,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The demo failed.
    #[error("{0}")]
    Demo(String),
    /// A sample function ended.
    #[error("{0}")]
    Function(functions::lambda_runtime::Error),
    /// The system refuses a thread or a file to this process.
    #[error("the process cannot run: {0}")]
    Runtime(std::io::Error),
    /// Ctrl-C, or another signal that ends the command.
    #[error("{said}")]
    Interrupted {
        /// The signal's number.
        signal: i32,
        /// The message for the user.
        said: String,
    },
}

impl CliError {
    /// The error that the file at `path` could not be read or written.
    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> CliError {
        CliError::File {
            path: path.into(),
            source,
        }
    }

    /// The error that this log filter is invalid.
    pub(crate) fn log(filter: &str, source: FilterError) -> CliError {
        CliError::Log {
            filter: filter.to_owned(),
            source,
        }
    }

    /// The error in a few words.
    pub(crate) fn brief(&self) -> String {
        match self {
            CliError::Unreachable { reason, .. } | CliError::Lost { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            CliError::Usage(_) | CliError::Config(_) | CliError::Log { .. } => USAGE,
            CliError::Interrupted { signal, .. } => {
                SIGNALLED.saturating_add(u8::try_from(*signal).unwrap_or(0))
            }
            _ => FAILED,
        }
    }
}

/// Advice that the command line adds to the server's message.
fn advice(code: &str) -> &'static str {
    match code {
        "UnknownJobType" => "\n`jobcast types` lists them with their steps",
        "InvalidInput" => "\n`jobcast types NAME` prints the schema of a type's input",
        "UnauthorizedException" | "Unauthorized" => {
            "\nThe API key comes from the variable JOBCAST_API_KEY, or from --api-key"
        }
        _ => "",
    }
}
