//! The command line. It reads flags, calls the server as any other client does, and prints; what may be done to a job is decided by the
//! server. Only `serve`, `demo`, `types --check`, `create-table` and `function` do without one.
//!
//! | file | what |
//! |---|---|
//! | `serve` | `serve`, and how a signal stops it |
//! | `client`, `error` | GraphQL over HTTP, and what can go wrong |
//! | `socket`, `follow` | one job over graphql-transport-ws; the same across lost connections |
//! | `watch`, `bars`, `lines` | `watch`, and its two ways to show a job that runs |
//! | `submit`, `upload` | `submit`, and where the address of a file goes |
//! | `list`, `get`, `steer`, `types`, `history` | the commands of these names; `steer` has `cancel`, `retry`, `resume` |
//! | `demo`, `samples` | `demo` |
//! | `create_table` | `create-table`, for `[aws]` |
//! | `bench` | `bench`: the published figures |
//! | `job`, `output`, `text` | a job as a client sees it; what is printed; texts that cannot act on a terminal |
//! | `signals`, `terminal` | signals that end a command; the terminal below the bars |

mod bars;
mod bench;
mod check;
mod client;
mod create_table;
mod demo;
mod error;
mod follow;
mod get;
mod history;
mod job;
mod lines;
mod list;
mod output;
mod samples;
mod serve;
mod signals;
mod socket;
mod steer;
mod submit;
mod terminal;
mod text;
mod types;
mod upload;
mod watch;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::colour;
use crate::config::ServeFlags;
use error::CliError;

/// A real-time job-status service: submit jobs over GraphQL, run them as Step Functions, watch them live.
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
    Watch(watch::Watch),
    List(list::List),
    Get(get::Get),
    Cancel(steer::Cancel),
    Retry(steer::Retry),
    Resume(steer::Resume),
    Types(types::Types),
    History(history::History),
    CreateTable(create_table::CreateTable),
    Bench(bench::BenchArgs),
    /// Runs one of the sample functions under the Lambda Runtime API; `serve` does it by itself
    #[command(hide = true)]
    Function {
        /// The function
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(examples::FUNCTIONS.iter().chain(examples::NOOPS)))]
        name: String,
    },
}

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// What was asked for was done, and the job that was watched, if any, succeeded.
    Succeeded,
    /// It was done, and the job that was watched did not succeed.
    Failed,
}

/// The hidden command that supervises a function's process: the words that follow are the function's command.
pub const SUPERVISE: &str = "supervise";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before anything else: there is one such process for each of a function's, and it stays small.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == SUPERVISE) {
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
        Command::Watch(watch) => on_one_thread(watch.run()),
        Command::List(list) => on_one_thread(list.run()),
        Command::Get(get) => on_one_thread(get.run()),
        Command::Cancel(cancel) => on_one_thread(cancel.run()),
        Command::Retry(retry) => on_one_thread(retry.run()),
        Command::Resume(resume) => on_one_thread(resume.run()),
        Command::Types(types) => on_one_thread(types.run()),
        Command::History(history) => on_one_thread(history.run()),
        Command::CreateTable(create) => on_one_thread(create.run()),
        Command::Bench(bench) => Ok(bench::run(&bench)),
        // One invocation at a time: one thread does, and blocking work gets its own.
        Command::Function { name } => on_one_thread(async move {
            examples::run(&name).await.map_err(CliError::Function)?;
            Ok(Outcome::Succeeded)
        }),
    }
}

/// What may stand on the command line. The options of `serve` are shown where its help is.
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
    // Executions walk values that nest deeply; of the stack only what is used takes memory.
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
    fn the_flags_do_not_contradict_one_another() {
        super::command_line().debug_assert();
    }
}
