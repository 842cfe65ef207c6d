//! What can go wrong in a command: the message for the person, and the exit status for the script.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::log::filter::FilterError;
use crate::printable::printable;
use crate::server::ServeError;

/// Exit status of a command that failed.
pub(super) const FAILED: u8 = 1;
/// Exit status of a command line or configuration that is wrong; clap's own too.
pub(super) const USAGE: u8 = 2;
/// Exit status after a signal, as shells have it: this and the signal's number.
pub(super) const SIGNALLED: u8 = 128;
/// Exit status of a watch whose output nobody reads any more: 128 and the number of SIGPIPE.
pub(super) const BROKEN_PIPE: u8 = 141;

/// Why a command ends without having done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Flags that are well-formed and still wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The log filter.
    #[error("log is `{filter}`, and that is not a filter: {source}")]
    Log {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: FilterError,
    },
    /// The server does not start, or broke.
    #[error("{0}")]
    Serve(#[from] ServeError),
    /// Nobody answers.
    #[error(
        "no server answers at {url}: {reason}\nStart one with `jobcast serve`, or say where it is with --url or JOBCAST_URL"
    )]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// The server was there and went away.
    #[error("the connection to {url} was lost: {reason}")]
    Lost {
        /// The server's address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// Somebody else answers.
    #[error(
        "what answers at {url} is not a Jobcast server: {}\nSay where the server is with --url or JOBCAST_URL",
        printable(reason)
    )]
    NotJobcast {
        /// The address.
        url: String,
        /// What came.
        reason: String,
    },
    /// The server says no.
    #[error("{}{}", printable(message), advice(code))]
    Refused {
        /// The error's code, `errorType`.
        code: String,
        /// Its message.
        message: String,
    },
    /// A file cannot be used.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The demo did not go as it should.
    #[error("{0}")]
    Demo(String),
    /// A sample function ended.
    #[error("{0}")]
    Function(functions::lambda_runtime::Error),
    /// The machine has no thread or file for this process.
    #[error("the process cannot run: {0}")]
    Runtime(std::io::Error),
    /// Ctrl-C, or another signal that ends the command.
    #[error("{said}")]
    Interrupted {
        /// The signal's number.
        signal: i32,
        /// What a person should know.
        said: String,
    },
}

impl CliError {
    /// What happened, in a few words.
    pub(super) fn brief(&self) -> String {
        match self {
            CliError::Unreachable { reason, .. } | CliError::Lost { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        match self {
            CliError::Usage(_) | CliError::Config(_) | CliError::Log { .. } => USAGE,
            CliError::Interrupted { signal, .. } => {
                SIGNALLED.saturating_add(u8::try_from(*signal).unwrap_or(0))
            }
            _ => FAILED,
        }
    }
}

/// What the command line can add to the server's own words.
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
