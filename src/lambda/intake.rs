//! `lambda-intake`: makes each message of an SQS queue a job, by the same rules as the local queues
//! ([`crate::intake`]). The answer names the messages that are not jobs yet. SQS delivers them
//! again, until they are in the dead-letter queue; SQS keeps no reasons, so that they are logged.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{StreamExt, stream};
use lambda_runtime::{Error, LambdaEvent};
use resolvers::Resolvers;
use tokio::time::{Instant, timeout_at};

use super::settings::Doors;
use super::start;
use crate::intake::message::{Message, TOKEN_ATTRIBUTE};
use crate::intake::{Intake, Outcome, Owners};
use crate::server;

/// Maximum number of messages that are taken at once.
pub const AT_ONCE: usize = 32;
/// Time before the end of an invocation after which no message is taken, so that the executions are
/// started and the answer arrives in time.
const ANSWER_BEFORE: Duration = Duration::from_secs(1);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    start::run(2, async |variables| {
        let owner = variables.intake_owner()?;
        let node = server::invoked(&variables.node(Doors::None)?).await?;
        let resolvers = node.doors.resolvers.clone();
        let intake = SqsIntake::new(resolvers, Owners::One(owner));
        start::answer(move |event: LambdaEvent<SqsEvent>| {
            let intake = intake.clone();
            async move {
                let until = until(event.context.deadline, SystemTime::now());
                intake.answer(event.payload, until).await
            }
        })
        .await
    })
}

/// Takes the messages of events.
#[derive(Clone, Debug)]
pub struct SqsIntake {
    intake: Intake,
    resolvers: Resolvers,
}

impl SqsIntake {
    /// Submits to these use cases, for these owners.
    #[must_use]
    pub fn new(resolvers: Resolvers, owners: Owners) -> Self {
        Self {
            intake: Intake::new(resolvers.clone(), owners),
            resolvers,
        }
    }

    /// Takes the messages of an event by this time, and names those that are to be delivered again.
    /// Those of a FIFO queue are taken in their order, up to the first that is not done.
    ///
    /// # Errors
    /// A message has no identifier, so that the answer could not name it: the whole event is
    /// delivered again.
    pub async fn answer(&self, event: SqsEvent, until: Instant) -> Result<SqsBatchResponse, Error> {
        let ids = event.records.iter().map(|one| one.message_id.as_deref());
        let ids: Option<Vec<&str>> = ids.collect();
        let ids = ids.ok_or("a message has no messageId: connect this function to an SQS queue")?;
        let messages = event.records.iter().zip(&ids);
        let is_fifo = event.records.first().is_some_and(is_fifo);
        let mut failed = Vec::new();
        if is_fifo {
            for (message, id) in messages {
                if !failed.is_empty() || !self.take(message, id, until).await {
                    failed.push(*id);
                }
            }
        } else {
            let taking = messages
                .map(|(message, id)| async move { (self.take(message, id, until).await, *id) });
            let ends: Vec<_> = stream::iter(taking).buffered(AT_ONCE).collect().await;
            failed.extend(ends.iter().filter(|(done, _)| !done).map(|(_, id)| *id));
        }
        // The process sleeps after the answer. The sweep starts what was not started.
        let settled = timeout_at(until + ANSWER_BEFORE / 2, self.resolvers.settle()).await;
        if settled.is_err() {
            tracing::warn!("not every execution was started in time; the next sweep goes on");
        }
        let mut response = SqsBatchResponse::default();
        for id in failed {
            response.add_failure(id);
        }
        Ok(response)
    }

    /// Whether the message is done.
    async fn take(&self, message: &SqsMessage, id: &str, until: Instant) -> bool {
        let token = message.message_attributes.get(TOKEN_ATTRIBUTE);
        let taking = self.intake.take(Message {
            queue: queue(message),
            id,
            body: message.body.as_deref().unwrap_or_default(),
            token: token.and_then(|attribute| attribute.string_value.as_deref()),
        });
        let receives = message.attributes.get("ApproximateReceiveCount");
        let receives = receives.map(String::as_str);
        match timeout_at(until, taking).await {
            Ok(Outcome::Taken(job_id)) => {
                tracing::debug!(message_id = id, %job_id, "a message is a job");
                return true;
            }
            Ok(Outcome::Refused(reason)) => {
                tracing::error!(message_id = id, receives, reason, "a message was refused");
            }
            Ok(Outcome::Later(reason)) => {
                tracing::warn!(message_id = id, receives, reason, "a message was not taken");
            }
            Err(_) => {
                let reason = "the time of the invocation has passed";
                tracing::warn!(message_id = id, receives, reason, "a message was not taken");
            }
        }
        false
    }
}

/// The name of the message's queue, which is the end of its ARN.
fn queue(message: &SqsMessage) -> &str {
    let arn = message.event_source_arn.as_deref().unwrap_or_default();
    arn.rsplit(':').next().unwrap_or_default()
}

fn is_fifo(message: &SqsMessage) -> bool {
    queue(message).ends_with(".fifo")
}

/// The end of the taking in an invocation that AWS Lambda ends at `deadline`, in milliseconds since
/// the epoch.
fn until(deadline: u64, now: SystemTime) -> Instant {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline);
    let left = deadline.duration_since(now).unwrap_or_default();
    Instant::now() + left.saturating_sub(ANSWER_BEFORE)
}
