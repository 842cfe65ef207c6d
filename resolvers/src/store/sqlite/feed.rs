//! The change feed: live from the writer while the subscriber keeps up, from the `changes` table where it does not, always in order and
//! without a hole.

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
use super::write::Shared;
use crate::store::{Feed, FeedEvent, Position, StoreError};

/// Changes that wait for a subscriber. One that is further behind reads the table.
pub(super) const LIVE_CHANGES: usize = 4_096;
/// Changes read from the table at once.
pub(super) const READ_CHANGES: i64 = 256;

/// A change on its way to the subscribers.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) position: i64,
    pub(super) old: Option<Arc<Job>>,
    pub(super) new: Option<Arc<Job>>,
}

impl Live {
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
    /// Keeps the channel open as long as there is a subscriber.
    _shared: Arc<Shared>,
    live: broadcast::Receiver<Live>,
    /// The last change that was handed out.
    last: i64,
    /// Read from the table and not handed out yet.
    read: VecDeque<Live>,
    /// The table holds changes that the channel does not.
    behind: bool,
}

pub(super) async fn follow(
    database: Database,
    shared: Arc<Shared>,
    after: Option<Position>,
) -> Result<Feed, StoreError> {
    // First the channel, then the table: nothing falls between them.
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
                // Read from the table before.
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
                // Deleted meanwhile. Said once; then it goes on from now.
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
    // One at a time: each is one step into the tree, both together would read all of it.
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT min(position) FROM changes), 1), coalesce((SELECT max(position) FROM changes), 0)",
    )?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn read(connection: &Connection, after: i64) -> Result<(Vec<Live>, i64), StoreError> {
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
        changes.push(Live {
            position: row.get(0)?,
            old: image(1)?,
            new: image(2)?,
        });
    }
    drop(found);
    let (_, newest) = bounds(connection)?;
    Ok((changes, newest))
}
