//! Every statement on the catalog. It decides nothing.

use asl::WorkflowType;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{ActivityRecord, Alias, Configuration, MachineRecord, Version};

/// The catalog, within a read or a write of the database.
#[derive(Debug)]
pub(crate) struct Tables<'a>(pub(crate) &'a Connection);

const CONFIGURATION: &str = "definition, role, logging, tracing, encryption";

fn configuration(row: &Row<'_>, first: usize) -> rusqlite::Result<Configuration> {
    Ok(Configuration {
        definition: row.get(first)?,
        role: row.get(first + 1)?,
        logging: row.get(first + 2)?,
        tracing: row.get(first + 3)?,
        encryption: row.get(first + 4)?,
    })
}

fn machine(row: &Row<'_>) -> rusqlite::Result<MachineRecord> {
    Ok(MachineRecord {
        name: row.get(0)?,
        account: row.get(1)?,
        kind: if row.get::<_, i64>(2)? == 1 {
            WorkflowType::Express
        } else {
            WorkflowType::Standard
        },
        created: row.get(3)?,
        updated: row.get(4)?,
        revision: row.get(5)?,
        published: row.get(6)?,
        configuration: configuration(row, 7)?,
    })
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        number: row.get(0)?,
        description: row.get(1)?,
        created: row.get(2)?,
        revision: row.get(3)?,
        configuration: configuration(row, 4)?,
    })
}

fn alias(row: &Row<'_>) -> rusqlite::Result<Alias> {
    let routing: String = row.get(2)?;
    Ok(Alias {
        name: row.get(0)?,
        description: row.get(1)?,
        routing: serde_json::from_str(&routing).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                2,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        created: row.get(3)?,
        updated: row.get(4)?,
    })
}

fn activity(row: &Row<'_>) -> rusqlite::Result<ActivityRecord> {
    Ok(ActivityRecord {
        name: row.get(0)?,
        account: row.get(1)?,
        encryption: row.get(2)?,
        created: row.get(3)?,
    })
}

impl Tables<'_> {
    fn one<T>(
        &self,
        sql: &str,
        given: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.0
            .prepare_cached(sql)?
            .query_row(given, read)
            .optional()
    }

    fn all<T>(
        &self,
        sql: &str,
        given: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.0
            .prepare_cached(sql)?
            .query_map(given, read)?
            .collect()
    }

    fn run(&self, sql: &str, given: impl Params) -> rusqlite::Result<usize> {
        self.0.prepare_cached(sql)?.execute(given)
    }

    fn count(&self, sql: &str, given: impl Params) -> rusqlite::Result<usize> {
        let count: i64 = self
            .0
            .prepare_cached(sql)?
            .query_row(given, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    pub(crate) fn machine(&self, name: &str) -> rusqlite::Result<Option<MachineRecord>> {
        let sql = format!(
            "SELECT name, account, kind, created, updated, revision, published, {CONFIGURATION} FROM catalog_machine WHERE name = ?1"
        );
        self.one(&sql, [name], machine)
    }

    /// State machines by name, those after `after`.
    pub(crate) fn machines(
        &self,
        after: &str,
        limit: usize,
    ) -> rusqlite::Result<Vec<MachineRecord>> {
        let sql = format!(
            "SELECT name, account, kind, created, updated, revision, published, {CONFIGURATION} FROM catalog_machine
             WHERE name > ?1 ORDER BY name LIMIT ?2"
        );
        self.all(&sql, params![after, limit as i64], machine)
    }

    pub(crate) fn count_machines(&self) -> rusqlite::Result<usize> {
        self.count("SELECT COUNT(*) FROM catalog_machine", [])
    }

    /// Writes a state machine, in the place of one of the same name.
    pub(crate) fn put_machine(&self, record: &MachineRecord) -> rusqlite::Result<()> {
        let with = &record.configuration;
        self.run(
            "INSERT OR REPLACE INTO catalog_machine
             (name, account, kind, definition, role, logging, tracing, encryption, created, updated, revision, published)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                record.name,
                record.account,
                i64::from(record.kind == WorkflowType::Express),
                with.definition,
                with.role,
                with.logging,
                with.tracing,
                with.encryption,
                record.created,
                record.updated,
                record.revision,
                record.published,
            ],
        )
        .map(|_| ())
    }

    /// Deletes a state machine with its versions and aliases; whether there was one.
    pub(crate) fn delete_machine(&self, name: &str) -> rusqlite::Result<bool> {
        self.run("DELETE FROM catalog_version WHERE machine = ?1", [name])?;
        self.run("DELETE FROM catalog_alias WHERE machine = ?1", [name])?;
        Ok(self.run("DELETE FROM catalog_machine WHERE name = ?1", [name])? > 0)
    }

    pub(crate) fn version(&self, machine: &str, number: u32) -> rusqlite::Result<Option<Version>> {
        let sql = format!(
            "SELECT number, description, created, revision, {CONFIGURATION} FROM catalog_version WHERE machine = ?1 AND number = ?2"
        );
        self.one(&sql, params![machine, number], version)
    }

    /// Versions below `before`, the newest first.
    pub(crate) fn versions(
        &self,
        machine: &str,
        before: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Version>> {
        let sql = format!(
            "SELECT number, description, created, revision, {CONFIGURATION} FROM catalog_version
             WHERE machine = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
        );
        self.all(&sql, params![machine, before, limit as i64], version)
    }

    pub(crate) fn count_versions(&self, machine: &str) -> rusqlite::Result<usize> {
        self.count(
            "SELECT COUNT(*) FROM catalog_version WHERE machine = ?1",
            [machine],
        )
    }

    pub(crate) fn add_version(&self, machine: &str, version: &Version) -> rusqlite::Result<()> {
        let with = &version.configuration;
        self.run(
            "INSERT INTO catalog_version (machine, number, description, definition, role, logging, tracing, encryption, created, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                machine,
                version.number,
                version.description,
                with.definition,
                with.role,
                with.logging,
                with.tracing,
                with.encryption,
                version.created,
                version.revision,
            ],
        )
        .map(|_| ())
    }

    pub(crate) fn delete_version(&self, machine: &str, number: u32) -> rusqlite::Result<()> {
        self.run(
            "DELETE FROM catalog_version WHERE machine = ?1 AND number = ?2",
            params![machine, number],
        )
        .map(|_| ())
    }

    pub(crate) fn alias(&self, machine: &str, name: &str) -> rusqlite::Result<Option<Alias>> {
        self.one(
            "SELECT name, description, routing, created, updated FROM catalog_alias WHERE machine = ?1 AND name = ?2",
            [machine, name],
            alias,
        )
    }

    /// Aliases by name, those after `after`.
    pub(crate) fn aliases(
        &self,
        machine: &str,
        after: &str,
        limit: usize,
    ) -> rusqlite::Result<Vec<Alias>> {
        self.all(
            "SELECT name, description, routing, created, updated FROM catalog_alias
             WHERE machine = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            params![machine, after, limit as i64],
            alias,
        )
    }

    pub(crate) fn count_aliases(&self, machine: &str) -> rusqlite::Result<usize> {
        self.count(
            "SELECT COUNT(*) FROM catalog_alias WHERE machine = ?1",
            [machine],
        )
    }

    /// Writes an alias, in the place of one of the same name.
    pub(crate) fn put_alias(&self, machine: &str, alias: &Alias) -> rusqlite::Result<()> {
        let routing = serde_json::to_string(&alias.routing).expect("numbers are JSON");
        self.run(
            "INSERT OR REPLACE INTO catalog_alias (machine, name, description, routing, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![machine, alias.name, alias.description, routing, alias.created, alias.updated],
        )
        .map(|_| ())
    }

    pub(crate) fn delete_alias(&self, machine: &str, name: &str) -> rusqlite::Result<()> {
        self.run(
            "DELETE FROM catalog_alias WHERE machine = ?1 AND name = ?2",
            [machine, name],
        )
        .map(|_| ())
    }

    pub(crate) fn activity(&self, name: &str) -> rusqlite::Result<Option<ActivityRecord>> {
        self.one(
            "SELECT name, account, encryption, created FROM catalog_activity WHERE name = ?1",
            [name],
            activity,
        )
    }

    /// Activities by name, those after `after`.
    pub(crate) fn activities(
        &self,
        after: &str,
        limit: usize,
    ) -> rusqlite::Result<Vec<ActivityRecord>> {
        self.all(
            "SELECT name, account, encryption, created FROM catalog_activity WHERE name > ?1 ORDER BY name LIMIT ?2",
            params![after, limit as i64],
            activity,
        )
    }

    pub(crate) fn count_activities(&self) -> rusqlite::Result<usize> {
        self.count("SELECT COUNT(*) FROM catalog_activity", [])
    }

    pub(crate) fn add_activity(&self, record: &ActivityRecord) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO catalog_activity (name, account, encryption, created) VALUES (?1, ?2, ?3, ?4)",
            params![record.name, record.account, record.encryption, record.created],
        )
        .map(|_| ())
    }

    pub(crate) fn delete_activity(&self, name: &str) -> rusqlite::Result<()> {
        self.run("DELETE FROM catalog_activity WHERE name = ?1", [name])
            .map(|_| ())
    }

    /// A resource's tags, by key.
    pub(crate) fn tags(&self, resource: &str) -> rusqlite::Result<Vec<(String, String)>> {
        self.all(
            "SELECT key, value FROM catalog_tag WHERE resource = ?1 ORDER BY key",
            [resource],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    pub(crate) fn put_tag(&self, resource: &str, key: &str, value: &str) -> rusqlite::Result<()> {
        self.run(
            "INSERT OR REPLACE INTO catalog_tag (resource, key, value) VALUES (?1, ?2, ?3)",
            [resource, key, value],
        )
        .map(|_| ())
    }

    pub(crate) fn delete_tag(&self, resource: &str, key: &str) -> rusqlite::Result<()> {
        self.run(
            "DELETE FROM catalog_tag WHERE resource = ?1 AND key = ?2",
            [resource, key],
        )
        .map(|_| ())
    }

    pub(crate) fn delete_tags(&self, resource: &str) -> rusqlite::Result<()> {
        self.run("DELETE FROM catalog_tag WHERE resource = ?1", [resource])
            .map(|_| ())
    }
}
