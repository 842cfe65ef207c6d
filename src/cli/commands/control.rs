//! `cancel`, `retry`, `resume`: commands that control a submitted job.

use clap::Args;
use job::{Job, JobId, StepStatus};
use serde_json::{Value, json};

use crate::cli::client::follow::read;
use crate::cli::client::http::{Client, Server};
use crate::cli::commands::submit::read_json;
use crate::cli::commands::watch::{headline, watch};
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::job::{FRAGMENT, Seen};
use crate::cli::show::output::{print, print_json};

/// Cancels a job that is not finished
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    /// The reason, shown with the job
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Runs a failed, cancelled or timed-out job again, from the failed step if possible
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    /// Watches the job until it ends
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    server: Server,
}

/// Answers a waiting step of a job, such as an approval
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("answer").required(true))]
pub(crate) struct Resume {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    /// The waiting step [default: the only one that waits]
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// The step's output: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", group = "answer")]
    output: Option<String>,
    /// Fails the step with an error of this name, as Retry and Catch match it
    #[arg(long, value_name = "NAME", group = "answer")]
    error: Option<String>,
    /// Watches the job until it ends
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    server: Server,
}

impl Cancel {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let document = format!(
            "mutation Cancel($id: ID!, $reason: String) {{ cancelJob(id: $id, reason: $reason) {{ ...Job }} }} {FRAGMENT}"
        );
        let variables = json!({ "id": self.id, "reason": self.reason });
        // A repeated cancel has no effect.
        let mut data = client.ask(&document, variables).await?;
        let seen = read_job(&client, data["cancelJob"].take())?;
        show(&seen, self.server.json);
        Ok(Outcome::Succeeded)
    }
}

impl Retry {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let document =
            format!("mutation Retry($id: ID!) {{ retryJob(id: $id) {{ ...Job }} }} {FRAGMENT}");
        let seen = send(&client, "retryJob", &document, json!({ "id": self.id })).await?;
        go_on(&client, &seen, self.watch, self.server.json).await
    }
}

impl Resume {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let output = match &self.output {
            Some(output) => Some(read_json("--output", output).await?),
            None => None,
        };
        let step = match self.step {
            Some(step) => step,
            None => the_step_that_waits(&read(&client, self.id).await?.job)?,
        };
        let document = format!(
            "mutation Resume($id: ID!, $step: String!, $output: AWSJSON, $error: String) {{ resumeJob(id: $id, step: $step, output: $output, \
             error: $error) {{ ...Job }} }} {FRAGMENT}"
        );
        let variables =
            json!({ "id": self.id, "step": step, "output": output, "error": self.error });
        let seen = send(&client, "resumeJob", &document, variables).await?;
        go_on(&client, &seen, self.watch, self.server.json).await
    }
}

fn the_step_that_waits(job: &Job) -> Result<String, CliError> {
    let waiting = job
        .steps
        .iter()
        .filter(|step| step.status == StepStatus::Waiting);
    let names: Vec<&str> = waiting.map(|step| step.name.as_str()).collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => Err(CliError::Refused {
            code: "NotWaiting".to_owned(),
            message: format!(
                "job {} is {}, and none of its steps waits for an answer",
                job.id, job.status
            ),
        }),
        _ => Err(CliError::Usage(format!(
            "several steps wait: choose one with --step ({})",
            names.join(", ")
        ))),
    }
}

/// Sends the mutation. `retry` and `resume` are sent once: a repeat of a successful request would
/// return an error.
async fn send(
    client: &Client,
    field: &str,
    document: &str,
    variables: Value,
) -> Result<Seen, CliError> {
    let mut data = client.ask_once(document, variables).await?;
    read_job(client, data[field].take())
}

fn read_job(client: &Client, json: Value) -> Result<Seen, CliError> {
    Seen::read(json).map_err(|error| client.unexpected(error))
}

fn show(seen: &Seen, json: bool) {
    if json {
        print_json(&seen.json);
    } else {
        print(headline(&seen.job));
    }
}

async fn go_on(
    client: &Client,
    seen: &Seen,
    and_watch: bool,
    json: bool,
) -> Result<Outcome, CliError> {
    if and_watch {
        return watch(client, seen.job.id, json).await;
    }
    show(seen, json);
    Ok(Outcome::Succeeded)
}
