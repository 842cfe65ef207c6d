//! The change feed from the table's stream (NEW_AND_OLD_IMAGES, kept for 24 hours by DynamoDB).
//!
//! A stream is a forest of shards. A shard is read after its parent, so the changes of one job
//! arrive in order. A position contains the progress in each shard. A record may be delivered twice
//! after a resume; consumers compare versions.
//!
//! A table's stream that is switched off and on again is another stream. The feed then ends with
//! [`StoreError::PositionLost`], and the next feed of this process begins at the beginning of the
//! new stream. Times are DynamoDB's: this machine's clock decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodbstreams::error::ProvideErrorMetadata;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, Shard, ShardIteratorType};
use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::check::stream_of;
use super::failure::{failed_on, unbuilt};
use super::{DynamoDbStore, items};
use crate::aws::clock::Dated;
use crate::store::{Feed, FeedEvent, Position, StoreError};

/// Pause after a round over all shards without a record: DynamoDB allows five reads of a shard per
/// second.
const QUIET: Duration = Duration::from_millis(220);
/// Interval at which the list of shards is read again. New shards follow ones that end, and the
/// list is read at each end too.
const SHARDS_READ: Duration = Duration::from_secs(60);
/// The same while a shard has ended and none follows it.
const SHARDS_AWAITED: Duration = Duration::from_secs(1);
/// Interval at which the table is asked for its stream.
pub const STREAM_ASKED: Duration = Duration::from_secs(10);
/// Maximum difference in seconds between two of DynamoDB's clocks, if a shard is read from a time
/// on.
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
    store: DynamoDbStore,
    stream: String,
    shards: Shards,
    /// The iterator for the next read of a shard; none after an error.
    iterators: BTreeMap<String, String>,
    /// The shards that are read from their beginning, although older records are to be skipped.
    skipping: BTreeSet<String>,
    parents: BTreeMap<String, Option<String>>,
    listed: Instant,
    asked: Instant,
    ready: VecDeque<FeedEvent>,
    /// The shards of this round that have not been read.
    round: VecDeque<String>,
    /// Whether a record was received in this round.
    busy: bool,
}

impl DynamoDbStore {
    /// The changes after a position, otherwise after this call.
    pub(super) async fn follow(&self, after: Option<Position>) -> Result<Feed, StoreError> {
        let store = self.clone();
        let stream = stream_of(&store.description().await?);
        let stream = stream.map_err(|problem| no_stream(&store.table, &problem))?;
        let (found, now) = list(&store, &stream).await?;
        let followed = match after {
            None => store.followed.lock().replace(stream.clone()),
            Some(_) => None,
        };
        // The beginning of a stream that replaced the followed stream is unread.
        let is_unread = followed.is_some_and(|before| before != stream);
        let shards = match &after {
            Some(position) => progress_of(position, &found)?,
            None if is_unread => Shards::new(),
            None => from_now(&found, now),
        };
        let mut reader = Reader {
            store,
            stream,
            shards,
            iterators: BTreeMap::new(),
            skipping: BTreeSet::new(),
            parents: BTreeMap::new(),
            listed: Instant::now(),
            asked: Instant::now(),
            ready: VecDeque::new(),
            round: VecDeque::new(),
            busy: true,
        };
        reader.know(&found);
        // The iterators are requested before this returns, so every record from here on is seen.
        let latest = after.is_none() && !is_unread;
        for id in reader.readable() {
            reader.begin(&id, latest).await?;
        }
        let events = stream::unfold(reader, |mut reader| async move {
            let event = reader.next().await;
            Some((event, reader))
        });
        Ok(events.boxed())
    }
}

/// The progress at a position, if the stream still has its shards.
fn progress_of(position: &Position, found: &[Shard]) -> Result<Shards, StoreError> {
    let progress = serde_json::from_str(&position.0);
    let shards: Shards = progress.map_err(|_| StoreError::PositionLost)?;
    let is_known = |id: &String| {
        let mut ids = found.iter().map(|shard| shard.shard_id.as_ref());
        ids.any(|found| found == Some(id))
    };
    let mut open = shards
        .iter()
        .filter(|(_, reached)| **reached != Reached::End);
    if shards.is_empty() || open.any(|(id, _)| !is_known(id)) {
        return Err(StoreError::PositionLost);
    }
    Ok(shards)
}

fn no_stream(table: &str, problem: &str) -> StoreError {
    tracing::warn!(
        table,
        "the stream of the table cannot be followed: {problem}"
    );
    StoreError::Unavailable {
        reason: "the changes of the job table cannot be followed".to_owned(),
        source: None,
    }
}

/// The starting position of a follower that wants only new records. A shard with children gets no
/// new records. `now` is DynamoDB's time in seconds; without it, a follower that goes on from this
/// position skips nothing.
fn from_now(shards: &[Shard], now: Option<i64>) -> Shards {
    let since = now.map_or(0, |now| now - CLOCKS_DIFFER);
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

/// The shards, and DynamoDB's time.
async fn list(
    store: &DynamoDbStore,
    stream: &str,
) -> Result<(Vec<Shard>, Option<i64>), StoreError> {
    let (dated, mut shards, mut start) = (Dated::default(), Vec::new(), None);
    loop {
        let answer = store
            .streams
            .describe_stream()
            .stream_arn(stream)
            .set_exclusive_start_shard_id(start)
            .customize()
            .interceptor(dated.clone())
            .send()
            .await;
        let answer = answer.map_err(|error| match error.code() {
            Some("ResourceNotFoundException") => StoreError::PositionLost,
            _ => failed_on(stream, &error),
        })?;
        let Some(description) = answer.stream_description else {
            break;
        };
        shards.extend(description.shards.unwrap_or_default());
        start = description.last_evaluated_shard_id;
        if start.is_none() {
            break;
        }
    }
    Ok((shards, dated.seconds()))
}

impl Reader {
    /// Adds new shards, and forgets those that were read to their end and no longer exist.
    fn know(&mut self, found: &[Shard]) {
        self.listed = Instant::now();
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
        let skips = matches!(self.shards.get(id), Some(Reached::Since(1..)));
        if skips && kind == ShardIteratorType::TrimHorizon {
            self.skipping.insert(id.to_owned());
        } else {
            self.skipping.remove(id);
        }
        let answer = self
            .store
            .streams
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
                _ => Err(failed_on(&self.stream, &error)),
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
            self.look_around().await?;
            self.busy = false;
            self.round = self.readable().into();
        }
    }

    /// Reads the list of shards, and asks the table for its stream, each at its interval.
    async fn look_around(&mut self) -> Result<(), StoreError> {
        let is_awaited = self.readable().is_empty();
        let (listed, asked) = match is_awaited {
            true => (SHARDS_AWAITED, SHARDS_AWAITED),
            false => (SHARDS_READ, STREAM_ASKED),
        };
        if self.asked.elapsed() >= asked {
            self.asked = Instant::now();
            self.ask().await?;
        }
        if self.listed.elapsed() >= listed {
            let (found, _) = list(&self.store, &self.stream).await?;
            self.know(&found);
        }
        Ok(())
    }

    /// Asks the table for its stream. If there is no answer, the present stream is read on.
    async fn ask(&self) -> Result<(), StoreError> {
        let Ok(table) = self.store.description().await else {
            return Ok(());
        };
        let new = stream_of(&table).map_err(|problem| no_stream(&self.store.table, &problem))?;
        if new == self.stream {
            return Ok(());
        }
        let (table, old) = (&self.store.table, &self.stream);
        tracing::warn!(
            table,
            old,
            new,
            "the stream of the table was replaced; following the new one"
        );
        Err(StoreError::PositionLost)
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
            .store
            .streams
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
                    Some(e)
                        if e.is_trimmed_data_access_exception()
                            || e.is_resource_not_found_exception() =>
                    {
                        self.shards.insert(id.to_owned(), Reached::Since(0));
                        Err(StoreError::PositionLost)
                    }
                    _ => {
                        self.iterators.insert(id.to_owned(), iterator);
                        Err(failed_on(&self.stream, &error))
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
                let (found, _) = list(&self.store, &self.stream).await?;
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
            Some(Reached::Since(since)) if self.skipping.contains(id) => *since,
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
        let position = serde_json::to_string(&self.shards).map_err(unbuilt)?;
        let new = job(change.new_image.as_ref())?;
        if let Some(new) = &new {
            self.store.rows.heard(new);
        }
        self.ready.push_back(FeedEvent {
            position: Position(position),
            old: job(change.old_image.as_ref())?,
            new,
        });
        Ok(())
    }
}
