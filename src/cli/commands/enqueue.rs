//! `enqueue`: sends one message to a queue of the server, which makes it a job.

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::cli::client::http::{Rest, Server};
use crate::cli::commands::submit::{random_token, read_json};
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::{print, print_json};
use crate::config::DEFAULT_QUEUE;

/// Sends a message to a queue of [intake], and prints its id
///
/// Once the id is printed, the message is durable. The server makes it a job of the queue's owner,
/// or a dead letter after its tries: `jobcast dlq list` has the reasons.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobcast enqueue '{\"type\": \"approval\", \"input\": {\"subject\": \"Publish?\", \"approver\": \"you\"}}'\n  \
    jobcast enqueue --queue reports @event.json"
)]
pub(crate) struct Enqueue {
    /// The message: JSON, @FILE, or - for standard input. It has the members of submitJob's input,
    /// or it is a CloudEvent with them in `data`
    #[arg(value_name = "MESSAGE")]
    message: String,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = DEFAULT_QUEUE)]
    queue: String,
    /// A text of your choice: messages with the same one become one job, within 24 hours. A
    /// `clientRequestToken` in the message precedes it [default: a random one]
    #[arg(long, value_name = "TEXT")]
    token: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Enqueue {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let message = read_json("MESSAGE", &self.message).await?;
        let token = self.token.unwrap_or_else(random_token);
        let request = Rest {
            method: Method::POST,
            path: &["intake", "queues", &self.queue, "messages"],
            query: &[],
            token: Some(&token),
            body: message,
        };
        // The token makes a repeat safe: both messages become one job.
        let data = client.call(&request).await?;
        if self.server.json {
            print_json(&data);
            return Ok(Outcome::Succeeded);
        }
        let id = data["messageId"].as_str().map(str::to_owned);
        print(id.ok_or_else(|| client.unexpected("it has no messageId"))?);
        Ok(Outcome::Succeeded)
    }
}

/// The members of an answer as an array.
pub(super) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        _ => Vec::new(),
    }
}
