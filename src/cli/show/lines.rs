//! A running job as lines, for an output that is not a terminal: a line for each visible change, as
//! text or as JSON.

use job::{Job, StepStatus};

use crate::cli::error::CliError;
use crate::cli::show::job::{Look, Seen, items, millis};
use crate::cli::show::output::{duration, note, print, print_json};
use crate::cli::show::text::{Text, paint, text};
use crate::cli::show::view::View;

/// Plain lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Prefix of each line, if several jobs share the output.
    name: Option<String>,
    last: Text,
}

impl Lines {
    /// Each line begins with `name`.
    pub(crate) fn named(name: &str) -> Lines {
        Lines {
            name: Some(name.to_owned()),
            last: Text::default(),
        }
    }
}

impl View for Lines {
    fn job(&mut self, seen: &Seen) {
        let line = words(&seen.job);
        if line != self.last {
            match &self.name {
                Some(name) => print(text![name, "  ", line.clone()]),
                None => print(line.clone()),
            }
            self.last = line;
        }
    }

    fn lost(&mut self, why: &CliError) {
        tell_lost(why);
    }

    fn back(&mut self) {
        note("connected again");
    }
}

/// One JSON document per line: the job at each version that is received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JsonLines;

impl View for JsonLines {
    fn job(&mut self, seen: &Seen) {
        print_json(&seen.json);
    }

    fn lost(&mut self, why: &CliError) {
        tell_lost(why);
    }

    fn back(&mut self) {
        note("connected again");
    }
}

fn tell_lost(why: &CliError) {
    let reason = why.brief();
    note(format_args!(
        "the connection was lost, trying again: {reason}"
    ));
}

fn words(job: &Job) -> Text {
    let status = paint(
        job.status.style(),
        format_args!("{:<9}", job.status.as_str()),
    );
    let mut line = text![status, format_args!(" {:>3}%", job.progress)];
    if let Some(error) = &job.error {
        line.add(format_args!("  {}: {}", error.name, error.message));
    } else if let Some(millis) = millis(job) {
        line.add(format_args!("  in {}", duration(millis)));
    } else if let Some(step) = job.steps.iter().find(|step| step.status.is_open()) {
        let how = match (items(step), step.status) {
            (Some(items), _) => items,
            (None, StepStatus::Waiting) => "waits".to_owned(),
            (None, _) => format!("{}%", step.progress),
        };
        line.add(format_args!("  {} {how}", step.name));
        if let Some(message) = &job.message {
            line.add(format_args!("  {message}"));
        }
    }
    line
}
