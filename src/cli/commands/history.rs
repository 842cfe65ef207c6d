//! `history`: the events of a job's execution, in the columns of the console of Step Functions.

use std::collections::HashMap;

use anstyle::Style;
use clap::Args;
use job::JobId;
use serde_json::{Value, json};

use crate::cli::client::http::{Client, Server};
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::{Table, columns, note, print, print_json};
use crate::cli::show::text::{DIM, GREEN, PLAIN, RED, paint, text};

/// Number of events per request.
const PAGE: usize = 1_000;

/// Prints the events of a job's execution, as the console of Step Functions does
///
/// With --json, each event has the form of GetExecutionHistory.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The job
    #[arg(value_name = "ID")]
    id: JobId,
    /// Prints each event's details below it
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    server: Server,
}

impl History {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let events = fetch(&client, self.id).await?;
        if self.server.json {
            events.iter().for_each(print_json);
        } else if events.is_empty() {
            note("nothing has happened yet: the execution has not started");
        } else {
            show(&events, self.verbose);
        }
        Ok(Outcome::Succeeded)
    }
}

async fn fetch(client: &Client, id: JobId) -> Result<Vec<Value>, CliError> {
    let document = "query History($id: ID!, $after: Int!, $limit: Int!) { getJob(id: $id) { history(after: $after, limit: $limit) { events next } } }";
    let (mut events, mut after) = (Vec::new(), json!(0));
    loop {
        let data = client
            .ask(document, json!({ "id": id, "after": after, "limit": PAGE }))
            .await?;
        let Some(job) = data["getJob"].as_object() else {
            return Err(CliError::Refused {
                code: "NotFound".to_owned(),
                message: resolvers::Error::NotFound(id).to_string(),
            });
        };
        let page = &job["history"];
        for event in page["events"].as_array().into_iter().flatten() {
            let event = serde_json::from_str(event.as_str().unwrap_or_default());
            events.push(event.map_err(|error| client.unexpected(error))?);
        }
        after = page["next"].clone();
        if after.is_null() {
            return Ok(events);
        }
    }
}

fn show(events: &[Value], verbose: bool) {
    let mut table = Table::new(&[
        "ID",
        "TYPE",
        "STEP",
        "RESOURCE",
        "STARTED AFTER",
        "TIME",
        "ERROR",
    ]);
    let began = millis(events.first());
    // An event belongs to the same state as the event that led to it.
    let mut states: HashMap<u64, String> = HashMap::new();
    for event in events {
        let details = details(event);
        let kind = event["type"].as_str().unwrap_or_default();
        let named = ["StateEntered", "StateExited"]
            .iter()
            .any(|end| kind.ends_with(end))
            || kind.starts_with("MapIteration");
        let own = details
            .and_then(|details| details["name"].as_str())
            .filter(|_| named);
        let previous = event["previousEventId"].as_u64().unwrap_or(0);
        let state = own
            .map(str::to_owned)
            .or_else(|| states.get(&previous).cloned());
        let state = state
            .filter(|_| !kind.starts_with("Execution"))
            .unwrap_or_default();
        states.insert(event["id"].as_u64().unwrap_or(0), state.clone());
        let at = millis(Some(event));
        table.row([
            (DIM, event["id"].to_string()),
            (look(kind), kind.to_owned()),
            (PLAIN, state),
            (PLAIN, details.map(resource).unwrap_or_default()),
            (PLAIN, elapsed(at - began)),
            (DIM, time(at)),
            (RED, details.map(error).unwrap_or_default()),
        ]);
    }
    let mut texts = table.texts(columns());
    texts.next().into_iter().for_each(print);
    for (line, event) in texts.zip(events) {
        print(line);
        if let (true, Some(details)) = (verbose, details(event)) {
            for line in format!("{details:#}").lines() {
                print(text!["     ", paint(DIM, line)]);
            }
        }
    }
}

/// The only field of an event that is an object, for example `taskScheduledEventDetails`.
fn details(event: &Value) -> Option<&Value> {
    event.as_object()?.values().find(|value| value.is_object())
}

fn look(kind: &str) -> Style {
    let ends = |words: &[&str]| words.iter().any(|word| kind.ends_with(word));
    if ends(&["Failed", "TimedOut", "Aborted"]) {
        RED
    } else if ends(&["Succeeded"]) {
        GREEN
    } else {
        Style::new()
    }
}

/// `lambda:thumbnails-inspect`, `states:lambda:invoke`.
fn resource(details: &Value) -> String {
    let text = |name: &str| details[name].as_str().unwrap_or_default();
    let arn = text("resource");
    match (text("resourceType"), arn) {
        (_, "") => String::new(),
        ("", arn) => arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        (kind, name) => format!("{kind}:{}", name.rsplit(':').next().unwrap_or(name)),
    }
}

fn error(details: &Value) -> String {
    let text = |name: &str| details[name].as_str().unwrap_or_default();
    match (text("error"), text("cause")) {
        ("", "") => String::new(),
        (error, "") => error.to_owned(),
        (error, cause) => format!("{error}: {cause}"),
    }
}

fn millis(event: Option<&Value>) -> i64 {
    let seconds = event.and_then(|event| event["timestamp"].as_f64());
    // Milliseconds of any current date are far below 2^53.
    seconds.map_or(0, |seconds| (seconds * 1_000.0).round() as i64)
}

/// `00:00:01.250`.
fn elapsed(millis: i64) -> String {
    let seconds = millis / 1_000;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1_000
    )
}

fn time(millis: i64) -> String {
    job::Time::from_millis(millis).to_string()
}
