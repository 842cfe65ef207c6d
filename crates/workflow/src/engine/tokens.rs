//! Tasks that are answered from outside, by their token.

use std::sync::Arc;

use asl::{Event, TaskId, token};

use super::error::EngineError;
use super::model::Status;
use super::{Engine, check_json};

impl Engine {
    /// The token of the task that waits in the top-level state `step`.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn waiting_token(
        &self,
        name: &str,
        step: &str,
    ) -> Result<Option<String>, EngineError> {
        let row = self.inner.newest(name, None).await?;
        if row.status != Status::Running {
            return Ok(None);
        }
        let loaded = self.rebuilt(row).await?;
        Ok(loaded.and_then(|loaded| loaded.waiting_token(step)))
    }

    /// Answers a waiting task with its output, JSON.
    ///
    /// # Errors
    /// [`EngineError::NoSuchTask`] when nothing waits for this token (any more).
    pub async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), EngineError> {
        let output = check_json("output", output)?;
        self.answer(token, |task| Event::TaskSucceeded {
            task,
            output: output.clone(),
        })
        .await
    }

    /// Answers a waiting task with an error.
    ///
    /// # Errors
    /// As [`Self::task_success`].
    pub async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), EngineError> {
        self.answer(token, |task| Event::TaskFailed {
            task,
            error: error.to_owned(),
            cause: cause.to_owned(),
        })
        .await
    }

    /// Reports that the worker with the token is at work.
    ///
    /// # Errors
    /// As [`Self::task_success`].
    pub async fn task_heartbeat(&self, token: &str) -> Result<(), EngineError> {
        self.answer(token, |task| Event::TaskHeartbeat { task })
            .await
    }

    async fn answer(
        &self,
        token: &str,
        event: impl Fn(TaskId) -> Event,
    ) -> Result<(), EngineError> {
        let (name, task, _) = token::decode(token).ok_or(EngineError::InvalidToken)?;
        let rows = self.inner.find(&name, None).await?;
        for row in rows.iter().filter(|row| row.status == Status::Running) {
            match self.ask(row.id, event(task), Some(token.to_owned())).await {
                Err(EngineError::NoSuchTask) => {}
                other => return other,
            }
        }
        Err(EngineError::NoSuchTask)
    }
}
