//! All mappings of an account: create, update, list, delete. Pure: ids and time are arguments.

use serde_json::{Value, json};

use super::config::{ApiError, MappingConfig, SourceKind};
use crate::scope::Scope;

/// A mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Its id.
    pub uuid: String,
    /// Its settings.
    pub config: MappingConfig,
    /// Its state as AWS names it: `Creating`, `Enabled`, `Disabled`, …
    pub state: &'static str,
    /// What the last batch of a stream ended with.
    pub last_result: &'static str,
    request: Value,
    modified: i64,
}

/// `LastProcessingResult` before the first batch.
pub const NO_RECORDS: &str = "No records processed";
/// `LastProcessingResult` after a batch that the function took.
pub const PROCESSED: &str = "OK";
/// `LastProcessingResult` after a batch that the function did not take.
pub const PROBLEM: &str = "PROBLEM: Function call failed";

/// The mappings.
#[derive(Clone, Debug, Default)]
pub struct Mappings(Vec<Mapping>);

impl Mappings {
    /// Creates a mapping.
    ///
    /// # Errors
    /// [`ApiError`]: the request is invalid, the source does not exist, or there is such a mapping.
    pub fn create(
        &mut self,
        request: &Value,
        uuid: String,
        now: i64,
        exists: impl Fn(&str) -> bool,
    ) -> Result<&Mapping, ApiError> {
        let config = MappingConfig::of(request)?;
        if !exists(&config.source) {
            return Err(ApiError::invalid(match config.kind {
                SourceKind::DynamoDb | SourceKind::Kinesis => {
                    format!("Stream not found: {}", config.source)
                }
                SourceKind::Sqs | SourceKind::SqsFifo => {
                    "Error occurred while ReceiveMessage. SQS Error Code: \
                     AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified \
                     queue does not exist."
                        .to_owned()
                }
            }));
        }
        let function = workflow::lambda::function_name(&config.function);
        let same = self.0.iter().find(|one| {
            one.config.source == config.source
                && workflow::lambda::function_name(&one.config.function) == function
        });
        if let Some(same) = same {
            return Err(duplicate(&config, function, &same.uuid));
        }
        let enabled = request["Enabled"].as_bool().unwrap_or(true);
        self.0.push(Mapping {
            uuid,
            config,
            state: if enabled { "Creating" } else { "Disabled" },
            last_result: NO_RECORDS,
            request: request.clone(),
            modified: now,
        });
        Ok(self.0.last().expect("it was added"))
    }

    /// Changes a mapping: the members of the request replace those that it was created with.
    ///
    /// # Errors
    /// [`ApiError`]: the mapping is unknown or the request is invalid.
    pub fn update(&mut self, uuid: &str, request: &Value, now: i64) -> Result<&Mapping, ApiError> {
        let mapping = self.find(uuid)?;
        let mut merged = mapping.request.clone();
        for (name, value) in request.as_object().into_iter().flatten() {
            merged[name] = value.clone();
        }
        mapping.config = MappingConfig::of(&merged)?;
        mapping.request = merged;
        mapping.modified = now;
        mapping.state = "Updating";
        Ok(mapping)
    }

    /// Deletes a mapping, which is returned as it was.
    ///
    /// # Errors
    /// [`ApiError`]: the mapping is unknown.
    pub fn delete(&mut self, uuid: &str) -> Result<Mapping, ApiError> {
        self.find(uuid)?.state = "Deleting";
        let at = self.0.iter().position(|one| one.uuid == uuid);
        Ok(self.0.remove(at.expect("it was found")))
    }

    /// A mapping to read or change.
    ///
    /// # Errors
    /// [`ApiError`]: the mapping is unknown.
    pub fn find(&mut self, uuid: &str) -> Result<&mut Mapping, ApiError> {
        let found = self.0.iter_mut().find(|one| one.uuid == uuid);
        found.ok_or_else(|| ApiError {
            code: "ResourceNotFoundException",
            status: 404,
            message: "The resource you requested does not exist.".to_owned(),
        })
    }

    /// What was begun is done: `Creating` and `Updating` become `Enabled` or `Disabled`.
    pub fn settle(&mut self, uuid: &str) {
        if let Ok(mapping) = self.find(uuid) {
            let enabled = mapping.request["Enabled"].as_bool().unwrap_or(true);
            mapping.state = if enabled { "Enabled" } else { "Disabled" };
        }
    }

    /// All of them, in the order of their creation.
    #[must_use]
    pub fn all(&self) -> &[Mapping] {
        &self.0
    }
}

impl Mapping {
    /// The mapping as AWS shows it.
    #[must_use]
    pub fn shown(&self, scope: &Scope) -> Value {
        let mut shown = self.config.shown();
        shown["UUID"] = json!(self.uuid);
        shown["EventSourceMappingArn"] = json!(scope.mapping(&self.uuid));
        shown["FunctionArn"] = json!(scope.function(&self.config.function));
        shown["LastModified"] = json!(self.modified as f64 / 1_000.0);
        shown["State"] = json!(self.state);
        if self.config.kind.is_stream() {
            shown["LastProcessingResult"] = json!(self.last_result);
            shown["StateTransitionReason"] = json!("User action");
        } else {
            shown["StateTransitionReason"] = json!("USER_INITIATED");
        }
        shown
    }
}

fn duplicate(config: &MappingConfig, function: &str, uuid: &str) -> ApiError {
    let MappingConfig { source, kind, .. } = config;
    let message = if kind.is_stream() {
        format!(
            "The event source arn (\" {source} \") and function (\" {function} \") provided \
             mapping already exists. Please update or delete the existing mapping with UUID {uuid}"
        )
    } else {
        format!(
            "An event source mapping with SQS arn (\" {source} \") and function (\" {function} \") \
             already exists. Please update or delete the existing mapping with UUID {uuid}"
        )
    };
    ApiError {
        code: "ResourceConflictException",
        status: 409,
        message,
    }
}
