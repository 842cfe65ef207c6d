//! `list`: jobs in a table, page by page.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use job::{Status, Time};
use serde_json::{Map, Value, json};

use crate::cli::client::http::Server;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::job::{FRAGMENT, Look, Seen, age};
use crate::cli::show::output::{Table, duration, note, print_json};
use crate::cli::show::text::{DIM, PLAIN};

/// Lists jobs, the newest first
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only jobs with this status; may be repeated
    #[arg(long, value_name = "STATUS", ignore_case = true,
        value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)).map(|text| text.to_ascii_uppercase()))]
    status: Vec<String>,
    /// Only jobs of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Vec<String>,
    /// Only jobs with this tag; if repeated, with at least one of the tags
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Only jobs of this owner
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only jobs submitted at this time or later, such as 2026-11-24T05:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// Maximum number of jobs
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    #[command(flatten)]
    server: Server,
}

impl List {
    fn filter(&self) -> Value {
        let mut filter = Map::new();
        let mut add = |field: &str, operator: &str, value: Value| {
            filter.insert(field.to_owned(), json!({ operator: value }));
        };
        if !self.status.is_empty() {
            add("status", "in", json!(self.status));
        }
        if !self.job_type.is_empty() {
            add("type", "in", json!(self.job_type));
        }
        if !self.tag.is_empty() {
            add("tags", "containsAny", json!(self.tag));
        }
        if let Some(owner) = &self.owner {
            add("owner", "eq", json!(owner));
        }
        if let Some(since) = self.since {
            add("createdAt", "ge", json!(since));
        }
        Value::Object(filter)
    }

    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let client = self.server.client()?;
        let document = format!(
            "query List($filter: JobFilter, $sort: JobSort, $limit: Int!, $next: String) {{ listJobs(filter: $filter, sort: $sort, limit: $limit, \
             nextToken: $next) {{ items {{ ...Job }} nextToken }} }} {FRAGMENT}"
        );
        let sort = if self.oldest { "OLDEST" } else { "NEWEST" };
        let (filter, wanted) = (self.filter(), self.limit as usize);
        let (mut jobs, mut next) = (Vec::new(), Value::Null);
        loop {
            let limit = (wanted - jobs.len()).min(job::limits::LIST_PAGE);
            let variables = json!({ "filter": filter, "sort": sort, "limit": limit, "next": next });
            let mut data = client.ask(&document, variables).await?;
            let page = &mut data["listJobs"];
            let Value::Array(items) = page["items"].take() else {
                return Err(client.unexpected("listJobs has no items"));
            };
            for item in items {
                jobs.push(Seen::read(item).map_err(|error| client.unexpected(error))?);
            }
            next = page["nextToken"].take();
            // A page may be short although more jobs follow.
            if jobs.len() >= wanted || next.is_null() {
                break;
            }
        }
        if self.server.json {
            jobs.iter().for_each(|seen| print_json(&seen.json));
            return Ok(Outcome::Succeeded);
        }
        if jobs.is_empty() {
            note("no jobs");
            return Ok(Outcome::Succeeded);
        }
        table(&jobs).print();
        if !next.is_null() {
            note("there are more: --limit shows them");
        }
        Ok(Outcome::Succeeded)
    }
}

fn table(jobs: &[Seen]) -> Table {
    let mut table = Table::new(&["ID", "TYPE", "STATUS", "DONE", "AGE", "TAGS", "MESSAGE"]);
    for Seen { job, .. } in jobs {
        let remark = match &job.error {
            Some(error) => format!("{}: {}", error.name, error.message),
            None => job.message.clone().unwrap_or_default(),
        };
        table.row([
            (PLAIN, job.id.to_string()),
            (PLAIN, job.job_type.clone()),
            (job.status.style(), job.status.as_str().to_owned()),
            (PLAIN, format!("{:>3}%", job.progress)),
            (DIM, duration(age(job.created_at))),
            (PLAIN, job.tags.join(",")),
            (DIM, remark),
        ]);
    }
    table
}
