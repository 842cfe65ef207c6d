//! The change feed: live from the writer while the subscriber keeps up, otherwise from the
//! `changes` table, always in order and without a gap.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use job::Job;
use rusqlite::Connection;
use sqlite::Database;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::rows;
use super::write::StoreState;
use crate::store::{Feed, FeedEvent, Position, StoreError};

/// Maximum number of changes that wait for a subscriber. A subscriber that is further behind reads
/// the table.
pub(super) const LIVE_CHANGES: usize = 4_096;
/// Number of changes that are read from the table at once.
pub(super) const READ_CHANGES: i64 = 256;

/// A change on its way to the subscribers.
#[derive(Clone, Debug)]
pub(super) struct CommittedChange {
    pub(super) position: i64,
    pub(super) old: Option<Arc<Job>>,
    pub(super) new: Option<Arc<Job>>,
}

impl CommittedChange {
    fn event(self) -> FeedEvent {
        FeedEvent {
            position: Position(self.position.to_string()),
            old: self.old,
            new: self.new,
        }
    }
}

/// One subscriber.
struct Follower {
    database: Database,
    /// Keeps the channel open while there is a subscriber.
    _shared: Arc<StoreState>,
    live: broadcast::Receiver<CommittedChange>,
    /// The last change that was delivered.
    last: i64,
    /// Changes that were read from the table and not delivered yet.
    read: VecDeque<CommittedChange>,
    /// Whether the table has changes that the channel no longer has.
    behind: bool,
}

pub(super) async fn follow(
    database: Database,
    shared: Arc<StoreState>,
    after: Option<Position>,
) -> Result<Feed, StoreError> {
    // The channel first, then the table: no change is missed between them.
    let live = shared.live.subscribe();
    let (first, newest) = database.read_row(bounds).await?;
    let last = match after {
        None => newest,
        Some(Position(text)) => text
            .parse()
            .ok()
            .filter(|last| (first - 1..=newest).contains(last))
            .ok_or(StoreError::PositionLost)?,
    };
    let follower = Follower {
        database,
        _shared: shared,
        live,
        last,
        read: VecDeque::new(),
        behind: last < newest,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await;
        Some((event, follower))
    });
    Ok(events.boxed())
}

impl Follower {
    async fn next(&mut self) -> Result<FeedEvent, StoreError> {
        loop {
            if let Some(change) = self.read.pop_front() {
                self.last = change.position;
                return Ok(change.event());
            }
            if self.behind {
                self.read_on().await?;
                continue;
            }
            match self.live.recv().await {
                Ok(change) if change.position == self.last + 1 => {
                    self.last = change.position;
                    return Ok(change.event());
                }
                // It was already read from the table.
                Ok(change) if change.position <= self.last => {}
                Ok(_) | Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => unreachable!("the follower itself keeps the sender"),
            }
        }
    }

    async fn read_on(&mut self) -> Result<(), StoreError> {
        let last = self.last;
        let (changes, newest) = self.database.read(move |c| read(c, last)).await?;
        match changes.first() {
            Some(first) if first.position != last + 1 => {
                // The changes were deleted meanwhile. This is reported once; then the feed
                // continues from now.
                self.last = newest;
                return Err(StoreError::PositionLost);
            }
            Some(_) => self.read.extend(changes),
            None => self.behind = false,
        }
        Ok(())
    }
}

/// The first and the last position in the feed.
fn bounds(connection: &Connection) -> Result<(i64, i64), StoreError> {
    // One at a time: each is one descent in the tree, while both together would read the whole
    // table.
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT min(position) FROM changes), 1), coalesce((SELECT max(position) FROM changes), 0)",
    )?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn read(connection: &Connection, after: i64) -> Result<(Vec<CommittedChange>, i64), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT changes.position, before.job, changes.job FROM changes
         LEFT JOIN changes AS before ON before.position = changes.previous
         WHERE changes.position > ?1 ORDER BY changes.position LIMIT ?2",
    )?;
    let mut found = statement.query((after, READ_CHANGES))?;
    let mut changes = Vec::new();
    while let Some(row) = found.next()? {
        let image = |column| match row.get_ref(column)? {
            rusqlite::types::ValueRef::Null => Ok(None),
            text => rows::job(text).map(Some),
        };
        changes.push(CommittedChange {
            position: row.get(0)?,
            old: image(1)?,
            new: image(2)?,
        });
    }
    drop(found);
    let (_, newest) = bounds(connection)?;
    Ok((changes, newest))
}
