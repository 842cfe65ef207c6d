//! Activities: tasks that wait for a worker that polls (`GetActivityTask`). The answer comes back
//! by the task's token, through the engine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::task::{Responder, TaskKey, TaskRequest};

/// Time that a poll waits for a task (Step Functions, `GetActivityTask`).
pub(crate) const POLL: Duration = Duration::from_secs(60);
/// Maximum number of tasks of one activity that wait for a worker.
pub(crate) const QUEUE: usize = 100_000;

/// A task for a worker.
#[derive(Debug)]
pub(crate) struct ActivityTask {
    key: TaskKey,
    pub(crate) token: String,
    pub(crate) input: Arc<str>,
    responder: Responder,
}

#[derive(Debug, Default)]
struct Activity {
    tasks: VecDeque<ActivityTask>,
    pollers: VecDeque<(Option<String>, oneshot::Sender<ActivityTask>)>,
}

/// All activities, by ARN.
#[derive(Debug, Default)]
pub(crate) struct Activities(Mutex<HashMap<String, Activity>>);

impl Activities {
    pub(crate) fn schedule(&self, arn: &str, request: &TaskRequest, responder: Responder) {
        let Some(token) = request.task.token.clone() else {
            return responder.failed("States.Runtime", "an activity's task has no token");
        };
        let task = ActivityTask {
            key: request.key,
            token,
            input: request.task.payload.clone(),
            responder,
        };
        self.offer(arn, task);
    }

    fn offer(&self, arn: &str, mut task: ActivityTask) {
        let mut all = self.0.lock();
        let activity = all.entry(arn.to_owned()).or_default();
        while let Some((worker, poller)) = activity.pollers.pop_front() {
            let responder = task.responder.clone();
            match poller.send(task) {
                Ok(()) => return responder.started(worker),
                Err(back) => task = back,
            }
        }
        if activity.tasks.len() >= QUEUE {
            drop(all);
            return task.responder.failed(
                "States.Runtime",
                format!("{QUEUE} tasks wait for this activity already"),
            );
        }
        activity.tasks.push_back(task);
    }

    /// The next task, or none when the poll's time is over.
    pub(crate) async fn poll(&self, arn: &str, worker: Option<String>) -> Option<ActivityTask> {
        let mut waiting = {
            let mut all = self.0.lock();
            let activity = all.entry(arn.to_owned()).or_default();
            if let Some(task) = activity.tasks.pop_front() {
                task.responder.started(worker);
                return Some(task);
            }
            let (hand, taken) = oneshot::channel();
            activity.pollers.retain(|(_, hand)| !hand.is_closed());
            activity.pollers.push_back((worker, hand));
            taken
        };
        // A worker that goes away with a task in its hand lets it time out, as on AWS.
        match tokio::time::timeout(POLL, &mut waiting).await {
            Ok(task) => task.ok(),
            Err(_) => {
                waiting.close();
                waiting.try_recv().ok()
            }
        }
    }

    pub(crate) fn cancel(&self, key: TaskKey) {
        for activity in self.0.lock().values_mut() {
            if !activity.tasks.is_empty() {
                activity.tasks.retain(|task| task.key != key);
            }
        }
    }
}
