//! `demo`: runs the sample jobs on sample files, from the upload to the result, in one process: a
//! server with its own data directory, and a client that connects over HTTP and WebSocket as any
//! other client does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::future::try_join_all;
use indicatif::MultiProgress;
use job::Status;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::client::follow::follow;
use crate::cli::client::http::{Client, Server};
use crate::cli::commands::demo_jobs::{SAMPLES, Sample};
use crate::cli::commands::submit::{random_token, submit};
use crate::cli::commands::upload::upload;
use crate::cli::commands::watch::headline;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::bars::Bars;
use crate::cli::show::job::Seen;
use crate::cli::show::lines::Lines;
use crate::cli::show::output::{is_interactive, print, print_json};
use crate::cli::show::terminal::Quiet;
use crate::cli::show::text::{BOLD, DIM, paint, text};
use crate::cli::signals::until_interrupted;
use crate::config::Config;
use crate::server::{ServeError, serve};

/// Runs the sample job types on sample photographs and a table, and prints where the results are
///
/// It needs nothing else: it starts a server in its own process, on a free port of this machine.
/// One photograph is damaged; its job is expected to fail.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Directory of the database and the files [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keeps the server running afterwards, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Prints only JSON: one document per line for each finished job
    #[arg(long)]
    json: bool,
    /// Log filter of the server inside
    #[arg(
        long,
        env = "JOBCAST_LOG",
        value_name = "FILTER",
        default_value = "error",
        hide_env_values = true
    )]
    log: String,
}

/// The server inside this process.
struct Inside {
    address: SocketAddr,
    data: PathBuf,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let data = match &self.data {
            Some(data) => std::path::absolute(data).map_err(CliError::Runtime)?,
            None => fresh_directory(),
        };
        let config = Config::samples_only(data);
        crate::log::init(&self.log, config.log_format)
            .map_err(|source| CliError::log(&self.log, source))?;
        let inside = Inside::start(config).await?;
        let interrupted = || {
            format!(
                "interrupted; the data so far is in {}",
                inside.data.display()
            )
        };
        let ran = until_interrupted(self.show(&inside), interrupted).await;
        let ran = match ran {
            Ok(outcome) if self.serve => until_interrupted(std::future::pending(), String::new)
                .await
                .or_else(|_: CliError| Ok(outcome)),
            ran => ran,
        };
        inside.stop().await?;
        ran
    }

    async fn show(&self, inside: &Inside) -> Result<Outcome, CliError> {
        let client = Server::at(format!("http://{}", inside.address), self.json).client()?;
        if !self.json {
            print(format_args!(
                "serving on http://{} with the data in {}",
                inside.address,
                inside.data.display()
            ));
        }
        let multi = (is_interactive() && !self.json).then(MultiProgress::new);
        let quiet = multi.as_ref().map(|_| Quiet::begin());
        let width = SAMPLES
            .iter()
            .map(|sample| sample.name.len())
            .max()
            .unwrap_or(0);
        let jobs = SAMPLES
            .iter()
            .map(|sample| run_one(&client, sample, multi.as_ref(), width, self.json));
        let jobs = try_join_all(jobs).await?;
        drop(quiet);
        let mut unexpected = Vec::new();
        for (sample, seen) in SAMPLES.iter().zip(&jobs) {
            if !is_expected(sample, seen) {
                unexpected.push(format!("{} is {}", sample.name, seen.job.status));
            }
            if self.json {
                print_json(&seen.json);
            } else {
                report(inside, sample, seen);
            }
        }
        if !unexpected.is_empty() {
            return Err(CliError::Demo(format!(
                "the demo failed: {}; the log says more: jobcast demo --log debug",
                unexpected.join(", ")
            )));
        }
        if !self.json {
            self.what_next(inside, &jobs[0]);
        }
        Ok(Outcome::Succeeded)
    }

    fn what_next(&self, inside: &Inside, first: &Seen) {
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "jobcast".to_owned());
        let (address, data, id) = (inside.address, quoted(&inside.data), first.job.id);
        let heading = |text: &str| {
            print("");
            print(paint(BOLD, text));
        };
        if self.serve {
            heading("The results and GraphiQL are served until Ctrl-C");
            print(format_args!("  http://{address}/"));
        } else {
            heading("To open the addresses above, and GraphiQL, serve them again");
            print(format_args!(
                "  {program} serve --listen {address} --data {data}"
            ));
        }
        heading("Where to go next, in another terminal");
        print(format_args!("  export JOBCAST_URL=http://{address}"));
        print(format_args!("  {program} list"));
        print(format_args!("  {program} get {id}"));
        print(format_args!("  {program} history {id}"));
        print(format_args!(
            "  {program} submit thumbnails --file PHOTO.jpg --watch"
        ));
        print(format_args!(
            "  {program} submit approval --input '{{\"subject\": \"Publish?\", \"approver\": \"you\"}}' --watch"
        ));
    }
}

impl Inside {
    async fn start(config: Config) -> Result<Inside, CliError> {
        let (data, stop) = (config.data.clone(), CancellationToken::new());
        let (sender, receiver) = oneshot::channel();
        let ready = move |addresses| {
            // After Ctrl-C the receiver is gone.
            let _ = sender.send(addresses);
        };
        let serving = tokio::spawn(serve(config, ready, stop.clone()));
        match receiver.await {
            Ok(addresses) => Ok(Inside {
                address: addresses.public,
                data,
                stop,
                serving,
            }),
            Err(_) => Err(joined(serving).await.err().unwrap_or_else(|| {
                CliError::Demo("the server stopped before it was ready".to_owned())
            })),
        }
    }

    async fn stop(self) -> Result<(), CliError> {
        self.stop.cancel();
        until_interrupted(joined(self.serving), String::new).await
    }
}

async fn joined(serving: JoinHandle<Result<(), ServeError>>) -> Result<(), CliError> {
    match serving.await {
        Ok(served) => Ok(served?),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The path, quoted for a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

fn fresh_directory() -> PathBuf {
    let unique = random_token();
    std::env::temp_dir().join(format!("jobcast-demo-{}", &unique[..8]))
}

async fn run_one(
    client: &Client,
    sample: &Sample,
    multi: Option<&MultiProgress>,
    width: usize,
    json: bool,
) -> Result<Seen, CliError> {
    let bars = multi.map(|multi| Bars::among(multi, sample.name, width));
    let size = sample.bytes.len() as u64;
    let url = upload(client, Path::new(sample.name), size, sample.bytes.into()).await?;
    let input = json!({ sample.field: url }).to_string();
    let tags = ["demo".to_owned()];
    let id = submit(client, sample.job_type, &input, &tags, &random_token())
        .await?
        .job
        .id;
    match bars {
        Some(mut bars) => follow(client, id, &mut bars).await,
        None if json => follow(client, id, &mut Silence).await,
        None => {
            follow(
                client,
                id,
                &mut Lines::named(&format!("{:<width$}", sample.name)),
            )
            .await
        }
    }
}

/// Shows nothing, for scripts that only need the end.
struct Silence;

impl crate::cli::show::view::View for Silence {
    fn job(&mut self, _: &Seen) {}
    fn lost(&mut self, _: &CliError) {}
    fn back(&mut self) {}
}

fn is_expected(sample: &Sample, seen: &Seen) -> bool {
    match (sample.error, &seen.job.error) {
        (None, _) => seen.job.status == Status::Succeeded,
        (Some(name), Some(error)) => seen.job.status == Status::Failed && error.name == name,
        (Some(_), None) => false,
    }
}

fn report(inside: &Inside, sample: &Sample, seen: &Seen) {
    print("");
    print(text![paint(BOLD, sample.name), "  ", headline(&seen.job)]);
    if sample.error.is_some() && is_expected(sample, seen) {
        print(paint(
            DIM,
            "  as expected: this photograph is damaged on purpose",
        ));
    }
    for (field, value) in seen
        .result()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let single = value.get("url").unwrap_or(value);
        if let Some(path) = single.as_str().and_then(|url| on_disk(inside, url)) {
            print(format_args!("  {field}"));
            print(format_args!("    {}", single.as_str().unwrap_or_default()));
            print(format_args!("    {}", path.display()));
        } else if let Some(files) = value.as_array() {
            let urls = files.iter().filter_map(|file| file["url"].as_str());
            let count = urls.filter(|url| on_disk(inside, url).is_some()).count();
            if count > 0 {
                print(format_args!("  {field}: {count} files"));
            }
        }
    }
}

/// The file on disk for an address of the server.
fn on_disk(inside: &Inside, url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix(&format!("http://{}/files/", inside.address))?;
    let path = path.split('?').next()?;
    Some(inside.data.join("files").join(path))
}
