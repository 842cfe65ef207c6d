//! The job store in DynamoDB: one table, conditional writes, transactions if two rows must agree,
//! and the table's stream as the feed.
//!
//! | module | what |
//! |---|---|
//! | `table` | the table and its indexes |
//! | `check` | whether a table can be used: its form, its schema, the permissions |
//! | `items` | every kind of row |
//! | `lease` | leases, and the budget of reads of Step Functions |
//! | `write` | create, apply, delete |
//! | `tries` | when a write is tried again |
//! | `rows` | the rows that this process wrote last |
//! | `list` | the index for a filter |
//! | `failure` | calls that failed |
//! | `feed` | the changes, from the stream |
//! | `stream` | records of the stream that AWS Lambda delivers, or could not deliver |

mod check;
mod failure;
mod feed;
mod items;
mod lease;
mod list;
mod rows;
mod stream;
mod table;
mod tries;
mod write;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use job::limits::{self, check};
use job::{Change, Job, JobId, Time};
use tokio::sync::Mutex;

use self::failure::failed_on;
use self::items::{Item, SHARDS};
use self::rows::Rows;
pub use self::stream::{JOB_ATTRIBUTE, JOB_SORT_KEY, StreamBatch};
use super::{
    CreateJob, Created, Feed, JobStore, Lease, ListQuery, Outcome, Page, Position, StoreError,
};
use crate::aws::bounded;

pub use feed::STREAM_ASKED;
pub use items::SCHEMA;
pub use rows::{ROW_BYTES, ROWS};
pub use tries::{RACE_TRIES, WRITE_WITHIN};

/// Number of locks over which the changes of jobs are spread; two jobs may share one.
const TURNS: usize = 256;

/// Time for which a successful check of the table is valid. Each check costs a write, and a
/// request without credentials may cause one.
pub const CHECKED_EVERY: Duration = Duration::from_secs(1);

/// The job store in a DynamoDB table.
#[derive(Clone)]
pub struct DynamoDbStore {
    client: Client,
    streams: aws_sdk_dynamodbstreams::Client,
    table: String,
    region: String,
    turns: Arc<[Mutex<()>]>,
    rows: Arc<Rows>,
    /// When the table was last read and written successfully by a check.
    checked: Arc<parking_lot::Mutex<Option<Instant>>>,
    /// The stream that this process followed last.
    followed: Arc<parking_lot::Mutex<Option<String>>>,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    /// The store in this table, without a request. Region, credentials and endpoint are those of
    /// `config`; calls have the limits of [`bounded`].
    #[must_use]
    pub fn new(config: &SdkConfig, table: &str) -> Self {
        let config = bounded(config);
        let region = config.region().map(|region| region.as_ref().to_owned());
        Self {
            client: Client::new(&config),
            streams: aws_sdk_dynamodbstreams::Client::new(&config),
            table: table.to_owned(),
            region: region.unwrap_or_default(),
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            rows: Arc::default(),
            checked: Arc::default(),
            followed: Arc::default(),
        }
    }

    /// As [`DynamoDbStore::new`], and checks that the table is there and has its keys, its indexes
    /// and its stream.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], whose reason says what is wrong and what to do.
    pub async fn open(config: &SdkConfig, table: &str) -> Result<Self, StoreError> {
        let store = Self::new(config, table);
        store.check_table().await?;
        Ok(store)
    }

    /// Creates the table with its indexes, its stream and its time to live, and waits until it can
    /// be used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also if the table already exists.
    pub async fn create_table(config: &SdkConfig, table: &str) -> Result<(), StoreError> {
        Self::new(config, table).create().await
    }

    fn turn(&self, id: JobId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let place = hasher.finish() % TURNS as u64;
        &self.turns[usize::try_from(place).expect("it is less than TURNS")]
    }

    async fn item(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(answer.item)
    }

    async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        let item = self.item(items::key(id, "JOB")).await?;
        item.as_ref().map(items::job_of).transpose()
    }

    async fn part(&self, id: JobId, sk: &str) -> Result<Option<Arc<str>>, StoreError> {
        let item = self.item(items::key(id, sk)).await?;
        let text = item.as_ref().and_then(|item| item.get("text")?.as_s().ok());
        Ok(text.map(|text| Arc::from(text.as_str())))
    }
}

#[async_trait]
impl JobStore for DynamoDbStore {
    async fn create(&self, new: CreateJob) -> Result<Created, StoreError> {
        self.create_job(new).await
    }

    async fn apply(&self, id: JobId, change: Change, now: Time) -> Result<Outcome, StoreError> {
        self.apply_change(id, &change, now).await
    }

    async fn get(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        self.job(id).await
    }

    async fn get_many(&self, ids: &[JobId]) -> Result<Vec<Arc<Job>>, StoreError> {
        check("ids", "ids", ids.len(), limits::BATCH)?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        self.jobs(&ids).await
    }

    async fn input(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError> {
        self.part(id, "INPUT").await
    }

    async fn result(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError> {
        self.part(id, "RESULT").await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        self.list_jobs(query).await
    }

    async fn changes(&self, after: Option<Position>) -> Result<Feed, StoreError> {
        self.follow(after).await
    }

    /// Jobs are deleted by a purge. Tokens are deleted by the table's time to live, which also
    /// deletes jobs without a purge.
    async fn expired(&self, now: Time, at_most: usize) -> Result<Vec<JobId>, StoreError> {
        let mut ids = Vec::new();
        for shard in 0..SHARDS {
            let room = at_most.saturating_sub(ids.len());
            if room == 0 {
                break;
            }
            let expired = self.expired_of(shard, now.as_millis(), room).await?;
            ids.extend(expired.iter().map(|job| job.id));
        }
        Ok(ids)
    }

    async fn purge(&self, now: Time, at_most: usize) -> Result<usize, StoreError> {
        let mut deleted = 0;
        for shard in 0..SHARDS {
            while deleted < at_most {
                let expired = self
                    .expired_of(shard, now.as_millis(), at_most - deleted)
                    .await?;
                let mut progress = false;
                for job in &expired {
                    if self.delete_job(job).await? {
                        deleted += 1;
                        progress = true;
                    }
                }
                if !progress {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    async fn lease(
        &self,
        name: Lease,
        holder: &str,
        now: Time,
        life_millis: i64,
    ) -> Result<bool, StoreError> {
        self.take_lease(name, holder, now, life_millis).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let is_fresh = |at: Instant| at.elapsed() < CHECKED_EVERY;
        if self.checked.lock().is_some_and(is_fresh) {
            return Ok(());
        }
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(items::probe()))
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        self.item(items::probe()).await?;
        *self.checked.lock() = Some(Instant::now());
        Ok(())
    }
}

impl DynamoDbStore {
    /// The error of a call on the table, after a line in the log.
    fn failed<E>(&self, error: &SdkError<E>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        failed_on(&format!("table {}", self.table), error)
    }
}
