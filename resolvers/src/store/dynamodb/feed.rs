//! The change feed from the table's stream (NEW_AND_OLD_IMAGES, kept for 24 hours by DynamoDB).
//!
//! A stream is a forest of shards. A shard is read after its parent, so the changes of one job
//! arrive in order. A position contains the progress in each shard. A record may be delivered twice
//! after a resume; consumers compare versions.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, Shard, ShardIteratorType};
use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::failure::unavailable;
use super::items;
use crate::store::{Feed, FeedEvent, Position, StoreError};

/// Pause after a round over all shards without a record: DynamoDB allows five reads of a shard per
/// second.
const QUIET: Duration = Duration::from_millis(220);
/// Interval at which the list of shards is read again.
const SHARDS_READ: Duration = Duration::from_secs(15);
/// Maximum difference between two clocks, in seconds, if a shard is read from a time on.
const CLOCKS_DIFFER: i64 = 5;

/// The progress in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reached {
    /// After this record.
    #[serde(rename = "after")]
    After(String),
    /// Nothing was read yet. Records written before this time, in seconds since the epoch, are
    /// skipped. `0` skips none.
    #[serde(rename = "since")]
    Since(i64),
    /// To its end.
    #[serde(rename = "end")]
    End,
}

type Shards = BTreeMap<String, Reached>;

struct Reader {
    client: Client,
    stream: String,
    shards: Shards,
    /// The iterator for the next read of a shard; none after an error.
    iterators: BTreeMap<String, String>,
    parents: BTreeMap<String, Option<String>>,
    listed: tokio::time::Instant,
    ready: VecDeque<FeedEvent>,
    /// The shards of this round that have not been read.
    round: VecDeque<String>,
    /// Whether a record was received in this round.
    busy: bool,
}

pub(super) async fn follow(
    client: Client,
    stream: String,
    after: Option<Position>,
) -> Result<Feed, StoreError> {
    let found = list(&client, &stream).await?;
    let shards: Shards = match &after {
        Some(Position(text)) => serde_json::from_str(text).map_err(|_| StoreError::PositionLost)?,
        None => from_now(&found),
    };
    let known = |id: &String| {
        found
            .iter()
            .any(|shard| shard.shard_id.as_ref() == Some(id))
    };
    if after.is_some()
        && (shards.is_empty()
            || shards
                .iter()
                .any(|(id, reached)| *reached != Reached::End && !known(id)))
    {
        return Err(StoreError::PositionLost);
    }
    let mut reader = Reader {
        client,
        stream,
        shards,
        iterators: BTreeMap::new(),
        parents: BTreeMap::new(),
        listed: tokio::time::Instant::now(),
        ready: VecDeque::new(),
        round: VecDeque::new(),
        busy: true,
    };
    reader.know(&found);
    // The iterators are requested before this returns, so every record from here on is seen.
    let latest = after.is_none();
    for id in reader.readable() {
        reader.begin(&id, latest).await?;
    }
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await;
        Some((event, reader))
    });
    Ok(events.boxed())
}

/// The starting position of a follower that wants only new records. A shard with children gets no
/// new records.
fn from_now(shards: &[Shard]) -> Shards {
    let since = seconds_now() - CLOCKS_DIFFER;
    let ids = shards.iter().filter_map(|shard| shard.shard_id.as_ref());
    let reached = ids.map(|id| {
        let closed = shards
            .iter()
            .any(|child| child.parent_shard_id.as_ref() == Some(id));
        let reached = if closed {
            Reached::End
        } else {
            Reached::Since(since)
        };
        (id.clone(), reached)
    });
    reached.collect()
}

fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

async fn list(client: &Client, stream: &str) -> Result<Vec<Shard>, StoreError> {
    let mut shards = Vec::new();
    let mut start = None;
    loop {
        let answer = client
            .describe_stream()
            .stream_arn(stream)
            .set_exclusive_start_shard_id(start)
            .send()
            .await
            .map_err(unavailable)?;
        let Some(description) = answer.stream_description else {
            return Ok(shards);
        };
        shards.extend(description.shards.unwrap_or_default());
        start = description.last_evaluated_shard_id;
        if start.is_none() {
            return Ok(shards);
        }
    }
}

impl Reader {
    /// Adds new shards, and forgets those that were read to their end and no longer exist.
    fn know(&mut self, found: &[Shard]) {
        self.listed = tokio::time::Instant::now();
        self.parents.clear();
        for shard in found {
            let Some(id) = &shard.shard_id else {
                continue;
            };
            self.parents
                .insert(id.clone(), shard.parent_shard_id.clone());
            self.shards.entry(id.clone()).or_insert(Reached::Since(0));
        }
        let parents = &self.parents;
        self.shards
            .retain(|id, reached| *reached != Reached::End || parents.contains_key(id));
    }

    /// The shards that are not read to their end and whose parent is.
    fn readable(&self) -> Vec<String> {
        let open = |id: &String| {
            self.shards
                .get(id)
                .is_some_and(|reached| *reached != Reached::End)
        };
        let waits = |id: &String| {
            let parent = self.parents.get(id).and_then(Option::as_ref);
            parent.is_some_and(open)
        };
        let ids = self.shards.keys().filter(|id| open(id) && !waits(id));
        ids.cloned().collect()
    }

    async fn begin(&mut self, id: &str, latest: bool) -> Result<(), StoreError> {
        let (kind, sequence_number) = match self.shards.get(id) {
            Some(Reached::After(number)) => {
                (ShardIteratorType::AfterSequenceNumber, Some(number.clone()))
            }
            _ if latest => (ShardIteratorType::Latest, None),
            _ => (ShardIteratorType::TrimHorizon, None),
        };
        let answer = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.stream)
            .shard_id(id)
            .shard_iterator_type(kind)
            .set_sequence_number(sequence_number)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                if let Some(iterator) = answer.shard_iterator {
                    self.iterators.insert(id.to_owned(), iterator);
                }
                Ok(())
            }
            Err(error) => match error.as_service_error() {
                Some(e)
                    if e.is_trimmed_data_access_exception()
                        || e.is_resource_not_found_exception() =>
                {
                    self.shards.insert(id.to_owned(), Reached::Since(0));
                    Err(StoreError::PositionLost)
                }
                // A sequence number that DynamoDB never issued.
                Some(e) if e.meta().code() == Some("ValidationException") => {
                    Err(StoreError::PositionLost)
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    async fn next(&mut self) -> Result<FeedEvent, StoreError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(id) = self.round.pop_front() {
                self.read(&id).await?;
                continue;
            }
            if !self.busy {
                tokio::time::sleep(QUIET).await;
            }
            if self.listed.elapsed() >= SHARDS_READ {
                let found = list(&self.client, &self.stream).await?;
                self.know(&found);
            }
            self.busy = false;
            self.round = self.readable().into();
        }
    }

    /// Reads one shard once.
    async fn read(&mut self, id: &str) -> Result<(), StoreError> {
        if !self.iterators.contains_key(id) {
            self.begin(id, false).await?;
        }
        let Some(iterator) = self.iterators.remove(id) else {
            return Ok(());
        };
        let answer = match self
            .client
            .get_records()
            .shard_iterator(&iterator)
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    // The next round requests a new one.
                    Some(e) if e.is_expired_iterator_exception() => Ok(()),
                    Some(e) if e.is_trimmed_data_access_exception() => {
                        self.shards.insert(id.to_owned(), Reached::Since(0));
                        Err(StoreError::PositionLost)
                    }
                    _ => {
                        self.iterators.insert(id.to_owned(), iterator);
                        Err(unavailable(error))
                    }
                };
            }
        };
        for record in answer.records.unwrap_or_default() {
            self.busy = true;
            self.take(id, &record)?;
        }
        match answer.next_shard_iterator {
            Some(next) => {
                self.iterators.insert(id.to_owned(), next);
            }
            None => {
                // The shard is closed. Its children follow; the next list of shards names them.
                self.shards.insert(id.to_owned(), Reached::End);
                let found = list(&self.client, &self.stream).await?;
                self.know(&found);
                self.busy = true;
            }
        }
        Ok(())
    }

    fn take(&mut self, id: &str, record: &Record) -> Result<(), StoreError> {
        let Some(change) = &record.dynamodb else {
            return Ok(());
        };
        let since = match self.shards.get(id) {
            Some(Reached::Since(since)) => *since,
            _ => 0,
        };
        let created = change
            .approximate_creation_date_time
            .map_or(i64::MAX, |time| time.secs());
        let sk = change.keys.as_ref().and_then(|keys| keys.get("sk"));
        if created < since {
            return Ok(());
        }
        if let Some(number) = &change.sequence_number {
            self.shards
                .insert(id.to_owned(), Reached::After(number.clone()));
        }
        if sk != Some(&AttributeValue::S("JOB".to_owned())) {
            return Ok(());
        }
        let job = |image: Option<&std::collections::HashMap<String, AttributeValue>>| {
            let text = image.map(|image| image.get("job").and_then(|value| value.as_s().ok()));
            text.map(|text| items::job_from(text.map(String::as_str)))
                .transpose()
        };
        let position = serde_json::to_string(&self.shards).map_err(unavailable)?;
        self.ready.push_back(FeedEvent {
            position: Position(position),
            old: job(change.old_image.as_ref())?,
            new: job(change.new_image.as_ref())?,
        });
        Ok(())
    }
}
