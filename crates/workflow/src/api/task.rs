//! Tasks that are answered from outside, by their token.

use serde_json::json;

use super::error::ApiError;
use super::shape::{CAUSE, DATA, ERROR, TASK_TOKEN};
use super::{Api, Call, Reply};
use crate::json_error::check_json;

impl Api {
    pub(super) async fn send_task_success(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let token = shape.text("taskToken", TASK_TOKEN);
        let output = shape.required_secret("output", DATA);
        shape.check()?;
        if let Err(reason) = check_json(output) {
            return Err(ApiError::new(
                "InvalidOutput",
                format!("Invalid Output: '{reason}'"),
            ));
        }
        self.engine.task_success(token, output.into()).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_failure(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let token = shape.text("taskToken", TASK_TOKEN);
        let error = shape.secret("error", ERROR).unwrap_or_default();
        let cause = shape.secret("cause", CAUSE).unwrap_or_default();
        shape.check()?;
        self.engine.task_failure(token, error, cause).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_heartbeat(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let token = shape.text("taskToken", TASK_TOKEN);
        shape.check()?;
        self.engine.task_heartbeat(token).await?;
        Ok(json!({}))
    }
}
