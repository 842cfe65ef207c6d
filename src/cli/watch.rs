//! `watch`, and the end of every command that watches: how the job went.

use std::future::Future;

use clap::Args;
use job::{Job, JobId, Status};
use tokio::signal::ctrl_c;

use super::Outcome;
use super::bars::Bars;
use super::client::{Client, Server};
use super::error::CliError;
use super::follow::follow;
use super::job::{Look, Seen, millis};
use super::lines::{JsonLines, Lines};
use super::output::{BOLD, DIM, RED, duration, is_interactive, paint, print};
use super::terminal::Quiet;

/// Lines of a result that a terminal shows below the bars; a longer one would push them away.
const RESULT_LINES: usize = 20;

/// Shows a job live until it ends: bars on a terminal, lines elsewhere
///
/// Exits with 0 when the job succeeded and with 1 when it did not. A lost connection is told and taken up again.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    server: Server,
}

impl Watch {
    pub(super) async fn run(self) -> Result<Outcome, CliError> {
        watch(&self.server.client()?, self.id, self.server.json).await
    }
}

/// Watches a job in the way that fits the output, and says how it ended.
pub(super) async fn watch(client: &Client, id: JobId, json: bool) -> Result<Outcome, CliError> {
    let seen = if json {
        let mut lines = JsonLines;
        let following = follow(client, id, &mut lines);
        until_interrupted(following, String::new).await?
    } else {
        let following = async {
            if is_interactive() {
                let _quiet = Quiet::begin();
                follow(client, id, &mut Bars::new()).await
            } else {
                follow(client, id, &mut Lines::default()).await
            }
        };
        let goes_on = || format!("the job goes on; to watch it again: jobcast watch {id}");
        let seen = until_interrupted(following, goes_on).await?;
        report(&seen);
        seen
    };
    Ok(outcome(&seen.job))
}

/// Whether the job succeeded.
pub(super) fn outcome(job: &Job) -> Outcome {
    if job.status == Status::Succeeded {
        Outcome::Succeeded
    } else {
        Outcome::Failed
    }
}

/// Does the work unless Ctrl-C comes first.
pub(super) async fn until_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
    said: impl FnOnce() -> String,
) -> Result<T, CliError> {
    tokio::select! {
        done = work => done,
        _ = ctrl_c() => Err(CliError::Interrupted(said())),
    }
}

/// `✔ thumbnails 019a… SUCCEEDED in 1.2 s`, and why not where it did not.
pub(super) fn headline(job: &Job) -> String {
    let style = job.status.style();
    let mut line = format!(
        "{} {} {} {}",
        paint(style, job.status.mark()),
        paint(BOLD, &job.job_type),
        job.id,
        paint(style, job.status.as_str()),
    );
    if let Some(millis) = millis(job) {
        line.push_str(&format!(" in {}", duration(millis)));
    }
    if let Some(error) = &job.error {
        let step = error
            .step
            .as_ref()
            .map_or_else(String::new, |step| format!(" in step {step}"));
        line.push_str(&format!(
            "\n  {}{step}: {}",
            paint(RED, &error.name),
            error.message
        ));
    }
    line
}

fn report(seen: &Seen) {
    print(headline(&seen.job));
    let Some(result) = seen.result() else { return };
    let text = format!("{result:#}");
    if is_interactive() && text.lines().count() > RESULT_LINES {
        print(format_args!(
            "{} jobcast get {}",
            paint(DIM, "result"),
            seen.job.id
        ));
    } else {
        print(format_args!("{}\n{text}", paint(DIM, "result")));
    }
}
