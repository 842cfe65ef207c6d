//! Follows one job to its end, across lost connections. After a loss the subscription is opened
//! again after the version that was seen last, and the output is notified that it may be out of
//! date. A version is shown once. If the server returns an older version, its store was restored
//! from a backup, and the job is shown as it is there.

use std::time::Duration;

use job::{JobId, Version};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::client::http::Client;
use crate::cli::client::socket::{Ended, Said, Subscription};
use crate::cli::error::CliError;
use crate::cli::show::job::{FRAGMENT, Seen};
use crate::cli::show::view::View;

/// Delay before the second try to reconnect. It doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Maximum delay between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Time after which an unreachable server is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// Follows a job to its end and returns its last version, with its result.
pub(crate) async fn follow(
    client: &Client,
    id: JobId,
    show: &mut impl View,
) -> Result<Seen, CliError> {
    let mut after: Option<Version> = None;
    let mut away: Option<Instant> = None;
    let mut wait = FIRST_WAIT;
    loop {
        let ended = match subscribe(client, id, after).await {
            Ok(mut subscription) => {
                if away.take().is_some() {
                    show.back();
                }
                wait = FIRST_WAIT;
                let ended = events(&mut subscription, client, &mut after, show).await;
                subscription.close().await;
                ended
            }
            Err(ended) => Err(ended),
        };
        match ended {
            Ok(true) => return finished(client, id, show).await,
            // The server has completed the subscription: either the job has ended, or the server
            // dropped the watch.
            Ok(false) => {
                let seen = read(client, id).await?;
                if seen.job.status.is_terminal() {
                    show.job(&seen);
                    return Ok(seen);
                }
            }
            Err(Ended::Refused(error)) => return Err(error),
            Err(Ended::Lost(error)) => {
                let nothing_seen = after.is_none() && away.is_none();
                if nothing_seen && matches!(error, CliError::Unreachable { .. }) {
                    return Err(error);
                }
                match away {
                    None => {
                        show.lost(&error);
                        away = Some(Instant::now());
                    }
                    Some(since) if since.elapsed() >= GIVE_UP_AFTER => return Err(error),
                    Some(_) => {}
                }
            }
        }
        tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..=1.0))).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn subscribe(
    client: &Client,
    id: JobId,
    after: Option<Version>,
) -> Result<Subscription, Ended> {
    let document = format!(
        "subscription Follow($id: ID!, $after: Int) {{ onJob(id: $id, after: $after) {{ ...Job }} }} {FRAGMENT}"
    );
    Subscription::open(client, &document, json!({ "id": id, "after": after })).await
}

/// Shows events until the job has ended (`true`) or the server completes the subscription
/// (`false`).
async fn events(
    subscription: &mut Subscription,
    client: &Client,
    after: &mut Option<Version>,
    show: &mut impl View,
) -> Result<bool, Ended> {
    let mut has_begun = false;
    loop {
        let mut data = match subscription.next().await? {
            Said::Next(data) => data,
            Said::Complete => return Ok(false),
        };
        let json = data["onJob"].take();
        if json.is_null() {
            continue;
        }
        let seen = Seen::read(json).map_err(|error| Ended::Refused(client.unexpected(error)))?;
        // The first event may be older than the version seen last: then the server has nothing
        // newer.
        let is_known =
            |after: Version| seen.job.version == after || (has_begun && seen.job.version < after);
        if after.is_some_and(is_known) {
            continue;
        }
        has_begun = true;
        *after = Some(seen.job.version);
        if seen.job.status.is_terminal() {
            return Ok(true);
        }
        show.job(&seen);
    }
}

async fn finished(client: &Client, id: JobId, show: &mut impl View) -> Result<Seen, CliError> {
    let seen = read(client, id).await?;
    show.job(&seen);
    Ok(seen)
}

/// A job with its input and its result.
pub(crate) async fn read(client: &Client, id: JobId) -> Result<Seen, CliError> {
    let document =
        format!("query Get($id: ID!) {{ getJob(id: $id) {{ ...Job input result }} }} {FRAGMENT}");
    let mut data = client.ask(&document, json!({ "id": id })).await?;
    match data["getJob"].take() {
        Value::Null => Err(CliError::Refused {
            code: "NotFound".to_owned(),
            message: resolvers::Error::NotFound(id).to_string(),
        }),
        json => Seen::read(json).map_err(|error| client.unexpected(error)),
    }
}
