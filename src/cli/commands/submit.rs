//! `submit`: submits one job, after uploading its files. The job is accepted once, even if the
//! request is repeated.

use std::io::Read;

use clap::Args;
use serde_json::json;

use crate::cli::client::http::{Client, Server};
use crate::cli::commands::upload::{FileArgument, put_files};
use crate::cli::commands::watch::watch;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::job::{FRAGMENT, Seen};
use crate::cli::show::output::{is_interactive, note, print, print_json};

/// Submits a job and prints its id
///
/// Once the id is printed, the job is durable and will run exactly once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobcast submit approval --input '{\"subject\": \"Publish?\", \"approver\": \"you\"}' --watch\n  \
    jobcast submit thumbnails --file sunset.jpg --watch\n  jobcast submit csv-report --file csv=orders.csv --input '{\"delimiter\": \";\"}'"
)]
pub(crate) struct Submit {
    /// The job type, one of `jobcast types`
    #[arg(value_name = "TYPE")]
    job_type: String,
    /// The input: JSON, @FILE, or - for standard input [default: {}]
    #[arg(long, short, value_name = "JSON")]
    input: Option<String>,
    /// A file to upload. Its address is written to the input's field for files, or to FIELD. May be
    /// repeated
    #[arg(long, short, value_name = "[FIELD=]PATH")]
    file: Vec<FileArgument>,
    /// A label for searching, such as team=web. May be repeated
    #[arg(long, short, value_name = "TAG")]
    tag: Vec<String>,
    /// A text of your choice: a repeated submission with it returns the first job, for 24 hours
    /// [default: a random one]
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    token: Option<String>,
    /// Watches the job until it ends; the exit status reports how it ended
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    server: Server,
}

impl Submit {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let input = match &self.input {
            Some(input) => read_json("--input", input).await?,
            None => "{}".to_owned(),
        };
        let input = if self.file.is_empty() {
            input
        } else {
            put_files(&client, &self.job_type, &input, &self.file).await?
        };
        let token = self.token.unwrap_or_else(random_token);
        let seen = submit(&client, &self.job_type, &input, &self.tag, &token).await?;
        if self.watch {
            return watch(&client, seen.job.id, self.server.json).await;
        }
        if self.server.json {
            print_json(&seen.json);
            return Ok(Outcome::Succeeded);
        }
        print(seen.job.id);
        if is_interactive() {
            note(format_args!("to watch it: jobcast watch {}", seen.job.id));
        }
        Ok(Outcome::Succeeded)
    }
}

/// Submits a job. The token makes it safe to repeat a request without a response.
pub(crate) async fn submit(
    client: &Client,
    job_type: &str,
    input: &str,
    tags: &[String],
    token: &str,
) -> Result<Seen, CliError> {
    let document = format!(
        "mutation Submit($input: SubmitJobInput!) {{ submitJob(input: $input) {{ ...Job }} }} {FRAGMENT}"
    );
    let variables = json!({ "input": { "type": job_type, "input": input, "tags": tags, "clientRequestToken": token } });
    let mut data = client.ask(&document, variables).await?;
    Seen::read(data["submitJob"].take()).map_err(|error| client.unexpected(error))
}

/// A random token.
pub(crate) fn random_token() -> String {
    uuid::Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string()
}

/// The text of a JSON document: the argument itself, `@FILE`, or `-`.
pub(crate) async fn read_json(flag: &str, argument: &str) -> Result<String, CliError> {
    let (text, whence) = match (argument, argument.strip_prefix('@')) {
        ("-", _) => {
            let read = tokio::task::spawn_blocking(|| {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes)?;
                workflow::decode_text(bytes)
            });
            let read = read.await.unwrap_or_else(|ended| Err(ended.into()));
            let text = read.map_err(|source| CliError::file("standard input", source))?;
            (text, "standard input".to_owned())
        }
        (_, Some(path)) => {
            let text = tokio::fs::read(path).await.and_then(workflow::decode_text);
            let text = text.map_err(|source| CliError::file(path, source))?;
            (text, path.to_owned())
        }
        (text, None) => (text.to_owned(), flag.to_owned()),
    };
    match json::check(&text) {
        Ok(text) => Ok(text.to_owned()),
        Err(refused) => Err(CliError::Usage(format!(
            "{whence} is {refused}; {flag} takes a JSON document such as '{{\"name\": \"Ada\"}}', @FILE, or - for standard input"
        ))),
    }
}
