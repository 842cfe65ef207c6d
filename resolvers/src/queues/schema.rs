//! The tables of the local queues. A released migration never changes; a change is a further
//! migration at the end.

/// The component's name in `schema_versions`.
pub(super) const COMPONENT: &str = "intake";

pub(super) const MIGRATIONS: &[&str] = &[FIRST];

/// `intake_messages`: one row per message, also when it has become a dead letter (`died_at`).
/// `taken`: whether it was received and not finished since.
///
/// `intake_queues`: what the limits of a queue count, kept by the triggers.
const FIRST: &str = "
CREATE TABLE intake_messages (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    body TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    token TEXT,
    sent_at INTEGER NOT NULL,
    receives INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    visible_at INTEGER,
    died_at INTEGER,
    reason TEXT,
    CHECK ((visible_at IS NULL) <> (died_at IS NULL))
) STRICT;
CREATE INDEX intake_messages_by_time ON intake_messages (visible_at, seq) WHERE visible_at IS NOT NULL;
CREATE INDEX intake_messages_dead ON intake_messages (seq) WHERE died_at IS NOT NULL;

CREATE TABLE intake_queues (
    queue TEXT PRIMARY KEY,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dead INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER intake_sent AFTER INSERT ON intake_messages BEGIN
    INSERT INTO intake_queues (queue, messages, bytes, dead) VALUES (new.queue, 1, new.bytes, 0)
    ON CONFLICT (queue) DO UPDATE SET messages = messages + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER intake_done AFTER DELETE ON intake_messages BEGIN
    UPDATE intake_queues
    SET messages = messages - 1, bytes = bytes - old.bytes, dead = dead - (old.died_at IS NOT NULL)
    WHERE queue = old.queue;
END;
CREATE TRIGGER intake_died AFTER UPDATE OF died_at ON intake_messages BEGIN
    UPDATE intake_queues
    SET dead = dead + (new.died_at IS NOT NULL) - (old.died_at IS NOT NULL)
    WHERE queue = new.queue;
END;
";
