//! A task that moves dead letters, as it is kept and shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskStatus {
    Running,
    Completed,
    Cancelled,
    Failed,
}

impl TaskStatus {
    fn name(self) -> &'static str {
        match self {
            TaskStatus::Running => "RUNNING",
            TaskStatus::Completed => "COMPLETED",
            TaskStatus::Cancelled => "CANCELLED",
            TaskStatus::Failed => "FAILED",
        }
    }
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) destination: Option<String>,
    pub(super) per_second: Option<i64>,
    pub(super) started: i64,
    pub(super) moved: i64,
    pub(super) to_move: i64,
    pub(super) status: TaskStatus,
    pub(super) failure: Option<&'static str>,
}

impl Task {
    pub(super) fn handle(&self) -> String {
        STANDARD.encode(json!({"taskId": self.id, "sourceArn": self.source}).to_string())
    }

    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "Status": self.status.name(),
            "SourceArn": self.source,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started,
        });
        if self.status == TaskStatus::Running {
            shown["TaskHandle"] = json!(self.handle());
        }
        if let Some(destination) = &self.destination {
            shown["DestinationArn"] = json!(destination);
        }
        if let Some(most) = self.per_second {
            shown["MaxNumberOfMessagesPerSecond"] = json!(most);
        }
        if let Some(reason) = self.failure {
            shown["FailureReason"] = json!(reason);
        }
        shown
    }
}
