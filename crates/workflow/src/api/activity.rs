//! Activities: create, describe, list, delete, and the long poll of their workers. Those that a
//! state machine of the directory names are there without being created.

use serde_json::{Value, json};

use super::configuration::{encryption, no_encryption};
use super::error::ApiError;
use super::shape::{NAME, PAGE_TOKEN};
use super::{Api, Call, Reply, now, page_token, position, stored_seconds, tag, with_next};
use crate::arn;
use crate::catalog::ActivityRecord;
use crate::engine::is_name;

/// Activities that the API may create (Step Functions quota).
pub(crate) const ACTIVITIES: usize = 10_000;

fn missing(arn: &str) -> ApiError {
    ApiError::new(
        "ActivityDoesNotExist",
        format!("Activity Does Not Exist: '{arn}'"),
    )
}

impl Api {
    pub(super) async fn create_activity(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let name = shape.text("name", NAME);
        let tags = tag::given(&mut shape)?;
        let encryption = encryption(&mut shape)?.unwrap_or_else(no_encryption);
        shape.check()?;
        if !is_name(name) {
            return Err(ApiError::invalid_name(name));
        }
        let arn = self.arn(&call.account, "activity", name);
        let record = ActivityRecord {
            name: name.to_owned(),
            account: call.account.clone(),
            encryption,
            created: now(),
        };
        let own = arn.clone();
        let created = self
            .write(move |tables| {
                if let Some(earlier) = tables.activity(&record.name)? {
                    if earlier.account == record.account && earlier.encryption == record.encryption
                    {
                        return Ok(earlier.created);
                    }
                    return Err(ApiError::new(
                        "ActivityAlreadyExists",
                        format!("Activity Already Exists: '{own}'"),
                    ));
                }
                if tables.count_activities()? >= ACTIVITIES {
                    return Err(ApiError::new(
                        "ActivityLimitExceeded",
                        format!("Activity Limit Exceeded: '{ACTIVITIES}'"),
                    ));
                }
                tables.add_activity(&record)?;
                for (key, value) in &tags {
                    tables.put_tag(&own, key, value)?;
                }
                Ok(record.created)
            })
            .await?;
        Ok(json!({"activityArn": arn, "creationDate": stored_seconds(created)}))
    }

    pub(super) async fn describe_activity(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("activityArn");
        shape.check()?;
        let name = arn::activity(arn)?.to_owned();
        let found = self.read(move |tables| Ok(tables.activity(&name)?)).await?;
        match found {
            Some(record) => Ok(json!({
                "activityArn": self.arn(&record.account, "activity", &record.name),
                "name": record.name,
                "creationDate": stored_seconds(record.created),
                "encryptionConfiguration": serde_json::from_str::<Value>(&record.encryption).unwrap_or_default(),
            })),
            None if self.is_named(arn) => Ok(json!({
                "activityArn": arn,
                "name": arn::activity(arn)?,
                "creationDate": 0,
                "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
            })),
            None => Err(missing(arn)),
        }
    }

    /// Whether a state machine of the directory has this activity.
    fn is_named(&self, wanted: &str) -> bool {
        self.engine.machines().iter().any(|machine| {
            let resources = machine.parsed().resources();
            resources.iter().any(|(_, resource)| {
                matches!(resource, asl::Resource::Activity { arn } if arn == wanted)
            })
        })
    }

    pub(super) async fn list_activities(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        shape.check()?;
        let after = position(token)?.unwrap_or_default();
        let records = self
            .read(move |tables| Ok(tables.activities(&after, limit + 1)?))
            .await?;
        let next = (records.len() > limit).then(|| page_token(&records[limit - 1].name));
        let activities: Vec<Value> = records
            .iter()
            .take(limit)
            .map(|record| {
                json!({
                    "activityArn": self.arn(&record.account, "activity", &record.name),
                    "name": record.name,
                    "creationDate": stored_seconds(record.created),
                })
            })
            .collect();
        Ok(with_next(json!({"activities": activities}), next))
    }

    pub(super) async fn delete_activity(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("activityArn");
        shape.check()?;
        let (name, whole) = (arn::activity(arn)?.to_owned(), arn.to_owned());
        self.write(move |tables| {
            tables.delete_tags(&whole)?;
            tables.delete_activity(&name)?;
            Ok(json!({}))
        })
        .await
    }

    pub(super) async fn get_activity_task(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("activityArn");
        let worker = shape.optional("workerName", NAME).map(str::to_owned);
        shape.check()?;
        let name = arn::activity(arn)?.to_owned();
        let created = self.read(move |tables| Ok(tables.activity(&name)?)).await?;
        if created.is_none() && !self.is_named(arn) {
            return Err(missing(arn));
        }
        let task = self.runner.activities.poll(arn, worker).await;
        Ok(match task {
            Some(task) => json!({"taskToken": task.token, "input": task.input}),
            None => json!({}),
        })
    }
}
