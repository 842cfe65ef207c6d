//! The logging, tracing and encryption configurations of a state machine: checked and given back,
//! not acted upon. The embedded service writes no CloudWatch logs and no X-Ray traces.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::shape::{ARN, Shape};

const LEVELS: &[&str] = &["ALL", "ERROR", "FATAL", "OFF"];
const KEY_TYPES: &[&str] = &["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"];

/// `loggingConfiguration` as `DescribeStateMachine` shows it; without one, logging is off.
pub(super) fn logging(shape: &mut Shape<'_>) -> Result<Option<String>, ApiError> {
    let Some(given) = shape.structure("loggingConfiguration") else {
        return Ok(None);
    };
    let (mut level, mut with_data, mut destinations) = (None, None, None);
    shape.within("loggingConfiguration", given, |inner| {
        level = inner.word("level", LEVELS);
        with_data = inner.flag("includeExecutionData");
        destinations = inner.list("destinations");
    });
    let level = level.unwrap_or("OFF");
    let wrong = |what: &str| {
        let message = format!("Invalid Logging Configuration: {what}");
        Err(ApiError::new("InvalidLoggingConfiguration", message))
    };
    let count = destinations.map_or(0, <[Value]>::len);
    if count > 1 || (level != "OFF" && count != 1) {
        return wrong("Must specify exactly one Log Destination.");
    }
    for destination in destinations.unwrap_or_default() {
        let group = destination["cloudWatchLogsLogGroup"]["logGroupArn"].as_str();
        if !group.is_some_and(|arn| arn.starts_with("arn:") && arn.contains(":log-group:")) {
            return wrong("Must specify a valid Log Group ARN.");
        }
    }
    let mut shown = Map::new();
    if let Some(destinations) = destinations {
        shown.insert("destinations".to_owned(), json!(destinations));
    }
    shown.insert(
        "includeExecutionData".to_owned(),
        json!(with_data.unwrap_or(false)),
    );
    shown.insert("level".to_owned(), json!(level));
    Ok(Some(Value::Object(shown).to_string()))
}

/// What [`logging`] shows when nothing is configured.
pub(super) fn no_logging() -> String {
    json!({"includeExecutionData": false, "level": "OFF"}).to_string()
}

pub(super) fn tracing(shape: &mut Shape<'_>) -> Option<String> {
    let given = shape.structure("tracingConfiguration")?;
    let mut enabled = None;
    shape.within("tracingConfiguration", given, |inner| {
        enabled = inner.flag("enabled");
    });
    Some(json!({"enabled": enabled.unwrap_or(false)}).to_string())
}

pub(super) fn no_tracing() -> String {
    json!({"enabled": false}).to_string()
}

pub(super) fn encryption(shape: &mut Shape<'_>) -> Result<Option<String>, ApiError> {
    let Some(given) = shape.structure("encryptionConfiguration") else {
        return Ok(None);
    };
    let (mut kind, mut key) = (None, None);
    shape.within("encryptionConfiguration", given, |inner| {
        kind = inner.word("type", KEY_TYPES);
        key = inner.optional("kmsKeyId", 1..=2_048);
        inner.number("kmsDataKeyReusePeriodSeconds", 60..=900);
    });
    shape.check()?;
    let owned = kind == Some("AWS_OWNED_KEY");
    let wrong = |what: &str| {
        Err(ApiError::new(
            "InvalidEncryptionConfiguration",
            format!("Invalid Encryption Configuration: {what}"),
        ))
    };
    if kind.is_none() {
        return wrong("Must specify the type of the key.");
    }
    if owned && given.get("kmsKeyId").is_some() {
        return wrong("A key id is not allowed with an AWS owned key.");
    }
    if !owned && key.is_none() {
        return wrong("A customer managed key needs its key id.");
    }
    Ok(Some(given.to_string()))
}

pub(super) fn no_encryption() -> String {
    json!({"type": "AWS_OWNED_KEY"}).to_string()
}

/// The role's ARN. Nothing assumes it.
pub(super) fn check_role(arn: &str) -> Result<(), ApiError> {
    if ARN.contains(&arn.chars().count()) && arn.starts_with("arn:") {
        Ok(())
    } else {
        Err(ApiError::new(
            "InvalidArn",
            format!("Invalid Role Arn: '{arn}'"),
        ))
    }
}
