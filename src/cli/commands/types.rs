//! `types`: the job types that can be submitted.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::http::{Client, Server};
use crate::cli::commands::check::check;
use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::{note, print, print_json};
use crate::cli::show::text::{BOLD, DIM, Text, paint, text};

/// Lists the job types, prints one of them, or checks a directory of state machines
#[derive(Debug, Args)]
pub(crate) struct Types {
    /// Prints the schema of this type's input, and its definition
    #[arg(value_name = "NAME", conflicts_with = "check")]
    name: Option<String>,
    /// Checks every NAME.asl.json and NAME.input.schema.json of a directory [default:
    /// state-machines], without a server; exits with 1 if there is an error
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "state-machines")]
    check: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

/// A job type.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobType {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) input_schema: Option<Value>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) definition: Value,
    pub(crate) steps: Vec<String>,
}

impl JobType {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "steps": self.steps,
            "inputSchema": self.input_schema,
            "definition": self.definition,
        })
    }
}

fn parsed<'de, D: serde::Deserializer<'de>, T: From<Option<Value>>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let value = text.map(|text| json::read(&text)).transpose();
    value.map(T::from).map_err(serde::de::Error::custom)
}

/// The job types of the server.
pub(crate) async fn fetch(client: &Client) -> Result<Vec<JobType>, CliError> {
    let document = "query Types { listJobTypes { name description inputSchema definition steps } }";
    let mut data = client.ask(document, json!({})).await?;
    serde_json::from_value(data["listJobTypes"].take()).map_err(|error| client.unexpected(error))
}

/// The job type with this name.
pub(crate) fn find<'a>(types: &'a [JobType], name: &str) -> Result<&'a JobType, CliError> {
    let known = || types.iter().map(|known| known.name.as_str());
    let unknown = || {
        let (name, known) = (name.to_owned(), known().collect::<Vec<_>>().join(", "));
        let error = resolvers::Error::UnknownType { name, known };
        CliError::Refused {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    };
    types
        .iter()
        .find(|found| found.name == name)
        .ok_or_else(unknown)
}

impl Types {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        if let Some(directory) = &self.check {
            return check(directory, self.server.json);
        }
        let types = fetch(&self.server.client()?).await?;
        match &self.name {
            Some(name) => self.one(name, &types),
            None => {
                self.all(&types);
                Ok(Outcome::Succeeded)
            }
        }
    }

    fn one(&self, name: &str, types: &[JobType]) -> Result<Outcome, CliError> {
        let found = find(types, name)?;
        if self.server.json {
            print_json(&found.json());
            return Ok(Outcome::Succeeded);
        }
        summary(found);
        match &found.input_schema {
            Some(schema) => print(Text::stacked([
                paint(DIM, "input schema"),
                Text::json(schema),
            ])),
            None => print(paint(DIM, "any JSON is accepted: there is no schema")),
        }
        print(Text::stacked([
            paint(DIM, "definition"),
            Text::json(&found.definition),
        ]));
        Ok(Outcome::Succeeded)
    }

    fn all(&self, types: &[JobType]) {
        if self.server.json {
            types.iter().for_each(|one| print_json(&one.json()));
            return;
        }
        if types.is_empty() {
            note("no job types: put a NAME.asl.json into the server's directory of state machines");
        }
        types.iter().for_each(summary);
    }
}

fn summary(job_type: &JobType) {
    print(paint(BOLD, &job_type.name));
    if let Some(description) = &job_type.description {
        print(format_args!("  {description}"));
    }
    let steps = job_type.steps.join(" → ");
    print(text!["  ", paint(DIM, "steps"), " ", steps]);
    let properties = job_type
        .input_schema
        .as_ref()
        .and_then(|schema| schema["properties"].as_object());
    let required = job_type
        .input_schema
        .as_ref()
        .map(|schema| &schema["required"]);
    let is_required = |name: &str| {
        let names = required.and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let fields = properties.into_iter().flatten().map(|(name, _)| {
        if is_required(name) {
            name.clone()
        } else {
            format!("[{name}]")
        }
    });
    let fields: Vec<String> = fields.collect();
    if !fields.is_empty() {
        print(text!["  ", paint(DIM, "input"), " ", fields.join(", ")]);
    }
}
