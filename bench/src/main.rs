//! `jobcast-bench`: reproduces the published numbers. Each benchmark is independent: it has a new
//! data directory on a real disk, its own server process if the goal is about a server, a bounded
//! amount of work, and figures next to their goals.
//!
//! | module | what |
//! |---|---|
//! | `chain3`, `submit`, `updates`, `watch`, `reconnect`, `start`, `memory`, `list`, `hostile`, `workflow`, `publish_batches` | the benchmarks |
//! | `disk` | baselines of the disk and SQLite, in the same run |
//! | `hostile_requests` | the requests of `hostile`, which the integration tests send too |
//! | `report` | figures and their goals, as text, Markdown and JSON |
//! | `server` | the server process |
//! | `place` | directories that are removed again |
//! | `usage` | CPU time and memory from `/proc` |
//! | `http`, `socket` | the load client |
//! | `threads` | worker threads for code that runs in this process |

mod chain3;
mod disk;
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

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use self::place::Place;
use self::report::{Format, Report, Section};
use self::server::{Setting, program_beside};

/// The allocator of the server, since some benchmarks run its modules in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An error of a benchmark. It is only shown to the user.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measure Jobcast on this machine, and print the figures next to their goals
///
/// Each benchmark creates its own data directory and servers, and removes them. The exit status is
/// 0 if the benchmarks ran, even if goals were not met, unless `--fail-at` is given.
#[derive(Clone, Debug, Parser)]
#[command(name = "jobcast-bench", version)]
struct BenchArgs {
    /// The benchmarks to run; by default all
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown tables
    #[arg(long)]
    markdown: bool,
    /// Directory for the data, on the disk that is to be measured; each benchmark creates its own
    /// directory below it and removes it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The `jobcast` program to measure; by default the one in the directory of this program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// End with exit status 1 if a figure misses its goal by more than this factor
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    fail_at: Option<f64>,
    /// Duration of each measured phase in seconds
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Numbers of outstanding jobs (chain3)
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256], value_parser = outstanding)]
    outstanding: Vec<usize>,
    /// How chain3 receives an end: one subscription for each job, or one live list for all
    #[arg(long, value_enum, default_value_t)]
    learn: chain3::Learn,
    /// The functions' client of the Runtime API (chain3): a minimal one, or the library of most
    /// Rust functions
    #[arg(long, value_enum, default_value_t)]
    runtime: chain3::Runtime,
    /// Number of processes of each function (chain3)
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// Number of concurrent writers (updates)
    #[arg(long, default_value_t = 256)]
    writers: usize,
    /// Number of watchers that reconnect at once (reconnect)
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
    /// Number of finished jobs in the store (start)
    #[arg(long, default_value_t = 100_000)]
    finished: usize,
    /// Number of open jobs (memory) and open executions (recovery in workflow)
    #[arg(long, default_value_t = 10_000)]
    open: usize,
    /// Number of requests for each filter (list)
    #[arg(long, default_value_t = 60)]
    requests: usize,
    /// Number of jobs in the store (list)
    #[arg(long, default_value_t = 1_000_000)]
    jobs: usize,
    /// Number of concurrent executions (workflow)
    #[arg(long, default_value_t = 256)]
    executions: usize,
    /// Number of items of the Map (workflow)
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Number of waiting executions (workflow)
    #[arg(long, default_value_t = 1_000_000)]
    waiting: usize,
    /// Run as a benchmark's child process
    #[arg(long, value_enum, hide = true, requires_all = ["data", "count"])]
    role: Option<workflow::child::Role>,
    #[arg(long, hide = true)]
    count: Option<usize>,
}

fn outstanding(text: &str) -> std::result::Result<usize, String> {
    let count: usize = text.parse().map_err(|_| format!("`{text}` is no count"))?;
    (1..=10_000)
        .contains(&count)
        .then_some(count)
        .ok_or_else(|| format!("{count} is not from 1 to 10000"))
}

fn factor(text: &str) -> std::result::Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    (1.0..=1_000.0)
        .contains(&factor)
        .then_some(factor)
        .ok_or_else(|| format!("{factor} is not from 1 to 1000"))
}

impl BenchArgs {
    fn phase(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Duration of the warm-up.
    fn warm_up(&self) -> Duration {
        self.phase() / 4
    }

    fn place(&self, name: &str) -> Result<Place> {
        Place::new(self.data.as_deref(), name)
    }

    /// The configuration of the measured server in this directory.
    fn setting(&self, place: &Place) -> Result<Setting> {
        let program = match &self.server {
            Some(program) => program.clone(),
            None => program_beside(&std::env::current_exe()?)?,
        };
        Setting::new(program, place.path())
    }
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The whole job: submit, three functions one after another, the end received by subscription.
    Chain3,
    /// Time until a submit is acknowledged, at low load.
    Submit,
    /// Durable updates of jobs per second, with many concurrent writers.
    Updates,
    /// From the commit to one watcher's socket.
    Watch,
    /// The server is killed and started again: time until all watchers have reconnected and are
    /// current.
    Reconnect,
    /// Time from the server's start until it answers, with many finished jobs.
    Start,
    /// The server's memory: idle, and with many open jobs.
    Memory,
    /// The first page of a list of a million jobs, by every filter.
    List,
    /// Hostile requests: time until each is refused, and delay of other callers meanwhile.
    Hostile,
    /// The engine alone: transitions, executions, a large Map, memory of waiting executions,
    /// recovery after a crash.
    Workflow,
    /// The functions on AWS Lambda: records of the table's stream per second through one process,
    /// and time until each function asks for its first event.
    PublishBatches,
}

impl Name {
    async fn run(self, args: &BenchArgs) -> Result<Section> {
        match self {
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
                ran = name.run(args) => ran,
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

fn child(role: workflow::child::Role, args: &BenchArgs) -> Result<()> {
    let place = args.data.as_deref().ok_or("a child needs --data")?;
    let count = args.count.ok_or("a child needs --count")?;
    // A runtime like the server's, since the work of a child is measured too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(json::THREAD_STACK)
        .build()?;
    runtime.block_on(role.play(place, count))
}
