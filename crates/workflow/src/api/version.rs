//! Versions of state machines: frozen, numbered from 1, never renumbered.

use serde_json::{Value, json};

use super::error::ApiError;
use super::required;
use super::shape::{ARN, DESCRIPTION, PAGE_TOKEN};
use super::{Api, Call, Reply, now, numbered, page_token, stored_seconds, with_next};
use crate::arn::{MachineArn, Qualifier};
use crate::catalog::{MachineRecord, Tables, Version};

/// Published versions of one state machine (Step Functions quota).
pub(crate) const VERSIONS: usize = 1_000;

/// What a state machine that was never updated has as its revision.
const INITIAL: &str = "INITIAL";

pub(super) fn check_description(description: Option<&str>, publish: bool) -> Result<(), ApiError> {
    if description.is_some() && !publish {
        return Err(ApiError::invalid(
            "Version description can only be set when publish is true",
        ));
    }
    Ok(())
}

/// Publishes the state machine as it is now; once for each revision.
pub(super) fn publish(
    tables: &Tables<'_>,
    mut record: MachineRecord,
    description: Option<String>,
    at: i64,
) -> Result<Version, ApiError> {
    let newest = tables.versions(&record.name, i64::MAX, 1)?.pop();
    if let Some(newest) = newest
        && newest.revision == record.revision
        && newest.configuration == record.configuration
    {
        return Ok(newest);
    }
    if tables.count_versions(&record.name)? >= VERSIONS {
        return Err(ApiError::new(
            "ServiceQuotaExceededException",
            format!(
                "State machine '{}' has {VERSIONS} versions, and no more are possible: delete some",
                record.name
            ),
        ));
    }
    record.published += 1;
    tables.put_machine(&record)?;
    let version = Version {
        number: record.published,
        description,
        configuration: record.configuration,
        created: at,
        revision: record.revision,
    };
    tables.add_version(&record.name, &version)?;
    Ok(version)
}

impl Api {
    pub(super) async fn publish_state_machine_version(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        let revision = shape.optional("revisionId", ARN);
        let description = shape.optional("description", DESCRIPTION);
        shape.check()?;
        let name = MachineArn::plain(arn)?.to_owned();
        let (whole, at) = (arn.to_owned(), now());
        let (revision, description) = (revision.map(str::to_owned), description.map(str::to_owned));
        let version = self
            .write(move |tables| {
                let record = required(&tables, &name, &whole)?;
                let current = record.revision.as_deref().unwrap_or(INITIAL);
                if let Some(revision) = revision.filter(|revision| revision != current) {
                    return Err(ApiError::new(
                        "ConflictException",
                        format!(
                            "Failed to publish the State Machine version for revision {revision}. The current State Machine revision is \
                             {current}."
                        ),
                    ));
                }
                publish(&tables, record, description, at)
            })
            .await?;
        Ok(json!({
            "stateMachineVersionArn": format!("{arn}:{}", version.number),
            "creationDate": stored_seconds(version.created),
        }))
    }

    pub(super) async fn list_state_machine_versions(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        shape.check()?;
        let name = MachineArn::plain(arn)?.to_owned();
        let before = numbered(token)?.unwrap_or(i64::MAX);
        if self.engine.machines().get(&name).is_some() {
            return Ok(json!({"stateMachineVersions": []}));
        }
        let whole = arn.to_owned();
        let (account, mut versions) = self
            .read(move |tables| {
                let record = required(&tables, &name, &whole)?;
                let versions = tables.versions(&name, before, limit + 1)?;
                Ok((record.account, versions))
            })
            .await?;
        let more = versions.len() > limit;
        versions.truncate(limit);
        let last = versions.last().filter(|_| more);
        let next = last.map(|version| page_token(&version.number.to_string()));
        let own = self.arn(&account, "stateMachine", MachineArn::plain(arn)?);
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                json!({
                    "stateMachineVersionArn": format!("{own}:{}", version.number),
                    "creationDate": stored_seconds(version.created),
                })
            })
            .collect();
        Ok(with_next(json!({"stateMachineVersions": versions}), next))
    }

    pub(super) async fn delete_state_machine_version(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("stateMachineVersionArn", 1..=2_000);
        shape.check()?;
        let parsed = MachineArn::parse(arn)?;
        let Some(Qualifier::Version(number)) = parsed.qualifier else {
            return Err(ApiError::invalid(format!(
                "The ARN of a state machine version ends with its number: {arn}"
            )));
        };
        let name = parsed.name.to_owned();
        self.write(move |tables| {
            let mut users = Vec::new();
            let mut after = String::new();
            loop {
                let aliases = tables.aliases(&name, &after, 100)?;
                let Some(last) = aliases.last() else { break };
                after.clone_from(&last.name);
                let uses = |routing: &[(u32, u32)]| routing.iter().any(|one| one.0 == number);
                let using = aliases.iter().filter(|alias| uses(&alias.routing));
                users.extend(using.map(|alias| alias.name.clone()));
            }
            if !users.is_empty() {
                return Err(ApiError::new(
                    "ConflictException",
                    format!(
                        "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{}]",
                        users.join(", ")
                    ),
                ));
            }
            tables.delete_version(&name, number)?;
            Ok(json!({}))
        })
        .await
    }
}
