//! Takes the messages of the local queues: a batch at a time, all messages of a batch at once.

use std::time::Duration;

use futures_util::future::join_all;
use job::Time;
use metrics::{counter, gauge};
use resolvers::jobs::now;
use resolvers::queues::local::{Finish, LocalQueues, QueueError, Received, Receiving};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::message::Message;
use super::{Intake, Outcome};

/// Default maximum number of times that a message is received.
pub const MAX_RECEIVES: u32 = 5;
/// Default time for which a received message is invisible.
pub const VISIBILITY: Duration = Duration::from_secs(30);
/// Maximum number of messages that are taken at once.
pub const BATCH: usize = 32;
/// Delay before a message is received again after its first failure. It doubles with each further
/// one, up to the visibility.
pub const FIRST_RETRY: Duration = Duration::from_millis(500);

/// Delay after the queues were not available.
const UNAVAILABLE: Duration = Duration::from_secs(1);
/// Interval at which old dead letters are deleted.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The settings of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Maximum number of times that a message is received.
    pub max_receives: u32,
    /// Time for which a received message is invisible, and time allowed for taking it.
    pub visibility: Duration,
}

impl Settings {
    fn receiving(self) -> Receiving {
        Receiving {
            max_receives: self.max_receives,
            visibility_millis: millis(self.visibility),
            at_most: BATCH,
        }
    }

    /// When a message is visible again that failed at its receive of this number, from 1.
    fn again_at(self, receives: u32, now: Time) -> Time {
        let factor = 2_u32.saturating_pow(receives.saturating_sub(1));
        let delay = FIRST_RETRY.saturating_mul(factor).min(self.visibility);
        now.plus_millis(millis(delay))
    }
}

/// Takes messages until the server stops.
pub async fn run(
    queues: LocalQueues,
    intake: Intake,
    settings: Settings,
    stopping: CancellationToken,
) {
    let mut expired = Instant::now();
    while !stopping.is_cancelled() {
        match round(&queues, &intake, settings).await {
            Ok(0) => {
                let waiting = idle(&queues);
                if stopping.run_until_cancelled(waiting).await.is_none() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "no message was taken; the next round tries again");
                sleep(UNAVAILABLE).await;
            }
        }
        if expired.elapsed() >= EXPIRE_EVERY {
            expired = Instant::now();
            match queues.expire(now()).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "old dead letters were deleted"),
                Err(error) => tracing::warn!(%error, "old dead letters were not deleted"),
            }
        }
    }
}

/// Takes one batch. Returns the number of its messages.
async fn round(
    queues: &LocalQueues,
    intake: &Intake,
    settings: Settings,
) -> Result<usize, QueueError> {
    count(queues).await?;
    match queues.next_at().await? {
        Some(next) if next <= now() => {}
        _ => return Ok(0),
    }
    let messages = queues.receive(settings.receiving(), now()).await?;
    let number = messages.len();
    if number == 0 {
        return Ok(0);
    }
    let ends = messages.iter().map(|one| take(intake, one, settings));
    let ends = join_all(ends).await;
    let all = messages.into_iter().zip(ends).collect();
    let died = queues.finish(all, settings.max_receives, now()).await?;
    if died > 0 {
        tracing::warn!(
            count = died,
            "messages became dead letters; `jobcast dlq list` has their reasons"
        );
    }
    Ok(number)
}

/// Takes a message within its visibility.
async fn take(intake: &Intake, message: &Received, settings: Settings) -> Finish {
    let taking = intake.take(Message {
        queue: &message.queue,
        id: &message.id,
        body: &message.body,
        token: message.token.as_deref(),
    });
    let outcome = timeout(settings.visibility, taking).await;
    let outcome = outcome.unwrap_or_else(|_| {
        Outcome::Later("the job was not submitted within the visibility".to_owned())
    });
    let (what, reason) = match outcome {
        Outcome::Taken(id) => {
            counter!("intake_messages_total", "outcome" => "taken").increment(1);
            tracing::debug!(message_id = message.id, job_id = %id, "a message is a job");
            return Finish::Done;
        }
        Outcome::Refused(reason) => ("refused", reason),
        Outcome::Later(reason) => ("later", reason),
    };
    counter!("intake_messages_total", "outcome" => what).increment(1);
    tracing::info!(
        message_id = message.id,
        queue = message.queue,
        receives = message.receives,
        reason,
        "a message was not taken"
    );
    Finish::Failed {
        reason,
        again_at: settings.again_at(message.receives, now()),
    }
}

/// Waits until a message was sent, or the next one is visible.
async fn idle(queues: &LocalQueues) {
    let delay = match queues.next_at().await {
        Ok(Some(next)) => {
            let left = next.as_millis().saturating_sub(now().as_millis());
            Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(EXPIRE_EVERY)
        }
        Ok(None) => EXPIRE_EVERY,
        Err(_) => UNAVAILABLE,
    };
    tokio::select! {
        () = queues.sent() => {}
        () = sleep(delay) => {}
    }
}

async fn count(queues: &LocalQueues) -> Result<(), QueueError> {
    for size in queues.sizes().await? {
        #[expect(clippy::cast_precision_loss, reason = "a queue has fewer messages")]
        let [waiting, dead] = [size.waiting as f64, size.dead as f64];
        gauge!("intake_messages_waiting", "queue" => size.queue.clone()).set(waiting);
        gauge!("intake_dead_letters", "queue" => size.queue).set(dead);
    }
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_of_a_retry_doubles_up_to_the_visibility() {
        let settings = Settings {
            max_receives: 5,
            visibility: Duration::from_secs(3),
        };
        let delays = [1, 2, 3, 4, 1_000].map(|receives| {
            let at = settings.again_at(receives, Time::from_millis(0));
            at.as_millis()
        });
        assert_eq!(delays, [500, 1_000, 2_000, 3_000, 3_000]);
    }
}
