//! What the Step Functions API creates: state machines with their versions and aliases, activities,
//! tags. Rows and statements only; what an operation means is the API's. State machines of the
//! directory are not here.

mod machine;
mod tables;

pub(crate) use self::machine::{Alias, Configuration, MachineRecord, Version};
pub(crate) use self::tables::Tables;

/// The tables of this component.
pub(crate) const MIGRATIONS: &[&str] = &["
CREATE TABLE catalog_machine (
    name TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    kind INTEGER NOT NULL,          -- 0 standard, 1 express
    definition TEXT NOT NULL,
    role TEXT NOT NULL,
    logging TEXT NOT NULL,          -- JSON, as the three configurations
    tracing TEXT NOT NULL,
    encryption TEXT NOT NULL,
    created INTEGER NOT NULL,       -- microseconds since the Unix epoch, as every time here
    updated INTEGER NOT NULL,
    revision TEXT,                  -- null until the first update
    published INTEGER NOT NULL      -- the highest number that a version ever had
) WITHOUT ROWID;
CREATE TABLE catalog_version (
    machine TEXT NOT NULL,
    number INTEGER NOT NULL,
    description TEXT,
    definition TEXT NOT NULL,
    role TEXT NOT NULL,
    logging TEXT NOT NULL,
    tracing TEXT NOT NULL,
    encryption TEXT NOT NULL,
    created INTEGER NOT NULL,
    revision TEXT,
    PRIMARY KEY (machine, number)
) WITHOUT ROWID;
CREATE TABLE catalog_alias (
    machine TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    routing TEXT NOT NULL,          -- JSON: [[version, weight], …]
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (machine, name)
) WITHOUT ROWID;
CREATE TABLE catalog_activity (
    name TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    encryption TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE catalog_tag (
    resource TEXT NOT NULL,         -- ARN
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (resource, key)
) WITHOUT ROWID;
"];

/// An activity.
#[derive(Clone, Debug)]
pub(crate) struct ActivityRecord {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) encryption: String,
    pub(crate) created: i64,
}
