//! The command line of the benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::error::Result;
use crate::place::Place;
use crate::server::{Setting, program_beside};

/// Measure Jobcast on this machine, and print the figures next to their goals
///
/// Each benchmark creates its own data directory and servers, and removes them. The exit status is
/// 0 if the benchmarks ran, even if goals were not met, unless `--fail-at` is given.
#[derive(Clone, Debug, Parser)]
#[command(name = "jobcast-bench", version)]
pub(crate) struct BenchArgs {
    /// The benchmarks to run; by default all
    #[arg(value_enum)]
    pub(crate) names: Vec<Name>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print Markdown tables
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Directory for the data, on the disk that is to be measured; each benchmark creates its own
    /// directory below it and removes it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The `jobcast` program to measure; by default the one in the directory of this program
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
    /// End with exit status 1 if a figure misses its goal by more than this factor
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub(crate) fail_at: Option<f64>,
    /// Duration of each measured phase in seconds
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Numbers of outstanding jobs (chain3)
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256], value_parser = outstanding)]
    pub(crate) outstanding: Vec<usize>,
    /// How chain3 receives an end: one subscription for each job, or one live list for all
    #[arg(long, value_enum, default_value_t)]
    pub(crate) learn: Learn,
    /// The functions' client of the Runtime API (chain3): a minimal one, or the library of most
    /// Rust functions
    #[arg(long, value_enum, default_value_t)]
    pub(crate) runtime: Runtime,
    /// Number of processes of each function (chain3)
    #[arg(long, default_value_t = 2)]
    pub(crate) processes: usize,
    /// Number of concurrent writers (updates)
    #[arg(long, default_value_t = 256)]
    pub(crate) writers: usize,
    /// Number of watchers that reconnect at once (reconnect)
    #[arg(long, default_value_t = 10_000)]
    pub(crate) watchers: usize,
    /// Number of finished jobs in the store (start)
    #[arg(long, default_value_t = 100_000)]
    pub(crate) finished: usize,
    /// Number of open jobs (memory) and open executions (recovery in workflow)
    #[arg(long, default_value_t = 10_000)]
    pub(crate) open: usize,
    /// Number of requests for each filter (list)
    #[arg(long, default_value_t = 60)]
    pub(crate) requests: usize,
    /// Number of jobs in the store (list)
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) jobs: usize,
    /// Number of concurrent executions (workflow)
    #[arg(long, default_value_t = 256)]
    pub(crate) executions: usize,
    /// Number of items of the Map (workflow)
    #[arg(long, default_value_t = 10_000)]
    pub(crate) items: usize,
    /// Number of waiting executions (workflow)
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) waiting: usize,
    /// Run as a benchmark's child process
    #[arg(long, value_enum, hide = true, requires_all = ["data", "count"])]
    pub(crate) role: Option<Role>,
    #[arg(long, hide = true)]
    pub(crate) count: Option<usize>,
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
    pub(crate) fn phase(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Duration of the warm-up.
    pub(crate) fn warm_up(&self) -> Duration {
        self.phase() / 4
    }

    pub(crate) fn place(&self, name: &str) -> Result<Place> {
        Place::new(self.data.as_deref(), name)
    }

    /// The configuration of the measured server in this directory.
    pub(crate) fn setting(&self, place: &Place) -> Result<Setting> {
        let program = match &self.server {
            Some(program) => program.clone(),
            None => program_beside(&std::env::current_exe()?)?,
        };
        Setting::new(program, place.path())
    }
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
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

/// How the client receives the end of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Learn {
    /// One `onJob` subscription for each job.
    #[default]
    Job,
    /// One `onJobs` subscription for all jobs that end.
    List,
}

/// The client of the Runtime API in the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// One blocking connection and no library.
    #[default]
    Bare,
    /// The crate `lambda_runtime`, below the crate `functions`.
    LambdaRuntime,
}

/// The task of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Starts executions that wait.
    Wait,
    /// Starts executions whose tasks are never answered.
    Begin,
    /// Continues them.
    GoOn,
}
