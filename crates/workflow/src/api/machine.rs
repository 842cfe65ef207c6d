//! State machines: create, update, delete, describe, list.

use std::sync::Arc;

use asl::WorkflowType;
use serde_json::{Value, json};

use super::arn::{MachineArn, Qualifier};
use super::configuration::{
    check_role, encryption, logging, no_encryption, no_logging, no_tracing, tracing,
};
use super::definition::{self, TYPES, kind_of, type_of};
use super::error::ApiError;
use super::shape::{ARN, DEFINITION, DESCRIPTION, NAME, PAGE_TOKEN};
use super::{
    Api, Call, Reply, now, page_token, position, seconds, stored_seconds, tag, uuid, variables,
    version, with_next,
};
use crate::alarm::timestamp;
use crate::catalog::{Configuration, MachineRecord, Tables, Version};
use crate::engine::is_name;
use crate::target::Target;
use crate::{EngineError, Machine};

/// State machines that the API may create (Step Functions quota).
pub(crate) const MACHINES: usize = 10_000;

/// A state machine as `DescribeStateMachine` shows it.
enum Found {
    Directory(Arc<Machine>),
    Record(Box<MachineRecord>),
    Version(Box<MachineRecord>, Box<Version>),
}

impl Api {
    /// What an execution is started of.
    pub(super) async fn target(&self, arn: &str) -> Result<Target, ApiError> {
        let parsed = MachineArn::parse(arn)?;
        let target = self.engine.target(parsed.name, parsed.qualifier).await;
        target.map_err(|error| match error {
            EngineError::UnknownMachine(_) => ApiError::no_machine(arn),
            other => other.into(),
        })
    }

    /// Refuses what the API may not change: the files of the directory are the truth there.
    fn not_of_the_directory(&self, name: &str) -> Result<(), ApiError> {
        match self.engine.machines().get(name) {
            None => Ok(()),
            Some(_) => Err(ApiError::invalid(format!(
                "State machine '{name}' comes from the file {name}.asl.json: change the file and start the server again"
            ))),
        }
    }

    pub(super) async fn create_state_machine(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let name = shape.text("name", NAME);
        let text = shape.text("definition", DEFINITION);
        let role = shape.text("roleArn", ARN);
        let kind = kind_of(shape.word("type", TYPES));
        let publish = shape.flag("publish").unwrap_or(false);
        let description = shape.optional("versionDescription", DESCRIPTION);
        let tags = tag::given(&mut shape)?;
        let logging = logging(&mut shape)?;
        let tracing = tracing(&mut shape);
        let encryption = encryption(&mut shape)?;
        shape.check()?;
        if !is_name(name) {
            return Err(ApiError::invalid_name(name));
        }
        version::check_description(description, publish)?;
        check_role(role)?;
        definition::parse(text, kind)?;
        let arn = self.arn(&call.account, "stateMachine", name);
        let exists = || {
            ApiError::new(
                "StateMachineAlreadyExists",
                format!("State Machine Already Exists: '{arn}'"),
            )
        };
        if self.engine.machines().get(name).is_some() {
            return Err(exists());
        }
        let at = now();
        let record = MachineRecord {
            name: name.to_owned(),
            account: call.account.as_str().into(),
            kind,
            configuration: Configuration {
                definition: text.into(),
                role: role.into(),
                logging: logging.unwrap_or_else(no_logging),
                tracing: tracing.unwrap_or_else(no_tracing),
                encryption: encryption.unwrap_or_else(no_encryption),
            },
            created: at,
            updated: at,
            revision: None,
            published: 0,
        };
        let (exists, description, own) = (exists(), description.map(str::to_owned), arn.clone());
        let (created, number) = self
            .write(move |tables| {
                if let Some(earlier) = tables.machine(&record.name)? {
                    if !is_same(&earlier, &record) {
                        return Err(exists);
                    }
                    let number = publish
                        .then(|| version::publish(&tables, earlier.clone(), description, at))
                        .transpose()?;
                    return Ok((earlier.created, number.map(|version| version.number)));
                }
                if tables.count_machines()? >= MACHINES {
                    return Err(ApiError::new(
                        "StateMachineLimitExceeded",
                        format!("State Machine Limit Exceeded: '{MACHINES}'"),
                    ));
                }
                tables.put_machine(&record)?;
                for (key, value) in &tags {
                    tables.put_tag(&own, key, value)?;
                }
                let number = publish
                    .then(|| version::publish(&tables, record, description, at))
                    .transpose()?;
                Ok((at, number.map(|version| version.number)))
            })
            .await?;
        let mut reply = json!({"stateMachineArn": arn, "creationDate": stored_seconds(created)});
        if let Some(number) = number {
            reply["stateMachineVersionArn"] = json!(format!("{arn}:{number}"));
        }
        Ok(reply)
    }

    pub(super) async fn update_state_machine(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        let text = shape.optional("definition", DEFINITION);
        let role = shape.optional("roleArn", ARN);
        let publish = shape.flag("publish").unwrap_or(false);
        let description = shape.optional("versionDescription", DESCRIPTION);
        let logging = logging(&mut shape)?;
        let tracing = tracing(&mut shape);
        let encryption = encryption(&mut shape)?;
        shape.check()?;
        let name = MachineArn::plain(arn)?;
        self.not_of_the_directory(name)?;
        version::check_description(description, publish)?;
        if text.is_none()
            && role.is_none()
            && logging.is_none()
            && tracing.is_none()
            && encryption.is_none()
        {
            return Err(ApiError::new(
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
            ));
        }
        role.map(check_role).transpose()?;
        let (whole, name) = (arn.to_owned(), name.to_owned());
        let (text, role): (Option<Arc<str>>, Option<Arc<str>>) =
            (text.map(Into::into), role.map(Into::into));
        let (description, at) = (description.map(str::to_owned), now());
        let (record, number) = self
            .write(move |tables| {
                let mut record = tables
                    .machine(&name)?
                    .ok_or_else(|| ApiError::no_machine(&whole))?;
                if let Some(text) = &text {
                    definition::parse(text, record.kind)?;
                }
                let before = record.configuration.clone();
                record.configuration = Configuration {
                    definition: text.unwrap_or_else(|| before.definition.clone()),
                    role: role.unwrap_or_else(|| before.role.clone()),
                    logging: logging.unwrap_or_else(|| before.logging.clone()),
                    tracing: tracing.unwrap_or_else(|| before.tracing.clone()),
                    encryption: encryption.unwrap_or_else(|| before.encryption.clone()),
                };
                // What changes nothing is the same revision.
                if record.configuration != before || record.revision.is_none() {
                    (record.revision, record.updated) = (Some(uuid()), at);
                    tables.put_machine(&record)?;
                }
                let number = publish
                    .then(|| version::publish(&tables, record.clone(), description, at))
                    .transpose()?;
                Ok((record, number.map(|version| version.number)))
            })
            .await?;
        let mut reply = json!({
            "updateDate": stored_seconds(record.updated),
            "revisionId": record.revision,
        });
        if let Some(number) = number {
            reply["stateMachineVersionArn"] = json!(format!("{arn}:{number}"));
        }
        Ok(reply)
    }

    pub(super) async fn delete_state_machine(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        shape.check()?;
        let parsed = MachineArn::parse(arn)?;
        if parsed.qualifier.is_some() {
            return Err(ApiError::invalid(format!(
                "DeleteStateMachine deletes a state machine with all its versions and aliases, and this is the ARN of one of them: {arn}"
            )));
        }
        self.not_of_the_directory(parsed.name)?;
        let name = parsed.name.to_owned();
        let region = self.engine.settings().region.clone();
        self.write(move |tables| {
            if let Some(record) = tables.machine(&name)? {
                let account = &record.account;
                let arn = format!("arn:aws:states:{region}:{account}:stateMachine:{name}");
                tables.delete_tags(&arn)?;
                tables.delete_machine(&name)?;
            }
            Ok(json!({}))
        })
        .await
    }

    async fn found(&self, arn: &str) -> Result<Found, ApiError> {
        let parsed = MachineArn::parse(arn)?;
        if let Some(machine) = self.engine.machines().get(parsed.name) {
            return match parsed.qualifier {
                None => Ok(Found::Directory(machine.clone())),
                Some(_) => Err(ApiError::no_machine(arn)),
            };
        }
        let number = match parsed.qualifier {
            None => None,
            Some(Qualifier::Version(number)) => Some(number),
            Some(Qualifier::Alias(_)) => return Err(ApiError::no_machine(arn)),
        };
        let (name, whole) = (parsed.name.to_owned(), arn.to_owned());
        self.read(move |tables| {
            let none = || ApiError::no_machine(&whole);
            let record = Box::new(tables.machine(&name)?.ok_or_else(none)?);
            Ok(match number {
                None => Found::Record(record),
                Some(number) => {
                    let version = tables.version(&name, number)?.ok_or_else(none)?;
                    Found::Version(record, Box::new(version))
                }
            })
        })
        .await
    }

    pub(super) async fn describe_state_machine(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        let included = shape.word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
        shape.check()?;
        let (mut reply, with) = match self.found(arn).await? {
            Found::Directory(machine) => (
                json!({
                    "stateMachineArn": self.engine.machine_arn(machine.name()),
                    "name": machine.name(),
                    "status": "ACTIVE",
                    "type": "STANDARD",
                    "creationDate": 0,
                }),
                self.directory_configuration(machine.definition()),
            ),
            Found::Record(record) => {
                let arn = self.arn(&record.account, "stateMachine", &record.name);
                let mut reply = json!({
                    "stateMachineArn": arn,
                    "name": record.name,
                    "status": "ACTIVE",
                    "type": type_of(record.kind),
                    "creationDate": stored_seconds(record.created),
                });
                if let Some(revision) = &record.revision {
                    reply["revisionId"] = json!(revision);
                }
                (reply, record.configuration)
            }
            Found::Version(record, version) => {
                let arn = self.arn(&record.account, "stateMachine", &record.name);
                let mut reply = json!({
                    "stateMachineArn": format!("{arn}:{}", version.number),
                    "name": record.name,
                    "status": "ACTIVE",
                    "type": type_of(record.kind),
                    "creationDate": stored_seconds(version.created),
                });
                if let Some(description) = &version.description {
                    reply["description"] = json!(description);
                }
                if let Some(revision) = &version.revision {
                    reply["revisionId"] = json!(revision);
                }
                (reply, version.configuration)
            }
        };
        show(&mut reply, &with, included == Some("METADATA_ONLY"));
        Ok(reply)
    }

    fn directory_configuration(&self, definition: &Arc<str>) -> Configuration {
        Configuration {
            definition: definition.clone(),
            role: self.engine.role_arn().into(),
            logging: no_logging(),
            tracing: no_tracing(),
            encryption: no_encryption(),
        }
    }

    pub(super) async fn describe_state_machine_for_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let included = shape.word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
        shape.check()?;
        let row = self.stored(arn).await?;
        let definition = self.engine.definition_of(&row).await?;
        let account = self.account_of(&row).to_owned();
        let mut reply = json!({
            "stateMachineArn": self.arn(&account, "stateMachine", &row.machine),
            "name": row.machine,
            "updateDate": seconds(timestamp(row.started)),
        });
        let mut with = self.directory_configuration(&definition);
        if let Some(role) = &row.origin.role {
            with.role = role.clone();
            // What the state machine had when the execution started, as far as it is still there.
            let (name, number) = (row.machine.to_string(), row.origin.version);
            let now = self
                .read(move |tables| {
                    let record = tables.machine(&name)?;
                    let version = number.map(|number| tables.version(&name, number));
                    Ok((record, version.transpose()?.flatten()))
                })
                .await?;
            let (configuration, updated, revision) = match now {
                (_, Some(version)) => (
                    Some(version.configuration),
                    Some(version.created),
                    version.revision,
                ),
                (Some(record), None) => (
                    Some(record.configuration),
                    Some(record.updated),
                    record.revision,
                ),
                (None, None) => (None, None, None),
            };
            if let Some(found) = configuration.filter(|found| found.definition == definition) {
                (with.logging, with.tracing) = (found.logging, found.tracing);
                with.encryption = found.encryption;
                if let Some(updated) = updated {
                    reply["updateDate"] = stored_seconds(updated);
                }
                if let Some(revision) = revision {
                    reply["revisionId"] = json!(revision);
                }
            }
        }
        show(&mut reply, &with, included == Some("METADATA_ONLY"));
        Ok(reply)
    }

    pub(super) async fn list_state_machines(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        shape.check()?;
        let after = position(token)?.unwrap_or_default();
        let from = after.clone();
        let records = self
            .read(move |tables| Ok(tables.machines(&from, limit + 1)?))
            .await?;
        let line = |arn: String, name: &str, kind: WorkflowType, created: Value| json!({"stateMachineArn": arn, "name": name, "type": type_of(kind), "creationDate": created});
        let mut lines: Vec<(String, Value)> = records
            .into_iter()
            .map(|record| {
                let arn = self.arn(&record.account, "stateMachine", &record.name);
                let created = stored_seconds(record.created);
                let line = line(arn, &record.name, record.kind, created);
                (record.name, line)
            })
            .collect();
        lines.extend(
            self.engine
                .machines()
                .iter()
                .filter(|machine| **machine.name() > *after)
                .map(|machine| {
                    let arn = self.engine.machine_arn(machine.name());
                    let line = line(arn, machine.name(), WorkflowType::Standard, json!(0));
                    (machine.name().to_string(), line)
                }),
        );
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next = lines.last().filter(|_| more);
        let next = next.map(|(name, _)| page_token(name));
        let lines: Vec<Value> = lines.into_iter().map(|(_, line)| line).collect();
        Ok(with_next(json!({"stateMachines": lines}), next))
    }
}

/// Whether creating `new` when `earlier` is there is a repeat: roles and tags do not matter.
fn is_same(earlier: &MachineRecord, new: &MachineRecord) -> bool {
    let (one, other) = (&earlier.configuration, &new.configuration);
    earlier.account == new.account
        && earlier.kind == new.kind
        && one.definition == other.definition
        && one.logging == other.logging
        && one.tracing == other.tracing
        && one.encryption == other.encryption
}

/// Adds a configuration to a description.
fn show(reply: &mut Value, with: &Configuration, only_metadata: bool) {
    let stored = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    reply["roleArn"] = json!(with.role);
    reply["loggingConfiguration"] = stored(&with.logging);
    reply["tracingConfiguration"] = stored(&with.tracing);
    reply["encryptionConfiguration"] = stored(&with.encryption);
    if only_metadata {
        reply["definition"] = json!("");
        return;
    }
    reply["definition"] = json!(with.definition);
    let references = variables::references(&with.definition);
    if !references.is_empty() {
        reply["variableReferences"] = json!(references);
    }
}

/// A state machine of the catalog.
pub(super) fn required(
    tables: &Tables<'_>,
    name: &str,
    arn: &str,
) -> Result<MachineRecord, ApiError> {
    tables
        .machine(name)?
        .ok_or_else(|| ApiError::no_machine(arn))
}
