//! Tasks that somebody outside answers: by token, and as activities.

use serde_json::{Value, json};

use super::{Api, Reply, optional, text};

impl Api {
    pub(super) async fn send_task_success(&self, parameters: &Value) -> Reply {
        let token = text(parameters, "taskToken")?;
        let output = text(parameters, "output")?;
        self.engine.task_success(token, output.into()).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_failure(&self, parameters: &Value) -> Reply {
        let token = text(parameters, "taskToken")?;
        let [error, cause] =
            ["error", "cause"].map(|name| optional(parameters, name).unwrap_or(""));
        self.engine.task_failure(token, error, cause).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_heartbeat(&self, parameters: &Value) -> Reply {
        self.engine
            .task_heartbeat(text(parameters, "taskToken")?)
            .await?;
        Ok(json!({}))
    }

    pub(super) async fn get_activity_task(&self, parameters: &Value) -> Reply {
        let arn = text(parameters, "activityArn")?;
        let worker = optional(parameters, "workerName").map(str::to_owned);
        let task = self.runner.activities.poll(arn, worker).await;
        Ok(match task {
            Some(task) => json!({"taskToken": task.token, "input": task.input}),
            None => json!({}),
        })
    }
}
