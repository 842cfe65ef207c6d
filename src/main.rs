//! The `jobcast` binary: the command line of [`jobcast::cli`] and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    jobcast::cli::main()
}
