//! `watch`, and the end of every command that watches: it reports how the job ended.

use clap::Args;
use job::{Job, JobId, Status};

use crate::cli::client::follow::follow;
use crate::cli::client::http::{Client, Server};
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::bars::Bars;
use crate::cli::show::job::{Look, Seen, millis};
use crate::cli::show::lines::{JsonLines, Lines};
use crate::cli::show::output::{duration, is_interactive, print, status_is_the_jobs};
use crate::cli::show::terminal::Quiet;
use crate::cli::show::text::{BOLD, DIM, RED, Text, paint, text};
use crate::cli::signals::until_interrupted;

/// Maximum number of lines of a result below the bars. A longer result would scroll them away.
const RESULT_LINES: usize = 20;

/// Shows a job live until it ends: bars on a terminal, otherwise lines
///
/// Exits with 0 if the job succeeded and with 1 otherwise. A lost connection is reported and
/// restored.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    server: Server,
}

impl Watch {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        watch(&self.server.client()?, self.id, self.server.json).await
    }
}

/// Watches a job in the form that fits the output, and prints how it ended.
pub(crate) async fn watch(client: &Client, id: JobId, json: bool) -> Result<Outcome, CliError> {
    status_is_the_jobs();
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
        let goes_on = || format!("the job continues; to watch it again: jobcast watch {id}");
        let seen = until_interrupted(following, goes_on).await?;
        report(&seen);
        seen
    };
    Ok(outcome(&seen.job))
}

/// Whether the job succeeded.
pub(crate) fn outcome(job: &Job) -> Outcome {
    if job.status == Status::Succeeded {
        Outcome::Succeeded
    } else {
        Outcome::Failed
    }
}

/// `✔ thumbnails 019a… SUCCEEDED in 1.2 s`, with the error if it did not succeed.
pub(crate) fn headline(job: &Job) -> Text {
    let style = job.status.style();
    let mut line = text![
        paint(style, job.status.mark()),
        " ",
        paint(BOLD, &job.job_type),
        format_args!(" {} ", job.id),
        paint(style, job.status.as_str()),
    ];
    if let Some(millis) = millis(job) {
        line.add(format_args!(" in {}", duration(millis)));
    }
    let Some(error) = &job.error else { return line };
    let step = error
        .step
        .as_ref()
        .map_or_else(String::new, |step| format!(" in step {step}"));
    let mut lines = error.message.lines();
    let first = lines.next().unwrap_or_default();
    let why = text![
        "  ",
        paint(RED, &error.name),
        format_args!("{step}: {first}")
    ];
    let rest: Vec<&str> = lines.collect();
    let rest = (!rest.is_empty()).then(|| Text::indented(&rest.join("\n")));
    Text::stacked([line, why].into_iter().chain(rest))
}

fn report(seen: &Seen) {
    print(headline(&seen.job));
    let Some(result) = seen.result() else { return };
    let json = Text::json(result);
    if is_interactive() && json.styled().lines().count() > RESULT_LINES {
        let command = format_args!(" jobcast get {}", seen.job.id);
        print(text![paint(DIM, "result"), command]);
    } else {
        print(Text::stacked([paint(DIM, "result"), json]));
    }
}
