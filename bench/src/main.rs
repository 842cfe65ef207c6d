//! `jobcast-bench`: reproduces the published numbers. Each benchmark is independent: it has a new
//! data directory on a real disk, its own server process if the goal is about a server, a bounded
//! amount of work, and figures next to their goals.
//!
//! | module | what |
//! |---|---|
//! | `chain3`, `submit`, `updates`, `watch`, `reconnect`, `start`, `memory`, `list`, `hostile`, `workflow`, `publish_batches` | the benchmarks |
//! | `args` | the command line |
//! | `disk` | baselines of the disk and SQLite, in the same run |
//! | `hostile_requests` | the requests of `hostile`, which the integration tests send too |
//! | `report` | figures and their goals, as text, Markdown and JSON |
//! | `server` | the server process |
//! | `place` | directories that are removed again |
//! | `usage` | CPU time and memory from `/proc` |
//! | `http`, `socket` | the load client |
//! | `threads` | worker threads for code that runs in this process |

mod args;
mod chain3;
mod disk;
mod error;
mod hostile;
mod hostile_requests;
mod http;
mod list;
mod memory;
mod place;
mod publish_batches;
mod reconnect;
mod report;
mod server;
mod socket;
mod start;
mod submit;
mod threads;
mod updates;
mod usage;
mod watch;
mod workflow;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use self::args::{BenchArgs, Name, Role};
use self::error::Result;
use self::report::{Format, Report, Section};

/// The allocator of the server, since some benchmarks run its modules in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs a benchmark.
async fn run(name: Name, args: &BenchArgs) -> Result<Section> {
    match name {
        Name::Chain3 => chain3::run(args).await,
        Name::Submit => submit::run(args).await,
        Name::Updates => updates::run(args).await,
        Name::Watch => watch::run(args).await,
        Name::Reconnect => reconnect::run(args).await,
        Name::Start => start::run(args).await,
        Name::Memory => memory::run(args).await,
        Name::List => list::run(args).await,
        Name::Hostile => hostile::run(args).await,
        Name::Workflow => workflow::run(args).await,
        Name::PublishBatches => publish_batches::run(args).await,
    }
}

fn main() -> ExitCode {
    let args = BenchArgs::parse();
    let ran = match args.role {
        Some(role) => child(role, &args),
        None => all(&args),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn all(args: &BenchArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let names = if args.names.is_empty() {
        Name::value_variants()
    } else {
        &args.names
    };
    let mut report = Report::new(match (args.json, args.markdown) {
        (true, _) => Format::Json,
        (_, true) => Format::Markdown,
        _ => Format::Text,
    });
    for name in names {
        let ran = runtime.block_on(async {
            tokio::select! {
                ran = run(*name, args) => ran,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            }
        });
        match ran {
            Ok(section) => report.add(section),
            Err(error) => {
                report.end();
                return Err(format!("{name:?}: {error}").into());
            }
        }
    }
    report.end();
    let Some(factor) = args.fail_at else {
        return Ok(());
    };
    let missed = report.missed_by(factor);
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "missed by more than {factor} times the goal:\n  {}",
        missed.join("\n  ")
    )
    .into())
}

fn child(role: Role, args: &BenchArgs) -> Result<()> {
    let place = args.data.as_deref().ok_or("a child needs --data")?;
    let count = args.count.ok_or("a child needs --count")?;
    // A runtime like the server's, since the work of a child is measured too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(json::THREAD_STACK)
        .build()?;
    runtime.block_on(workflow::play(role, place, count))
}
