//! Tasks that move dead letters to another queue or back to where they came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::account::{Queues, text};
use super::error::SqsError;
use super::task::{Task, TaskStatus};

/// Maximum number of messages that a task moves in a second, where it is bounded.
const PER_SECOND: i64 = 500;
/// Maximum number of tasks of a list.
const LISTED: i64 = 10;

impl Queues {
    pub(super) fn start_message_move_task(
        &mut self,
        request: &Value,
        now: i64,
    ) -> Result<Value, SqsError> {
        let source = text(request, "SourceArn");
        if self.by_arn(&source).is_none() {
            return Err(no_source());
        }
        if self.sources(&source).is_empty() {
            return Err(SqsError::invalid(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        let destination = request["DestinationArn"].as_str().map(str::to_owned);
        if let Some(destination) = &destination
            && self.by_arn(destination).is_none()
        {
            return Err(SqsError::no_resource(
                "The resource that you specified for the DestinationArn parameter doesn't exist.",
            ));
        }
        let per_second = request["MaxNumberOfMessagesPerSecond"].as_i64();
        if per_second.is_some_and(|most| !(1..=PER_SECOND).contains(&most)) {
            return Err(SqsError::invalid(format!(
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must \
                 enter a number between 1 and {PER_SECOND}.",
            )));
        }
        let is_running = |task: &Task| task.source == source && task.status == TaskStatus::Running;
        if self.tasks.iter().any(is_running) {
            return Err(SqsError::invalid(
                "There is already a task running. Only one active task is allowed for a source \
                 queue arn at a given time.",
            ));
        }
        let id = self.id();
        let queue = self.by_arn(&source).expect("it was found");
        let task = Task {
            id,
            to_move: i64::try_from(queue.messages.len()).unwrap_or(i64::MAX),
            source,
            destination,
            per_second,
            started: now,
            moved: 0,
            status: TaskStatus::Running,
            failure: None,
        };
        let handle = task.handle();
        self.tasks.push(task);
        Ok(json!({"TaskHandle": handle}))
    }

    pub(super) fn cancel_message_move_task(
        &mut self,
        request: &Value,
        _now: i64,
    ) -> Result<Value, SqsError> {
        let handle = STANDARD.decode(text(request, "TaskHandle")).ok();
        let handle: Option<Value> = handle.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let parts = handle
            .as_ref()
            .and_then(|handle| Some((handle["taskId"].as_str()?, handle["sourceArn"].as_str()?)));
        let Some((id, source)) = parts else {
            return Err(SqsError::invalid(
                "Value for parameter TaskHandle is invalid.",
            ));
        };
        if self.by_arn(source).is_none() {
            return Err(no_source());
        }
        let mut tasks = self.tasks.iter_mut();
        let task = tasks.find(|task| task.id == id && task.status == TaskStatus::Running);
        let task = task.ok_or_else(|| SqsError::no_resource("Task does not exist."))?;
        task.status = TaskStatus::Cancelled;
        Ok(json!({"ApproximateNumberOfMessagesMoved": task.moved}))
    }

    pub(super) fn list_message_move_tasks(&mut self, request: &Value) -> Result<Value, SqsError> {
        let source = text(request, "SourceArn");
        if self.by_arn(&source).is_none() {
            return Err(no_source());
        }
        let most = request["MaxResults"].as_i64().unwrap_or(1);
        if !(1..=LISTED).contains(&most) {
            return Err(SqsError::invalid(format!(
                "Value {most} for parameter MaxResults is invalid. Reason: must be between 1 and \
                 {LISTED}.",
            )));
        }
        let tasks = self.tasks.iter().rev().filter(|task| task.source == source);
        let shown = tasks
            .take(usize::try_from(most).unwrap_or(1))
            .map(Task::shown);
        Ok(json!({"Results": shown.collect::<Vec<_>>()}))
    }

    /// Moves what running tasks have to move by now.
    pub fn advance(&mut self, now: i64) {
        for at in 0..self.tasks.len() {
            while self.tasks[at].status == TaskStatus::Running && self.move_one(at, now) {}
        }
    }

    /// Moves one message of a task; false when it has to wait or is at its end.
    fn move_one(&mut self, at: usize, now: i64) -> bool {
        let task = self.tasks[at].clone();
        // The task's own thread needs a moment: nothing is moved in the call that starts it.
        let due = match task.per_second {
            Some(most) => (now - task.started) * most / 1_000,
            None if now > task.started => i64::MAX,
            None => 0,
        };
        if task.moved >= due {
            return false;
        }
        let head = self.by_arn(&task.source).map(|queue| {
            let visible = queue.messages.iter().position(|one| one.visible <= now);
            visible.map(|at| queue.messages[at].clone())
        });
        let Some(Some(message)) = head else {
            self.tasks[at].status = TaskStatus::Completed;
            return false;
        };
        let target = task.destination.or(message.origin.clone());
        let id = self.id();
        let Some(target) = target.and_then(|arn| self.by_arn(&arn)) else {
            self.tasks[at].status = TaskStatus::Failed;
            self.tasks[at].failure = Some("AWS.SimpleQueueService.NonExistentQueue");
            return false;
        };
        // A moved message is a new one.
        let mut moved = message.clone();
        moved.id = id;
        moved.sent = now;
        moved.visible = now;
        moved.receives = 0;
        moved.first_received = None;
        moved.origin = None;
        target.messages.push_back(moved);
        if let Some(source) = self.by_arn(&task.source) {
            source.messages.retain(|one| one.id != message.id);
        }
        self.tasks[at].moved += 1;
        true
    }
}

fn no_source() -> SqsError {
    SqsError::no_resource(
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    )
}
