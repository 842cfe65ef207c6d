//! The durable queues of the embedded service, in its SQLite file. They have SQS's rules: a
//! received message is invisible for a time and comes again unless it is finished, and a message
//! that was received too often without success becomes a dead letter, with the reason.
//!
//! There must be one [`LocalQueues`] per database: what was received before it was opened is
//! visible again at once, because its receiver has ended.

use std::sync::Arc;

use job::limits::{OverLimit, check};
use job::{Time, limits};
use rusqlite::{Connection, Error as SqlError, ErrorCode, OptionalExtension, Row};
use sqlite::{Database, OpenError, ReadError, WriteError};
use tokio::sync::Notify;

use super::schema;

/// Maximum size of a message in bytes, as SQS has it.
pub const MESSAGE_BYTES: usize = 1_048_576;
/// Maximum number of messages of a queue, with its dead letters.
pub const QUEUE_MESSAGES: usize = 100_000;
/// Maximum size of all messages of a queue in bytes, with its dead letters.
pub const QUEUE_BYTES: usize = 1_073_741_824;
/// Time for which a dead letter is kept: 14 days, the maximum of SQS, in milliseconds.
pub const DEAD_LETTER_MILLIS: i64 = 14 * 24 * 60 * 60 * 1000;
/// Maximum number of dead letters in one page.
pub const PAGE: usize = 100;
/// Maximum size of a reason in bytes. A longer one is cut, since the message itself is kept.
pub const REASON_BYTES: usize = 2_048;

/// The reason of a message whose receivers all ended before they could say one.
const NO_REASON: &str = "its receivers ended before they finished it";

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its identifier, which no other message has.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Its content.
    pub body: String,
    /// The attribute `clientRequestToken`.
    pub token: Option<String>,
}

/// How messages are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiving {
    /// Maximum number of times that a message is received. Then it is a dead letter.
    pub max_receives: u32,
    /// Time for which a received message is invisible, in milliseconds.
    pub visibility_millis: i64,
    /// Maximum number of messages that are received at once.
    pub at_most: usize,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    seq: i64,
    /// Its identifier.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Its content.
    pub body: Arc<str>,
    /// The attribute `clientRequestToken`.
    pub token: Option<String>,
    /// Number of times that it was received, with this one.
    pub receives: u32,
}

/// The end of a receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The message is deleted.
    Done,
    /// The message comes again at this time, or becomes a dead letter after its last receive.
    Failed {
        /// Why it was not done.
        reason: String,
        /// When it is visible again.
        again_at: Time,
    },
}

/// A message that was received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its place: dead letters are listed in the order in which they were sent.
    pub seq: i64,
    /// Its identifier.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// Its content.
    pub body: String,
    /// Number of times that it was received.
    pub receives: u32,
    /// When it was sent.
    pub sent_at: Time,
    /// When it became a dead letter.
    pub died_at: Time,
    /// Why it was not done.
    pub reason: String,
}

/// The dead letters that a redrive sends back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// The one with this identifier.
    One(String),
    /// All of this queue, or of all queues.
    All(Option<String>),
}

/// The number of messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSize {
    /// The queue.
    pub queue: String,
    /// Number of messages that wait or were received.
    pub waiting: u64,
    /// Number of dead letters.
    pub dead: u64,
}

/// Why a queue did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The message is too large.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The message would be over a limit of the queue.
    #[error(
        "the queue `{queue}` is full: it has {messages} messages with {bytes} bytes, and the limits are {QUEUE_MESSAGES} messages and \
         {QUEUE_BYTES} bytes, dead letters included; send the message again later, or redrive the dead letters"
    )]
    Full {
        /// The queue.
        queue: String,
        /// The number of its messages.
        messages: usize,
        /// Their size in bytes.
        bytes: usize,
    },
    /// There is no dead letter with this identifier.
    #[error("there is no dead letter {0}: it never existed, it was redriven, or it has expired")]
    NotFound(String),
    /// The database does not do it now.
    #[error("the queues are not available: {0}")]
    Unavailable(String),
}

/// The queues in a SQLite database. Clones are handles to the same queues.
#[derive(Clone, Debug)]
pub struct LocalQueues {
    database: Database,
    sent: Arc<Notify>,
}

impl LocalQueues {
    /// Opens the queues of this database; their tables are created or migrated.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(database: Database, now: Time) -> Result<Self, OpenError> {
        database.migrate(schema::COMPONENT, schema::MIGRATIONS)?;
        let released = database.write(move |write| {
            let sql = "UPDATE intake_messages SET taken = 0, visible_at = ?1 WHERE taken = 1";
            write.connection().execute(sql, [now.as_millis()])?;
            Ok::<_, SqlError>(())
        });
        released.await.map_err(|error| OpenError::Migrate {
            component: schema::COMPONENT,
            version: u32::try_from(schema::MIGRATIONS.len()).unwrap_or(u32::MAX),
            source: match error {
                WriteError::Refused(error) | WriteError::Failed(error) => error,
                WriteError::Closed => SqlError::InvalidQuery,
            },
        })?;
        Ok(Self {
            database,
            sent: Arc::default(),
        })
    }

    /// Sends a message. When this returns, it is durable.
    ///
    /// # Errors
    /// [`QueueError::OverLimit`], [`QueueError::Full`], [`QueueError::Unavailable`].
    pub async fn send(&self, message: NewMessage, now: Time) -> Result<(), QueueError> {
        check("the message", "bytes", message.body.len(), MESSAGE_BYTES)?;
        if let Some(token) = &message.token {
            let limit = limits::TOKEN_BYTES;
            check("clientRequestToken", "bytes", token.len(), limit)?;
        }
        let write = self.database.write_decided(move |write| {
            has_room(write.connection(), &message)?;
            let mut insert = write.connection().prepare_cached(
                "INSERT INTO intake_messages (id, queue, body, bytes, token, sent_at, receives, taken, visible_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?6)",
            )?;
            let bytes = i64::try_from(message.body.len()).unwrap_or(i64::MAX);
            let NewMessage { id, queue, body, token } = message;
            insert.execute((id, queue, body, bytes, token, now.as_millis()))?;
            Ok(())
        });
        written(write.await)?;
        self.sent.notify_one();
        Ok(())
    }

    /// Waits until a message may have been sent since the last call.
    pub async fn sent(&self) {
        self.sent.notified().await;
    }

    /// The earliest time at which a message is visible; `None` without a message.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn next_at(&self) -> Result<Option<Time>, QueueError> {
        let read = self.database.read_row(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT visible_at FROM intake_messages WHERE visible_at IS NOT NULL ORDER BY visible_at, seq LIMIT 1",
            )?;
            let found: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
            Ok::<_, QueueError>(found.map(Time::from_millis))
        });
        found(read.await)
    }

    /// Receives the messages that are visible longest. Those that were received too often before
    /// become dead letters instead.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn receive(&self, how: Receiving, now: Time) -> Result<Vec<Received>, QueueError> {
        let write = self.database.write(move |write| {
            let connection = write.connection();
            let now = now.as_millis();
            let mut bury = connection.prepare_cached(
                "UPDATE intake_messages SET taken = 0, visible_at = NULL, died_at = ?1, reason = coalesce(reason, ?3)
                 WHERE visible_at <= ?1 AND receives >= ?2",
            )?;
            bury.execute((now, how.max_receives, NO_REASON))?;
            let mut take = connection.prepare_cached(
                "UPDATE intake_messages SET taken = 1, receives = receives + 1, visible_at = ?2
                 WHERE seq IN (SELECT seq FROM intake_messages WHERE visible_at <= ?1 ORDER BY visible_at, seq LIMIT ?3)
                 RETURNING seq, id, queue, body, token, receives",
            )?;
            let at_most = i64::try_from(how.at_most).unwrap_or(i64::MAX);
            let until = now.saturating_add(how.visibility_millis);
            let rows = take.query_map((now, until, at_most), received)?;
            let mut all = rows.collect::<Result<Vec<_>, _>>()?;
            all.sort_unstable_by_key(|message| message.seq);
            Ok(all)
        });
        written(write.await)
    }

    /// Finishes receives. One whose message has been received again since has no effect. Returns
    /// the number of messages that became dead letters.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; then none is finished, and the messages come again.
    pub async fn finish(
        &self,
        all: Vec<(Received, Finish)>,
        max_receives: u32,
        now: Time,
    ) -> Result<usize, QueueError> {
        let write = self.database.write(move |write| {
            let mut died = 0;
            for (message, finish) in &all {
                died += usize::from(end(write.connection(), message, finish, max_receives, now)?);
            }
            Ok(died)
        });
        written(write.await)
    }

    /// A page of dead letters, in the order in which they were sent, after the place `after`.
    ///
    /// # Errors
    /// [`QueueError::OverLimit`], [`QueueError::Unavailable`].
    pub async fn dead_letters(
        &self,
        queue: Option<String>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        check("limit", "dead letters", limit, PAGE)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, id, queue, body, receives, sent_at, died_at, reason FROM intake_messages
                 WHERE died_at IS NOT NULL AND seq > ?1 AND (?2 IS NULL OR queue = ?2) ORDER BY seq LIMIT ?3",
            )?;
            let rows = statement.query_map((after, queue, limit), dead_letter)?;
            Ok::<_, QueueError>(rows.collect::<Result<_, _>>()?)
        });
        found(read.await)
    }

    /// Sends dead letters back to their queues, to be received as often as new messages. Returns
    /// their number.
    ///
    /// # Errors
    /// [`QueueError::NotFound`], [`QueueError::Unavailable`].
    pub async fn redrive(&self, which: Redrive, now: Time) -> Result<usize, QueueError> {
        let write = self.database.write(move |write| {
            let (id, queue) = match &which {
                Redrive::One(id) => (Some(id), None),
                Redrive::All(queue) => (None, queue.as_ref()),
            };
            let mut statement = write.connection().prepare_cached(
                "UPDATE intake_messages SET died_at = NULL, reason = NULL, receives = 0, taken = 0, visible_at = ?1
                 WHERE died_at IS NOT NULL AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR queue = ?3)",
            )?;
            match (statement.execute((now.as_millis(), id, queue))?, which) {
                (0, Redrive::One(id)) => Err(QueueError::NotFound(id)),
                (count, _) => Ok(count),
            }
        });
        let count = written(write.await)?;
        self.sent.notify_one();
        Ok(count)
    }

    /// Deletes the dead letters that are older than [`DEAD_LETTER_MILLIS`]. Returns their number.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn expire(&self, now: Time) -> Result<usize, QueueError> {
        let before = now.plus_millis(DEAD_LETTER_MILLIS.saturating_neg());
        let write = self.database.write(move |write| {
            let sql = "DELETE FROM intake_messages WHERE died_at < ?1";
            Ok(write.connection().execute(sql, [before.as_millis()])?)
        });
        written(write.await)
    }

    /// The number of messages of each queue that has had one.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn sizes(&self) -> Result<Vec<QueueSize>, QueueError> {
        let read = self.database.read_row(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT queue, messages - dead, dead FROM intake_queues")?;
            let rows = statement.query_map([], |row| {
                Ok(QueueSize {
                    queue: row.get(0)?,
                    waiting: row.get(1)?,
                    dead: row.get(2)?,
                })
            })?;
            Ok::<_, QueueError>(rows.collect::<Result<_, _>>()?)
        });
        found(read.await)
    }
}

/// Refuses a message that is over a limit of its queue.
fn has_room(connection: &Connection, message: &NewMessage) -> Result<(), QueueError> {
    let mut statement =
        connection.prepare_cached("SELECT messages, bytes FROM intake_queues WHERE queue = ?1")?;
    let size = statement.query_row([&message.queue], |row| Ok((row.get(0)?, row.get(1)?)));
    let (messages, bytes): (usize, usize) = size.optional()?.unwrap_or_default();
    if messages < QUEUE_MESSAGES && bytes + message.body.len() <= QUEUE_BYTES {
        return Ok(());
    }
    Err(QueueError::Full {
        queue: message.queue.clone(),
        messages,
        bytes,
    })
}

/// Finishes one receive. Returns whether the message became a dead letter.
fn end(
    connection: &Connection,
    message: &Received,
    finish: &Finish,
    max_receives: u32,
    now: Time,
) -> Result<bool, QueueError> {
    let (seq, receives) = (message.seq, message.receives);
    let Finish::Failed { reason, again_at } = finish else {
        let mut delete = connection.prepare_cached(
            "DELETE FROM intake_messages WHERE seq = ?1 AND receives = ?2 AND taken = 1",
        )?;
        delete.execute((seq, receives))?;
        return Ok(false);
    };
    let died = receives >= max_receives;
    let (again_at, died_at) = match died {
        true => (None, Some(now.as_millis())),
        false => (Some(again_at.as_millis()), None),
    };
    let reason = limits::beginning(reason, REASON_BYTES);
    let mut update = connection.prepare_cached(
        "UPDATE intake_messages SET taken = 0, visible_at = ?3, died_at = ?4, reason = ?5
         WHERE seq = ?1 AND receives = ?2 AND taken = 1",
    )?;
    let changed = update.execute((seq, receives, again_at, died_at, reason))?;
    Ok(died && changed == 1)
}

fn received(row: &Row<'_>) -> rusqlite::Result<Received> {
    Ok(Received {
        seq: row.get(0)?,
        id: row.get(1)?,
        queue: row.get(2)?,
        body: row.get(3)?,
        token: row.get(4)?,
        receives: row.get(5)?,
    })
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        seq: row.get(0)?,
        id: row.get(1)?,
        queue: row.get(2)?,
        body: row.get(3)?,
        receives: row.get(4)?,
        sent_at: Time::from_millis(row.get(5)?),
        died_at: Time::from_millis(row.get(6)?),
        reason: row.get(7)?,
    })
}

impl From<SqlError> for QueueError {
    fn from(error: SqlError) -> Self {
        Self::Unavailable(match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                "the disk is full: make room for the data directory".to_owned()
            }
            _ => error.to_string(),
        })
    }
}

fn closed() -> QueueError {
    QueueError::Unavailable("the database is closed".to_owned())
}

fn written<T>(result: Result<T, WriteError<QueueError>>) -> Result<T, QueueError> {
    result.map_err(|error| match error {
        WriteError::Refused(error) => error,
        WriteError::Failed(error) => error.into(),
        WriteError::Closed => closed(),
    })
}

fn found<T>(result: Result<T, ReadError<QueueError>>) -> Result<T, QueueError> {
    result.map_err(|error| match error {
        ReadError::Refused(error) => error,
        ReadError::Failed(error) => error.into(),
        ReadError::Closed => closed(),
    })
}
