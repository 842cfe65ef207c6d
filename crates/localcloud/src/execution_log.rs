//! What Step Functions writes into a log group: one entry for each history event, as its level
//! asks, and what a subscription of the group sends to a function. Pure.
//!
//! Source: "Using CloudWatch Logs to log execution history", with the recordings for the shape.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

/// Which events are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// All events.
    #[default]
    All,
    /// Events that say that something failed.
    Error,
    /// The failed end of the execution.
    Fatal,
    /// None.
    Off,
}

impl LogLevel {
    /// The level of AWS's word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "ALL" => Some(LogLevel::All),
            "ERROR" => Some(LogLevel::Error),
            "FATAL" => Some(LogLevel::Fatal),
            "OFF" => Some(LogLevel::Off),
            _ => None,
        }
    }

    fn admits(self, event_type: &str) -> bool {
        let fatal = ["ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"];
        let is_fatal = fatal.contains(&event_type);
        match self {
            LogLevel::All => true,
            LogLevel::Fatal => is_fatal,
            LogLevel::Off => false,
            LogLevel::Error => {
                is_fatal
                    || event_type == "FailStateEntered"
                    || ["Failed", "TimedOut", "Aborted"]
                        .iter()
                        .any(|end| event_type.ends_with(end))
            }
        }
    }
}

/// Maximum bytes of the data of one entry; more is left out.
pub const DATA_BYTES: usize = 248 * 1024;

const DATA: &[&str] = &["input", "output", "parameters", "assignedVariables"];

/// The entry of a history event, as `GetExecutionHistory` shows the event; `None` where the level
/// leaves it out.
#[must_use]
pub fn entry(
    event: &Value,
    execution_arn: &str,
    redrives: u32,
    level: LogLevel,
    include_data: bool,
) -> Option<Value> {
    let event_type = event["type"].as_str()?;
    if !level.admits(event_type) {
        return None;
    }
    let mut fields = event.as_object()?.iter();
    let details = fields.find(|(name, _)| name.ends_with("EventDetails"));
    let details = details.and_then(|(_, details)| details.as_object());
    let mut details = details.cloned().unwrap_or_default();
    if !include_data {
        for name in DATA {
            details.shift_remove(*name);
            details.shift_remove(&format!("{name}Details"));
        }
    } else {
        truncate(&mut details);
    }
    let seconds = event["timestamp"].as_f64().unwrap_or_default();
    Some(json!({
        "id": event["id"].to_string(),
        "type": event_type,
        "details": details,
        "previous_event_id": event["previousEventId"].as_u64().unwrap_or_default().to_string(),
        "event_timestamp": format!("{}", (seconds * 1_000.0).round() as i64),
        "execution_arn": execution_arn,
        "redrive_count": redrives.to_string(),
    }))
}

/// Leaves out data that is too long, and says so.
fn truncate(details: &mut Map<String, Value>) {
    let long = |details: &Map<String, Value>, name: &str| {
        details
            .get(name)
            .and_then(Value::as_str)
            .map_or(0, str::len)
    };
    for name in DATA {
        let total: usize = DATA.iter().map(|name| long(details, name)).sum();
        if total <= DATA_BYTES {
            return;
        }
        if details.shift_remove(*name).is_some() {
            details.insert(format!("{name}Details"), json!({"truncated": true}));
        }
    }
}

/// An entry in its log group.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEvent {
    /// Its id in the group.
    pub id: String,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The entry as text.
    pub message: String,
}

/// Where entries are.
#[derive(Clone, Copy, Debug)]
pub struct LogSource<'a> {
    /// The account.
    pub owner: &'a str,
    /// The log group.
    pub group: &'a str,
    /// The stream in it.
    pub stream: &'a str,
    /// The name of the subscription filter.
    pub filter: &'a str,
}

/// What the subscription of a group sends to a function: the entries, compressed.
#[must_use]
pub fn subscription_event(source: LogSource<'_>, events: &[LogEvent]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|one| json!({"id": one.id, "timestamp": one.timestamp, "message": one.message}))
        .collect();
    let message = json!({
        "messageType": "DATA_MESSAGE",
        "owner": source.owner,
        "logGroup": source.group,
        "logStream": source.stream,
        "subscriptionFilters": [source.filter],
        "logEvents": events,
    });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(message.to_string().as_bytes())
        .expect("memory takes it");
    let bytes = gzip.finish().expect("memory takes it");
    json!({"awslogs": {"data": STANDARD.encode(bytes)}})
}
