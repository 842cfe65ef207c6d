//! The tables. A released migration never changes; a change is a further migration at the end.

/// The component's name in `schema_versions`.
pub(super) const COMPONENT: &str = "job";

pub(super) const MIGRATIONS: &[&str] = &[FIRST, OUTLINE];

/// `jobs`: one row per job. The columns of filters are before the whole job as JSON. `seq` is a
/// short key for other rows of a job; `change` is the position of the job's last change.
///
/// `changes`: the feed, in the order of the commits, without a gap (the oldest are deleted, the
/// newest never). `previous` is the previous change of the same job, which has the old image while
/// it is kept.
const FIRST: &str = "
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    expires_at INTEGER,
    change INTEGER NOT NULL,
    tags TEXT,
    job TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_owner ON jobs (owner, id);
CREATE INDEX jobs_by_type ON jobs (type, id);
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE inputs (seq INTEGER PRIMARY KEY, input TEXT NOT NULL) STRICT;
CREATE TABLE results (seq INTEGER PRIMARY KEY, result TEXT NOT NULL) STRICT;

CREATE TABLE tags (
    tag TEXT NOT NULL,
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tag, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    owner TEXT NOT NULL,
    token TEXT NOT NULL,
    digest BLOB NOT NULL,
    id BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (owner, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE changes (
    position INTEGER PRIMARY KEY,
    previous INTEGER,
    at INTEGER NOT NULL,
    id BLOB NOT NULL,
    job TEXT
) STRICT;

CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), checks INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);
";

/// All columns of filters, in the order of the ids: a list that reads many jobs to find a few walks
/// a tenth of the pages.
const OUTLINE: &str = "
CREATE INDEX jobs_outline ON jobs (id, owner, type, status, progress, attempt, updated_at, finished_at, tags);
";
