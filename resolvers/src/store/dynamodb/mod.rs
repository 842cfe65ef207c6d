//! The job store in DynamoDB: one table, conditional writes, transactions if two rows must agree,
//! and the table's stream as the feed.
//!
//! | module | what |
//! |---|---|
//! | `table` | the table and its indexes |
//! | `items` | every kind of row |
//! | `lease` | leases, and the budget of reads of Step Functions |
//! | `write` | create, apply, delete |
//! | `list` | the index for a filter |
//! | `failure` | calls that failed |
//! | `feed` | the changes, from the stream |
//! | `stream` | records of the stream that AWS Lambda delivers, or could not deliver |

mod failure;
mod feed;
mod items;
mod lease;
mod list;
mod stream;
mod table;
mod write;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use job::limits::{self, check};
use job::{Change, Job, JobId, Time};
use tokio::sync::Mutex;

use self::failure::unavailable;
use self::items::{Item, SHARDS};
pub use self::stream::{JOB_ATTRIBUTE, JOB_SORT_KEY, StreamBatch};
use super::{
    CreateJob, Created, Feed, JobStore, Lease, ListQuery, Outcome, Page, Position, StoreError,
};

/// Number of locks over which the changes of jobs are spread; two jobs may share one.
const TURNS: usize = 256;

/// The job store in a DynamoDB table.
#[derive(Clone)]
pub struct DynamoDbStore {
    client: Client,
    streams: aws_sdk_dynamodbstreams::Client,
    table: String,
    stream: String,
    turns: Arc<[Mutex<()>]>,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore")
            .field("table", &self.table)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    /// The store in this table, which must have a stream. Region, credentials and endpoint are
    /// those of `config`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the table cannot be reached or has no stream.
    pub async fn open(config: &SdkConfig, table: &str) -> Result<DynamoDbStore, StoreError> {
        let client = Client::new(config);
        let answer = client
            .describe_table()
            .table_name(table)
            .send()
            .await
            .map_err(unavailable)?;
        let stream = answer.table.and_then(|table| table.latest_stream_arn);
        let stream = stream.ok_or_else(|| StoreError::Unavailable {
            reason: format!("the table {table} has no stream: enable one with NEW_AND_OLD_IMAGES"),
            source: None,
        })?;
        Ok(DynamoDbStore {
            client,
            streams: aws_sdk_dynamodbstreams::Client::new(config),
            table: table.to_owned(),
            stream,
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Creates the table with its indexes, its stream and its time to live, and waits until it can
    /// be used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also if the table already exists.
    pub async fn create_table(config: &SdkConfig, table: &str) -> Result<(), StoreError> {
        table::create(&Client::new(config), table).await
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
            .map_err(unavailable)?;
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
        feed::follow(self.streams.clone(), self.stream.clone(), after).await
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
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(items::probe()))
            .send()
            .await
            .map_err(unavailable)?;
        self.item(items::probe()).await.map(drop)
    }
}
