//! `jobcast bench`: reproduces the published numbers. Each benchmark stands alone: a fresh data directory on a real disk, where the goal
//! speaks of the server a child process of this same program, a bounded amount of work, figures next to their goals.
//!
//! | module | what |
//! |---|---|
//! | `chain3`, `submit`, `updates`, `watch`, `reconnect`, `start`, `memory`, `list`, `hostile`, `workflow` | the benchmarks |
//! | `disk` | what the disk and SQLite can do by themselves, in the same run |
//! | `report` | figures and their goals, as text, Markdown and JSON |
//! | `server` | the child process |
//! | `place` | directories that are removed again |
//! | `usage` | CPU time and memory from `/proc` |
//! | `http`, `socket` | the load client |
//! | `threads` | worker threads for what runs in this process |

mod chain3;
mod disk;
mod hostile;
mod http;
mod list;
mod memory;
mod place;
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
use std::time::Duration;

use clap::ValueEnum;

use self::place::Place;
use self::report::{Format, Report, Section};
use super::Outcome;

/// What can go wrong in a benchmark: it is only told to the person who runs it.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measure this program on this machine, and print the figures next to their goals
///
/// Each benchmark makes its own data directory and servers, and removes them. Exit status 0: it ran, whether the goals were met or not, unless `--fail-at` says otherwise.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// What to measure; without a name, everything
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown tables
    #[arg(long)]
    markdown: bool,
    /// Directory for the data; each benchmark makes its own below it and removes it. It should be on the disk that is to be measured
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End with exit status 1 when a figure misses its goal by more than this factor
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    fail_at: Option<f64>,
    /// Seconds of each measured phase
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Jobs outstanding at once (chain3)
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256], value_parser = outstanding)]
    outstanding: Vec<usize>,
    /// How chain3 learns of an end: one subscription for each job, or one live list for all
    #[arg(long, value_enum, default_value_t)]
    learn: chain3::Learn,
    /// What the functions speak the Runtime API with (chain3): as little as there can be, or the library of most Rust functions
    #[arg(long, value_enum, default_value_t)]
    runtime: chain3::Runtime,
    /// Processes of each function (chain3)
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// Writers at once (updates)
    #[arg(long, default_value_t = 256)]
    writers: usize,
    /// Watchers that come back at once (reconnect)
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
    /// Finished jobs in the store (start)
    #[arg(long, default_value_t = 100_000)]
    finished: usize,
    /// Open jobs (memory) and open executions (recovery in workflow)
    #[arg(long, default_value_t = 10_000)]
    open: usize,
    /// Requests for each filter (list)
    #[arg(long, default_value_t = 60)]
    requests: usize,
    /// Jobs in the store (list)
    #[arg(long, default_value_t = 1_000_000)]
    jobs: usize,
    /// Executions at once (workflow)
    #[arg(long, default_value_t = 256)]
    executions: usize,
    /// Items of the Map (workflow)
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Executions that wait (workflow)
    #[arg(long, default_value_t = 1_000_000)]
    waiting: usize,
    /// Be a benchmark's child process
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

    /// Before anything is measured.
    fn warm_up(&self) -> Duration {
        self.phase() / 4
    }

    fn place(&self, name: &str) -> Result<Place> {
        Place::new(self.data.as_deref(), name)
    }
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The whole job: submit, three functions one after another, the end learned by subscription.
    Chain3,
    /// How long a submit takes until it is acknowledged, at low load.
    Submit,
    /// Durable updates of jobs per second, many writers at once.
    Updates,
    /// From the commit to one watcher's socket.
    Watch,
    /// The server is killed and started again: until all watchers have come back and are current.
    Reconnect,
    /// The start of the server until it answers, with many finished jobs.
    Start,
    /// The server's memory: idle, and with many open jobs.
    Memory,
    /// The first page of a list of a million jobs, by every filter.
    List,
    /// Requests that attack: how soon each is refused, and how long honest callers wait meanwhile.
    Hostile,
    /// The engine by itself: transitions, executions, a large Map, memory of waiting executions, recovery after a crash.
    Workflow,
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
        }
    }
}

/// Runs the benchmarks and prints what they found.
pub(super) fn run(args: &BenchArgs) -> Outcome {
    match args.role {
        Some(role) => child(role, args),
        None => all(args),
    }
    .map_or_else(
        |error| {
            eprintln!("{error}");
            Outcome::Failed
        },
        |()| Outcome::Succeeded,
    )
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
    // A server's runtime: what a child does is measured too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(json::THREAD_STACK)
        .build()?;
    runtime.block_on(role.play(place, count))
}
