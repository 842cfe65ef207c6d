//! SQLite on a full disk, and in a data directory of a newer program.

use std::sync::Arc;

use job::{Change, Update};
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{JobStore, StoreError};
use sqlite::{Database, Location, OpenError};

use crate::feed::next;
use crate::jobs::{apply, at, create_of, created, new, report};

/// Limits the database to this many pages more than it has.
async fn leave_pages(database: &Database, pages: i64) {
    database
        .write(move |write| {
            let count: i64 = write
                .connection()
                .query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let most = count + pages;
            write
                .connection()
                .query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_writes_fail_and_acknowledged_jobs_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("jobs"));
    let database = Database::open(&location).unwrap();
    let store = Arc::new(SqliteStore::open(database.clone()).unwrap());
    let mut feed = store.changes(None).await.unwrap();
    let job = created(&*store).await;
    leave_pages(&database, 20).await;

    // Many at once until the disk is full: some are acknowledged, and from then on all fail.
    let mut acknowledged = vec![job.id];
    let mut failed = Vec::new();
    while failed.is_empty() {
        let submits: Vec<_> = (0..16)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let job = new();
                    (job.id, store.create(create_of(&job)).await)
                })
            })
            .collect();
        for submit in submits {
            match submit.await.unwrap() {
                (id, Ok(_)) => acknowledged.push(id),
                (id, Err(StoreError::Unavailable { .. })) => failed.push(id),
                (_, Err(other)) => panic!("{other}"),
            }
        }
    }
    for id in &acknowledged {
        assert!(
            store.get(*id).await.unwrap().is_some(),
            "{id} was acknowledged"
        );
    }
    for id in &failed {
        assert!(store.get(*id).await.unwrap().is_none(), "{id} was refused");
        let missing = store
            .apply(*id, Change::of(Update::Start), at(1))
            .await
            .unwrap_err();
        assert!(
            matches!(missing, StoreError::NotFound(_)),
            "the writer remembers nothing of {id}: {missing}"
        );
    }

    leave_pages(&database, 1000).await;
    store.check().await.unwrap();
    assert_eq!(apply(&*store, job.id, report("goes on")).await.version.0, 2);
    let again = created(&*store).await;
    let mut announced = Vec::new();
    while announced.last() != Some(&again.id) {
        announced.push(next(&mut feed).await.new.unwrap().id);
    }
    acknowledged.extend([job.id, again.id]);
    assert_eq!(
        announced.len(),
        acknowledged.len(),
        "the feed tells of what was committed and of nothing else"
    );
    drop((feed, store, database));
    let store = SqliteStore::open(Database::open(&location).unwrap()).unwrap();
    for id in acknowledged {
        assert!(store.get(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_directory_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("jobs"));
    let database = Database::open(&location).unwrap();
    SqliteStore::open(database.clone()).unwrap();
    database
        .write(|write| {
            write
                .connection()
                .execute("UPDATE schema_versions SET version = 99", [])?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let newer = SqliteStore::open(database).unwrap_err();
    assert!(
        matches!(newer, OpenError::Newer { found: 99, .. }),
        "{newer}"
    );
    assert!(
        newer.to_string().contains("another --data directory"),
        "{newer}"
    );
}
