//! The dead-letter queues of SQS: how many messages are in one, and moving them back to the queues
//! from which they came (`StartMessageMoveTask`). SQS moves them; this begins it and asks how far
//! it is.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;

/// Maximum number of redrives that SQS lists (API reference, `ListMessageMoveTasks`).
const REDRIVES: i32 = 10;

/// A dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    client: Client,
    arn: String,
    name: String,
    account: String,
}

/// One redrive of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveTask {
    /// `RUNNING`, `COMPLETED`, `CANCELLING`, `CANCELLED` or `FAILED`.
    pub status: String,
    /// Approximate number of messages that were moved.
    pub moved: i64,
    /// Approximate number of messages to be moved in all, as it was at the beginning.
    pub to_move: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Why SQS did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqsError {
    /// The text is not the ARN of a queue.
    #[error(
        "`{0}` is not the ARN of a queue; it looks like arn:aws:sqs:eu-west-1:123456789012:jobs-dead"
    )]
    Arn(String),
    /// SQS refused, or does not answer.
    #[error("SQS: {message}")]
    Refused {
        /// Its code.
        code: String,
        /// Its message.
        message: String,
    },
}

impl SqsError {
    /// The code of the error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Arn(_) => "BadRequest",
            Self::Refused { code, .. } => code,
        }
    }
}

fn refused<E>(error: SdkError<E>) -> SqsError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let code = error.code().unwrap_or("ServiceUnavailable").to_owned();
    let message = match error.message() {
        Some(message) => message.to_owned(),
        None => DisplayErrorContext(&error).to_string(),
    };
    SqsError::Refused { code, message }
}

impl DeadLetterQueue {
    /// The queue with this ARN, in its region, with the credentials that the AWS SDKs find. Nothing
    /// is called yet.
    ///
    /// # Errors
    /// [`SqsError::Arn`].
    pub async fn open(arn: &str) -> Result<Self, SqsError> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "sqs", region, account, name] = parts[..] else {
            return Err(SqsError::Arn(arn.to_owned()));
        };
        let loader = aws_config::defaults(BehaviorVersion::latest());
        let config = loader.region(Region::new(region.to_owned())).load().await;
        Ok(Self {
            client: Client::new(&config),
            arn: arn.to_owned(),
            name: name.to_owned(),
            account: account.to_owned(),
        })
    }

    /// Approximate number of messages in it.
    ///
    /// # Errors
    /// [`SqsError::Refused`].
    pub async fn messages(&self) -> Result<i64, SqsError> {
        let found = self.client.get_queue_url().queue_name(&self.name);
        let found = found.queue_owner_aws_account_id(&self.account).send().await;
        let found = found.map_err(refused)?;
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let attributes = self
            .client
            .get_queue_attributes()
            .attribute_names(name.clone());
        let attributes = attributes.set_queue_url(found.queue_url).send().await;
        let attributes = attributes.map_err(refused)?.attributes.unwrap_or_default();
        Ok(attributes
            .get(&name)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0))
    }

    /// Its last redrives, the newest first.
    ///
    /// # Errors
    /// [`SqsError::Refused`].
    pub async fn redrives(&self) -> Result<Vec<MoveTask>, SqsError> {
        let tasks = self.client.list_message_move_tasks().source_arn(&self.arn);
        let tasks = tasks.max_results(REDRIVES).send().await.map_err(refused)?;
        let tasks = tasks.results.unwrap_or_default().into_iter();
        Ok(tasks
            .map(|task| MoveTask {
                status: task.status.unwrap_or_default(),
                moved: task.approximate_number_of_messages_moved,
                to_move: task.approximate_number_of_messages_to_move,
                failure: task.failure_reason,
            })
            .collect())
    }

    /// Begins to move all its messages to the queues from which they came. Returns the handle of
    /// the task.
    ///
    /// # Errors
    /// [`SqsError::Refused`]: among others, it is no queue's dead-letter queue, or a redrive is
    /// running.
    pub async fn redrive(&self) -> Result<String, SqsError> {
        let task = self.client.start_message_move_task().source_arn(&self.arn);
        let task = task.send().await.map_err(refused)?;
        Ok(task.task_handle.unwrap_or_default())
    }
}
