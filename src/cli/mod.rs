//! The command line. It reads flags, calls the server as any other client does, and prints. The
//! server decides what may be done to a job. Only `serve`, `demo`, `config`, `types --check`,
//! `create-table` and `function` need no server.
//!
//! | module | what |
//! |---|---|
//! | `commands` | one module for each command; `control` has `cancel`, `retry` and `resume` |
//! | `client` | the server as a client sees it: HTTP, WebSocket |
//! | `outcome`, `error` | how a command ended |
//! | `show` | printing: texts, tables, JSON, a running job |
//! | `signals` | signals that end a command |

mod client;
mod commands;
mod error;
mod outcome;
mod show;
mod signals;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::colour;
use crate::config::ServeFlags;
use commands::{
    config, control, create_table, demo, dlq, enqueue, get, history, list, serve, submit, types,
    watch,
};
use error::CliError;
use outcome::Outcome;
use show::output;

/// A real-time job-status service: submit jobs over GraphQL, run them as Step Functions, watch them
/// live
///
/// Without a command it serves, as `jobcast serve` does.
#[derive(Debug, Parser)]
#[command(
    name = "jobcast",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "The options of `jobcast serve` may be given without a command too: `jobcast serve --help` has them and all settings.\n\n\
        Exit status: 0 it succeeded; 1 it failed, or the watched job did; 2 the command line or the configuration is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Submit(submit::Submit),
    Enqueue(enqueue::Enqueue),
    Watch(watch::Watch),
    List(list::List),
    Get(get::Get),
    Cancel(control::Cancel),
    Retry(control::Retry),
    Resume(control::Resume),
    Types(types::Types),
    History(history::History),
    Dlq(dlq::Dlq),
    Config(config::PrintConfig),
    CreateTable(create_table::CreateTable),
    /// Runs one of the sample functions under the Lambda Runtime API; `serve` starts it by itself
    #[command(hide = true)]
    Function {
        /// The function
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(samples::FUNCTIONS.iter().chain(samples::NOOPS)))]
        name: String,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // This must run first: there is one such process for each function process, and it must stay
    // small.
    let mut words = std::env::args_os().skip(1);
    if words
        .next()
        .is_some_and(|word| word == crate::server::SUPERVISE)
    {
        return workflow::lambda::supervisor::supervise(&words.collect::<Vec<_>>());
    }
    if !colour::is_allowed() && !colour::is_forced() {
        anstream::ColorChoice::Never.write_global();
    }
    let matches = command_line().try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return output::refuse(&error),
    };
    let command = cli
        .command
        .unwrap_or(Command::Serve(serve::Serve { flags: cli.serve }));
    match run(command) {
        Ok(Outcome::Succeeded) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(error.status())
        }
    }
}

fn run(command: Command) -> Result<Outcome, CliError> {
    match command {
        Command::Serve(serve) => on_all_cores(serve.run()),
        Command::Demo(demo) => on_all_cores(demo.run()),
        Command::Submit(submit) => on_one_thread(submit.run()),
        Command::Enqueue(enqueue) => on_one_thread(enqueue.run()),
        Command::Watch(watch) => on_one_thread(watch.run()),
        Command::List(list) => on_one_thread(list.run()),
        Command::Get(get) => on_one_thread(get.run()),
        Command::Cancel(cancel) => on_one_thread(cancel.run()),
        Command::Retry(retry) => on_one_thread(retry.run()),
        Command::Resume(resume) => on_one_thread(resume.run()),
        Command::Types(types) => on_one_thread(types.run()),
        Command::History(history) => on_one_thread(history.run()),
        Command::Dlq(dlq) => on_one_thread(dlq.run()),
        Command::Config(config) => config.run(),
        Command::CreateTable(create) => on_one_thread(create.run()),
        // A function has one invocation at a time, so one thread is enough; blocking work gets its
        // own threads.
        Command::Function { name } => on_one_thread(async move {
            samples::run(&name).await.map_err(CliError::Function)?;
            Ok(Outcome::Succeeded)
        }),
    }
}

/// The command line. The options of `serve` are shown in its own help only.
fn command_line() -> clap::Command {
    Cli::command().mut_args(|argument| argument.hide(true))
}

type Ran = Result<Outcome, CliError>;

fn on_all_cores(command: impl Future<Output = Ran>) -> Ran {
    block_on(&mut tokio::runtime::Builder::new_multi_thread(), command)
}

fn on_one_thread(command: impl Future<Output = Ran>) -> Ran {
    block_on(&mut tokio::runtime::Builder::new_current_thread(), command)
}

fn block_on(builder: &mut tokio::runtime::Builder, command: impl Future<Output = Ran>) -> Ran {
    // Executions walk deeply nested values. Only the used part of the stack takes memory.
    let builder = builder.thread_stack_size(json::THREAD_STACK);
    let runtime = builder.enable_all().build().map_err(CliError::Runtime)?;
    let ran = runtime.block_on(command);
    // A thread that still reads standard input would keep the process alive.
    runtime.shutdown_background();
    ran
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command_line().debug_assert();
    }
}
