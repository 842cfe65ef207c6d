//! `dlq`: dead letters of the server's queues, and of SQS.

use clap::{Args, Subcommand};
use http::Method;
use job::Time;
use serde_json::{Value, json};

use crate::cli::client::http::{Rest, Server};
use crate::cli::commands::enqueue::array;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::job::age;
use crate::cli::show::output::{Table, duration, note, print, print_json};
use crate::cli::show::text::{DIM, PLAIN};

/// Lists and redrives dead letters: messages that became no job in their tries
#[derive(Debug, Args)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Redrive(Redrive),
}

/// Lists dead letters with their reasons, the oldest first
#[derive(Debug, Args)]
struct List {
    /// Only dead letters of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Maximum number of dead letters
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Lists the state of this dead-letter queue of SQS instead, with its redrives; needs a build
    /// with the feature `aws`
    #[arg(long, value_name = "ARN", conflicts_with = "queue")]
    sqs: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Sends dead letters back to their queues, to be tried again
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
struct Redrive {
    /// The dead letter
    #[arg(value_name = "ID", group = "which")]
    id: Option<String>,
    /// All dead letters
    #[arg(long, group = "which")]
    all: bool,
    /// All dead letters of this queue
    #[arg(long, value_name = "NAME", group = "which")]
    queue: Option<String>,
    /// All messages of this dead-letter queue of SQS, to the queues from which they came; needs a
    /// build with the feature `aws`
    #[arg(long, value_name = "ARN", group = "which")]
    sqs: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Dlq {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Redrive(redrive) => redrive.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<Outcome, CliError> {
        if let Some(arn) = &self.sqs {
            return sqs::list(arn, self.server.json).await;
        }
        let client = self.server.client()?;
        let wanted = self.limit as usize;
        let (mut letters, mut after) = (Vec::new(), Value::Null);
        loop {
            let limit = (wanted - letters.len()).min(resolvers::queues::local::PAGE);
            let mut query = vec![("limit", limit.to_string())];
            query.extend(self.queue.clone().map(|queue| ("queue", queue)));
            query.extend(after.as_i64().map(|after| ("after", after.to_string())));
            let request = Rest {
                method: Method::GET,
                path: &["intake", "dead-letters"],
                query: &query,
                token: None,
                body: String::new(),
            };
            let mut page = client.call(&request).await?;
            letters.extend(array(page["deadLetters"].take()));
            after = page["next"].take();
            if letters.len() >= wanted || after.is_null() {
                break;
            }
        }
        if self.server.json {
            letters.iter().for_each(print_json);
        } else if letters.is_empty() {
            note("no dead letters");
        } else {
            table(&letters).print();
            note("to try one again: jobcast dlq redrive ID");
        }
        Ok(Outcome::Succeeded)
    }
}

fn table(letters: &[Value]) -> Table {
    let mut table = Table::new(&["ID", "QUEUE", "RECEIVES", "AGE", "REASON"]);
    for letter in letters {
        let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
        let sent = letter["sentAt"]
            .as_str()
            .and_then(|at| at.parse::<Time>().ok());
        table.row([
            (PLAIN, text("messageId")),
            (PLAIN, text("queue")),
            (PLAIN, letter["receives"].to_string()),
            (DIM, sent.map(|at| duration(age(at))).unwrap_or_default()),
            (PLAIN, text("reason")),
        ]);
    }
    table
}

impl Redrive {
    async fn run(self) -> Result<Outcome, CliError> {
        if let Some(arn) = &self.sqs {
            return sqs::redrive(arn, self.server.json).await;
        }
        let client = self.server.client()?;
        let which = match (&self.id, &self.queue) {
            (Some(id), _) => json!({ "id": id }),
            (None, Some(queue)) => json!({ "queue": queue }),
            (None, None) => json!({}),
        };
        let request = Rest {
            method: Method::POST,
            path: &["intake", "dead-letters", "redrive"],
            query: &[],
            token: None,
            body: which.to_string(),
        };
        // Sent once: a repeat would find no dead letter, and complain.
        let data = client.call_once(&request).await?;
        if self.server.json {
            print_json(&data);
        } else {
            print(format_args!("redriven: {}", data["redriven"]));
        }
        Ok(Outcome::Succeeded)
    }
}

/// The dead-letter queues of SQS.
#[cfg(feature = "aws")]
mod sqs {
    use resolvers::queues::sqs::{DeadLetterQueue, SqsError};

    use super::{Outcome, json, note, print, print_json};
    use crate::cli::error::CliError;

    fn failed(error: SqsError) -> CliError {
        CliError::Refused {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    }

    /// Prints the number of messages and the redrives, the newest first.
    pub(super) async fn list(arn: &str, as_json: bool) -> Result<Outcome, CliError> {
        let queue = DeadLetterQueue::open(arn).await.map_err(failed)?;
        let waiting = queue.messages().await.map_err(failed)?;
        let tasks = queue.redrives().await.map_err(failed)?;
        if as_json {
            let tasks: Vec<_> = tasks
                .iter()
                .map(|task| {
                    json!({
                        "status": task.status,
                        "moved": task.moved,
                        "toMove": task.to_move,
                        "failure": task.failure,
                    })
                })
                .collect();
            print_json(&json!({ "messages": waiting, "redrives": tasks }));
            return Ok(Outcome::Succeeded);
        }
        print(format_args!("messages: {waiting}"));
        for task in &tasks {
            let to_move = task
                .to_move
                .map_or("?".to_owned(), |count| count.to_string());
            let failure = task.failure.as_deref().unwrap_or_default();
            let line = format!(
                "redrive {}: {} of {to_move} {failure}",
                task.status, task.moved
            );
            print(line.trim_end());
        }
        note("the reasons are in the log of lambda-intake");
        Ok(Outcome::Succeeded)
    }

    /// Begins to move all messages to the queues from which they came.
    pub(super) async fn redrive(arn: &str, as_json: bool) -> Result<Outcome, CliError> {
        let queue = DeadLetterQueue::open(arn).await.map_err(failed)?;
        let handle = queue.redrive().await.map_err(failed)?;
        if as_json {
            print_json(&json!({ "taskHandle": handle }));
        } else {
            print("the redrive has begun");
            note(format_args!(
                "to see how far it is: jobcast dlq list --sqs {arn}"
            ));
        }
        Ok(Outcome::Succeeded)
    }
}

/// A build without the feature `aws`.
#[cfg(not(feature = "aws"))]
mod sqs {
    use super::{CliError, Outcome};

    pub(super) async fn list(_: &str, _: bool) -> Result<Outcome, CliError> {
        Err(without())
    }

    pub(super) async fn redrive(_: &str, _: bool) -> Result<Outcome, CliError> {
        Err(without())
    }

    fn without() -> CliError {
        CliError::Usage(
            "this jobcast was built without AWS: build one with `cargo build --release --features aws`"
                .to_owned(),
        )
    }
}
