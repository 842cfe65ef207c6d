//! Lists: reads keys from an index, in the order of the ids, then the rows themselves, which decide
//! what matches.
//!
//! An index follows the table within moments. A job that was just created may be missing from a
//! list.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use job::filter::equal_to;
use job::{Filter, Job, JobId, limits};

use super::DynamoDbStore;
use super::failure::{failed_on, unbuilt};
use super::items::{self, Item, SHARDS, number, text};
use super::table::{ALL, BY_OWNER, BY_TYPE, EXPIRING, Index, OPEN};
use crate::store::range::Range;
use crate::store::{ListQuery, Page, SCAN_ROWS, Sort, StoreError};

/// Maximum number of requests for rows that DynamoDB left out.
const UNPROCESSED_TRIES: u32 = 8;

/// One value of an index, read page by page.
struct Cursor {
    value: String,
    ids: VecDeque<JobId>,
    start: Option<Item>,
    ended: bool,
}

impl DynamoDbStore {
    pub(super) async fn list_jobs(&self, query: &ListQuery) -> Result<Page, StoreError> {
        query.check()?;
        let limit = query.limit.max(1);
        let Some(range) = Range::of(query) else {
            return Ok(Page::default());
        };
        let mut page = Page::default();
        let mut last = None;
        let mut looked_at = 0;
        let mut walk = Walk::new(query, range);
        // At first only as many as a filter without conditions needs; more per read if few match.
        let mut most = (limit + 1).min(limits::BATCH);
        loop {
            let ids = walk.next_ids(self, most).await?;
            let mut rows: HashMap<JobId, Arc<Job>> = HashMap::new();
            for job in self.jobs(&ids).await? {
                rows.insert(job.id, job);
            }
            let ended = ids.len() < most;
            for id in ids {
                if page.jobs.len() == limit || looked_at == SCAN_ROWS {
                    page.next = last;
                    return Ok(page);
                }
                looked_at += 1;
                let job = rows.remove(&id).filter(|job| query.filter.matches(job));
                page.jobs.extend(job);
                last = Some(id);
            }
            if ended {
                return Ok(page);
            }
            most = (most * 2).min(limits::BATCH);
        }
    }

    /// The existing jobs among at most [`limits::BATCH`] ids.
    pub(super) async fn jobs(&self, ids: &[JobId]) -> Result<Vec<Arc<Job>>, StoreError> {
        let mut keys: Vec<Item> = ids.iter().map(|id| items::key(*id, "JOB")).collect();
        let mut jobs = Vec::with_capacity(keys.len());
        for turn in 0..UNPROCESSED_TRIES {
            if keys.is_empty() {
                return Ok(jobs);
            }
            if turn > 0 {
                let pause = std::time::Duration::from_millis(10 << turn);
                tokio::time::sleep(pause).await;
            }
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(unbuilt)?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, wanted)
                .send()
                .await
                .map_err(|error| self.failed(&error))?;
            let found = answer
                .responses
                .and_then(|mut tables| tables.remove(&self.table));
            for item in found.unwrap_or_default() {
                jobs.push(items::job_of(&item)?);
            }
            let left = answer
                .unprocessed_keys
                .and_then(|mut tables| tables.remove(&self.table));
            keys = left.map(|left| left.keys).unwrap_or_default();
        }
        if keys.is_empty() {
            return Ok(jobs);
        }
        Err(StoreError::Unavailable {
            reason: "there are too many requests; try again later".to_owned(),
            source: None,
        })
    }

    /// An index as failures name it.
    pub(super) fn index(&self, index: Index) -> String {
        format!("table {}, index {}", self.table, index.name)
    }

    /// At most `at_most` jobs of one shard that expired before `now`, in milliseconds.
    pub(super) async fn expired_of(
        &self,
        shard: u64,
        now: i64,
        at_most: usize,
    ) -> Result<Vec<Arc<Job>>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(EXPIRING.name)
            .key_condition_expression("expiring = :shard AND expiresAt < :now")
            .expression_attribute_values(":shard", text(shard.to_string()))
            .expression_attribute_values(":now", number(now))
            .limit(i32::try_from(at_most.min(limits::BATCH)).unwrap_or(1))
            .send()
            .await
            .map_err(|error| failed_on(&self.index(EXPIRING), &error))?;
        let mut ids = Vec::new();
        for item in answer.items() {
            let pk = item.get("pk").and_then(|value| value.as_s().ok());
            let id = pk.and_then(|pk| pk.strip_prefix("JOB#")?.parse::<JobId>().ok());
            ids.extend(id);
        }
        let mut jobs = self.jobs(&ids).await?;
        jobs.retain(|job| job.expires_at.is_some_and(|time| time.as_millis() < now));
        Ok(jobs)
    }
}

/// The ids that may match, in order.
enum Walk {
    Named(VecDeque<JobId>),
    Merged {
        index: Index,
        cursors: Vec<Cursor>,
        range: Range,
        sort: Sort,
        last: Option<JobId>,
    },
}

impl Walk {
    fn new(query: &ListQuery, range: Range) -> Walk {
        if let Some(mut ids) = equal_to(&query.filter.id) {
            ids.retain(|id| range.holds(*id));
            ids.sort_unstable();
            ids.dedup();
            if query.sort == Sort::Newest {
                ids.reverse();
            }
            return Walk::Named(ids.into());
        }
        let (index, mut values) = choose(&query.filter);
        values.sort_unstable();
        values.dedup();
        let cursors = values.into_iter().map(|value| Cursor {
            value,
            ids: VecDeque::new(),
            start: None,
            ended: false,
        });
        Walk::Merged {
            index,
            cursors: cursors.collect(),
            range,
            sort: query.sort,
            last: None,
        }
    }

    /// The next ids; fewer than `most` only at the end.
    async fn next_ids(
        &mut self,
        store: &DynamoDbStore,
        most: usize,
    ) -> Result<Vec<JobId>, StoreError> {
        match self {
            Walk::Named(ids) => Ok(ids.drain(..most.min(ids.len())).collect()),
            Walk::Merged {
                index,
                cursors,
                range,
                sort,
                last,
            } => {
                let mut merged = Vec::new();
                while merged.len() < most {
                    for cursor in cursors.iter_mut() {
                        store.fill(*index, cursor, *range, *sort, most).await?;
                    }
                    let heads = cursors.iter().zip(0..);
                    let heads =
                        heads.filter_map(|(cursor, place)| Some((*cursor.ids.front()?, place)));
                    let first: Option<(JobId, usize)> = match sort {
                        Sort::Newest => heads.max(),
                        Sort::Oldest => heads.min(),
                    };
                    let Some((id, place)) = first else {
                        break;
                    };
                    cursors[place].ids.pop_front();
                    if *last != Some(id) {
                        merged.push(id);
                        *last = Some(id);
                    }
                }
                Ok(merged)
            }
        }
    }
}

impl DynamoDbStore {
    /// Reads the next keys of a cursor that has none.
    async fn fill(
        &self,
        index: Index,
        cursor: &mut Cursor,
        range: Range,
        sort: Sort,
        most: usize,
    ) -> Result<(), StoreError> {
        while cursor.ids.is_empty() && !cursor.ended {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(index.name)
                .key_condition_expression("#hash = :hash AND #range BETWEEN :least AND :most")
                .expression_attribute_names("#hash", index.hash)
                .expression_attribute_names("#range", index.range)
                .expression_attribute_values(":hash", text(&cursor.value))
                .expression_attribute_values(":least", text(range.least.to_string()))
                .expression_attribute_values(":most", text(range.most.to_string()))
                .scan_index_forward(sort == Sort::Oldest)
                .set_exclusive_start_key(cursor.start.take())
                .limit(i32::try_from(most).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| failed_on(&self.index(index), &error))?;
            for item in answer.items() {
                cursor.ids.push_back(items::id_of(item)?);
            }
            cursor.start = answer.last_evaluated_key;
            cursor.ended = cursor.start.is_none();
        }
        Ok(())
    }
}

/// The index that probably leaves the fewest jobs, by the usual contents of such columns.
fn choose(filter: &Filter) -> (Index, Vec<String>) {
    let shards = || (0..SHARDS).map(|shard| shard.to_string()).collect();
    if let Some(owners) = equal_to(&filter.owner) {
        return (BY_OWNER, owners);
    }
    if equal_to(&filter.status).is_some_and(|all| all.iter().all(|status| !status.is_terminal())) {
        return (OPEN, shards());
    }
    match equal_to(&filter.job_type) {
        Some(types) => (BY_TYPE, types),
        None => (ALL, shards()),
    }
}
