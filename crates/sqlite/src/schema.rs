//! Numbered migrations. Each component has its own numbers, so that two components can grow in one
//! file independently.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::OpenError;

/// Brings the tables of `component` to the last of `migrations`, all in one transaction.
pub(crate) fn migrate(
    connection: &mut Connection,
    component: &'static str,
    migrations: &[&str],
) -> Result<(), OpenError> {
    let known = u32::try_from(migrations.len()).expect("migrations are few");
    let error = |version: u32| {
        move |source: rusqlite::Error| OpenError::Migrate {
            component,
            version,
            source,
        }
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(error(known))?;
    let found = found(&transaction, component).map_err(error(known))?;
    if found > known {
        return Err(OpenError::Newer {
            component,
            found,
            known,
        });
    }
    for (version, sql) in (1..).zip(migrations).skip(found as usize) {
        transaction.execute_batch(sql).map_err(error(version))?;
    }
    if found < known {
        transaction
            .execute(
                "INSERT INTO schema_versions (component, version) VALUES (?1, ?2)
                 ON CONFLICT (component) DO UPDATE SET version = excluded.version",
                (component, known),
            )
            .map_err(error(known))?;
    }
    transaction.commit().map_err(error(known))
}

fn found(connection: &Connection, component: &str) -> rusqlite::Result<u32> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    )?;
    let version = connection
        .query_row(
            "SELECT version FROM schema_versions WHERE component = ?1",
            [component],
            |row| row.get(0),
        )
        .optional()?;
    Ok(version.unwrap_or(0))
}
