//! `get`: prints one job with everything known about it.

use clap::Args;
use job::{JobId, Time};

use crate::cli::client::follow::read;
use crate::cli::client::http::Server;
use crate::cli::commands::watch::headline;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::job::{Look, Seen, items, step_millis};
use crate::cli::show::output::{Table, duration, print, print_json};
use crate::cli::show::text::{DIM, PLAIN, Text, paint, text};

/// Prints one job: its steps, its input, its result or its error
///
/// With --json, `input` and `result` are JSON values instead of text.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    server: Server,
}

impl Get {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let seen = read(&self.server.client()?, self.id).await?;
        if self.server.json {
            print_json(&seen.json);
        } else {
            describe(&seen);
        }
        Ok(Outcome::Succeeded)
    }
}

fn describe(seen: &Seen) {
    let job = &seen.job;
    print(headline(job));
    let tags = (!job.tags.is_empty()).then(|| job.tags.join(", "));
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    let facts = [
        ("progress", Some(format!("{}%", job.progress))),
        ("message", job.message.clone()),
        ("owner", Some(job.owner.clone())),
        ("tags", tags),
        ("attempt", Some(job.attempt.to_string())),
        ("version", Some(job.version.to_string())),
        ("submitted", time(Some(job.created_at))),
        ("started", time(job.started_at)),
        ("updated", time(Some(job.updated_at))),
        ("finished", time(job.finished_at)),
        ("kept until", time(job.expires_at)),
        ("execution", Some(job.execution.clone())),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            let name = paint(DIM, format_args!("{name:<10}"));
            print(text!["  ", name, " ", value]);
        }
    }
    if !job.steps.is_empty() {
        let mut table = Table::new(&[
            "", "STEP", "TYPE", "STATUS", "DONE", "TRIES", "TOOK", "ERROR",
        ]);
        for step in &job.steps {
            let look = step.status.style();
            let kind = format!("{:?}", step.kind);
            let done = items(step).unwrap_or_else(|| format!("{}%", step.progress));
            let error = step
                .error
                .as_ref()
                .map_or_else(String::new, |error| error.name.clone());
            table.row([
                (look, step.status.mark().to_owned()),
                (PLAIN, step.name.clone()),
                (DIM, kind),
                (look, step.status.as_str().to_owned()),
                (PLAIN, done),
                (PLAIN, step.attempt.to_string()),
                (PLAIN, step_millis(step).map_or_else(String::new, duration)),
                (look, error),
            ]);
        }
        table.print();
    }
    for (name, value) in [("input", seen.input()), ("result", seen.result())] {
        if let Some(value) = value {
            print(Text::stacked([paint(DIM, name), Text::json(value)]));
        }
    }
}
