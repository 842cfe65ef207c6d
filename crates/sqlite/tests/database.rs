//! What a user of the database can rely on: order, durability, savepoints, full disks, limits,
//! migrations.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use sqlite::rusqlite::{self, Connection, ErrorCode};
use sqlite::{Database, Location, OpenError, ReadError, WriteError, limits};

const NUMBERS: &[&str] = &["CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT) STRICT"];

#[derive(Debug)]
enum Failure {
    No,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

fn in_directory(directory: &tempfile::TempDir) -> Database {
    let database = Database::open(&Location::File(directory.path().join("test.sqlite3"))).unwrap();
    database.migrate("test", NUMBERS).unwrap();
    database
}

fn in_memory() -> Database {
    let database = Database::open(&Location::Memory).unwrap();
    database.migrate("test", NUMBERS).unwrap();
    database
}

fn insert(connection: &Connection, n: i64, text: &str) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT INTO numbers (n, text) VALUES (?1, ?2)")?
        .execute((n, text))?;
    Ok(())
}

fn all(connection: &Connection) -> Result<Vec<i64>, Failure> {
    let mut statement = connection.prepare_cached("SELECT n FROM numbers ORDER BY n")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

async fn put(database: &Database, n: i64) -> Result<(), WriteError<Failure>> {
    database
        .write(move |write| insert(write.connection(), n, ""))
        .await
}

/// Keeps the writer busy until the sender is used. Requests made meanwhile become one group.
async fn hold(database: &Database) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    let (start, started) = tokio::sync::oneshot::channel();
    drop(database.write(move |_| {
        let _ = start.send(());
        let _ = held.recv();
        Ok::<_, Failure>(())
    }));
    started.await.unwrap();
    release
}

#[tokio::test]
async fn an_acknowledged_write_is_read_and_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let database = in_directory(&directory);
        put(&database, n).await.unwrap();
        let wanted: Vec<i64> = (0..=n).collect();
        assert_eq!(database.read(all).await.unwrap(), wanted);
        assert_eq!(database.read_row(all).await.unwrap(), wanted);
    }
}

#[tokio::test]
async fn an_in_memory_read_sees_acknowledged_writes() {
    let database = in_memory();
    put(&database, 7).await.unwrap();
    assert_eq!(database.read(all).await.unwrap(), [7]);
    assert_eq!(database.read_row(all).await.unwrap(), [7]);
}

#[tokio::test]
async fn requests_run_in_the_order_of_the_calls() {
    let database = in_memory();
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..3000)
        .map(|n| {
            let order = Arc::clone(&order);
            database.write(move |write| {
                write.after_commit(move || order.lock().unwrap().push(n));
                insert(write.connection(), n, "")
            })
        })
        .collect();
    // The futures are polled in reverse: only the order of the calls counts.
    for call in calls.into_iter().rev() {
        call.await.unwrap();
    }
    assert!(order.lock().unwrap().iter().copied().eq(0..3000));
}

#[tokio::test]
async fn a_refused_request_is_undone_without_its_group() {
    let database = in_memory();
    let heard = Arc::new(AtomicUsize::new(0));
    let release = hold(&database).await;
    let before = database.write(|write| insert(write.connection(), 1, ""));
    let refused = database.write({
        let heard = Arc::clone(&heard);
        move |write| {
            insert(write.connection(), 2, "")?;
            write.after_commit(move || {
                heard.fetch_add(1, Ordering::SeqCst);
            });
            Err::<(), _>(Failure::No)
        }
    });
    let panics = database.write(|write| {
        insert(write.connection(), 3, "")?;
        assert!(write.connection().is_autocommit(), "inside a transaction");
        Ok::<_, Failure>(())
    });
    let after = database.write(|write| insert(write.connection(), 4, ""));
    release.send(()).unwrap();
    before.await.unwrap();
    assert!(matches!(
        refused.await,
        Err(WriteError::Refused(Failure::No))
    ));
    let panic = tokio::spawn(panics).await.unwrap_err().into_panic();
    assert!(
        panic
            .downcast_ref::<&str>()
            .is_some_and(|text| text.contains("inside a transaction"))
    );
    after.await.unwrap();
    assert_eq!(database.read(all).await.unwrap(), [1, 4]);
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_decided_request_fails_its_group_only_after_its_first_write() {
    let database = in_memory();
    let heard = Arc::new(AtomicUsize::new(0));
    let put_decided = |n| {
        let heard = Arc::clone(&heard);
        database.write_decided(move |write| {
            write.after_commit(move || {
                heard.fetch_add(1, Ordering::SeqCst);
            });
            insert(write.connection(), n, "")
        })
    };
    let release = hold(&database).await;
    let first = put_decided(1);
    // The key is taken, so the row is not written.
    let taken = put_decided(1);
    let last = put_decided(2);
    release.send(()).unwrap();
    first.await.unwrap();
    assert!(matches!(
        taken.await,
        Err(WriteError::Refused(Failure::Sqlite(_)))
    ));
    last.await.unwrap();
    assert_eq!(database.read(all).await.unwrap(), [1, 2]);
    assert_eq!(heard.load(Ordering::SeqCst), 2);

    for panics in [false, true] {
        let release = hold(&database).await;
        let before = put_decided(3);
        let half_way = database.write_decided(move |write| {
            insert(write.connection(), 4, "")?;
            assert!(!panics, "after a write");
            Err::<(), _>(Failure::No)
        });
        let after = put_decided(5);
        release.send(()).unwrap();
        assert!(matches!(before.await, Err(WriteError::Failed(_))));
        if panics {
            tokio::spawn(half_way).await.unwrap_err().into_panic();
        } else {
            assert!(matches!(half_way.await, Err(WriteError::Failed(_))));
        }
        // It was no longer in the group.
        after.await.unwrap();
        assert_eq!(database.read(all).await.unwrap(), [1, 2, 5]);
        let removed = database.write(|write| {
            let sql = "DELETE FROM numbers WHERE n = 5";
            write.connection().execute(sql, [])?;
            Ok::<_, Failure>(())
        });
        removed.await.unwrap();
    }
}

/// Limits the database to a few pages more than it has.
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
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_its_group_and_not_later_writes() {
    let directory = tempfile::tempdir().unwrap();
    let database = in_directory(&directory);
    put(&database, 0).await.unwrap();
    leave_pages(&database, 5).await;
    let large = "x".repeat(100_000);
    let release = hold(&database).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let small = database.write({
        let heard = Arc::clone(&heard);
        move |write| {
            write.after_commit(move || {
                heard.fetch_add(1, Ordering::SeqCst);
            });
            insert(write.connection(), 1, "")
        }
    });
    let too_large = database.write(move |write| insert(write.connection(), 2, &large));
    release.send(()).unwrap();
    let small = small.await;
    let full = match too_large.await {
        Err(WriteError::Failed(error) | WriteError::Refused(Failure::Sqlite(error))) => error,
        other => panic!("{other:?}"),
    };
    let codes = [ErrorCode::DiskFull, ErrorCode::OperationAborted];
    assert!(codes.contains(&full.sqlite_error_code().unwrap()), "{full}");
    // All of the group is kept, or nothing of it.
    let kept: &[i64] = if small.is_ok() { &[0, 1] } else { &[0] };
    assert_eq!(database.read(all).await.unwrap(), kept);
    assert_eq!(heard.load(Ordering::SeqCst), kept.len() - 1);

    leave_pages(&database, 1000).await;
    put(&database, 3).await.unwrap();
    assert_eq!(database.read(all).await.unwrap().last(), Some(&3));
}

#[tokio::test]
async fn the_queue_refuses_a_request_over_its_limit() {
    let database = in_memory();
    let release = hold(&database).await;
    let calls: Vec<_> = (0..limits::QUEUE_REQUESTS)
        .map(|n| database.write(move |write| insert(write.connection(), n as i64, "")))
        .collect();
    match database.write(|_| Ok::<_, Failure>(())).await {
        Err(WriteError::Failed(error)) => {
            assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
            assert!(error.to_string().contains("65536 requests wait"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let read = database.read(all).await;
    assert!(matches!(read, Err(ReadError::Failed(_))), "{read:?}");
    release.send(()).unwrap();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(
        database.read(all).await.unwrap().len(),
        limits::QUEUE_REQUESTS
    );
}

#[tokio::test]
async fn a_commit_has_at_most_its_limit_of_requests() {
    let database = in_memory();
    let (ran, groups) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let release = hold(&database).await;
    let calls: Vec<_> = (0..limits::GROUP_REQUESTS * 2 + 1)
        .map(|_| {
            let (ran, groups) = (Arc::clone(&ran), Arc::clone(&groups));
            database.write(move |write| {
                ran.fetch_add(1, Ordering::SeqCst);
                // The first callback of a group sees how many ran in it, the others see none.
                write.after_commit(move || match ran.swap(0, Ordering::SeqCst) {
                    0 => {}
                    count => groups.lock().unwrap().push(count),
                });
                Ok::<_, Failure>(())
            })
        })
        .collect();
    release.send(()).unwrap();
    for call in calls {
        call.await.unwrap();
    }
    let groups = groups.lock().unwrap();
    assert_eq!(groups.iter().sum::<usize>(), limits::GROUP_REQUESTS * 2 + 1);
    assert!(
        groups.iter().all(|count| *count <= limits::GROUP_REQUESTS),
        "{groups:?}"
    );
    // Requests share commits.
    assert!(groups.iter().any(|count| *count > 1), "{groups:?}");
}

/// Time after which an expected event counts as lost.
const LOST: Duration = Duration::from_secs(20);

/// The thread that runs the closure of a write.
async fn writing_thread(database: &Database) -> ThreadId {
    let thread = database.write(|_| Ok::<_, Failure>(thread::current().id()));
    thread.await.unwrap()
}

/// Writes until this task's own thread runs a write. (The thread that wrote for others may still
/// hold the writer.)
async fn writes_itself(database: &Database) {
    let writes = async { while writing_thread(database).await != thread::current().id() {} };
    tokio::time::timeout(LOST, writes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_single_write_runs_on_its_callers_thread() {
    let database = in_memory();
    let task = tokio::spawn(async move {
        writes_itself(&database).await;
        let (go, waits) = mpsc::channel();
        // It runs on the runtime's only thread, or on the thread that takes its place.
        tokio::spawn(async move { go.send(()) });
        let write = database.write(move |_| {
            waits.recv_timeout(LOST).map_err(|_| Failure::No)?;
            Ok::<_, Failure>(thread::current().id())
        });
        assert_eq!(write.await.unwrap(), thread::current().id());
        assert_eq!(writing_thread(&database).await, thread::current().id());
    });
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_run_on_the_writers_thread() {
    let database = in_memory();
    let (stands, standing) = mpsc::channel();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let first = tokio::spawn({
        let database = database.clone();
        async move {
            let write = database.write(move |_| {
                let _ = begun.send(());
                standing.recv_timeout(LOST).map_err(|_| Failure::No)
            });
            write.await.unwrap();
        }
    });
    begins.await.unwrap();
    let second = database.write(|write| insert(write.connection(), 2, ""));
    stands.send(()).unwrap();
    second.await.unwrap();
    first.await.unwrap();
    // The last group had two requests; the one after it has one.
    let task = tokio::spawn(async move {
        assert_ne!(writing_thread(&database).await, thread::current().id());
        writes_itself(&database).await;
    });
    task.await.unwrap();
}

#[tokio::test]
async fn a_write_does_not_block_a_runtime_of_one_thread() {
    let database = in_memory();
    assert_ne!(writing_thread(&database).await, thread::current().id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn single_writes_checkpoint_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let database = in_directory(&directory);
    let text = "x".repeat(1_600_000);
    for n in 0..100 {
        let text = text.clone();
        let write = database.write(move |write| insert(write.connection(), n, &text));
        write.await.unwrap();
    }
    let log = std::fs::metadata(directory.path().join("test.sqlite3-wal")).unwrap();
    let bound = u64::from(2 * limits::CHECKPOINT_PAGES) * 4096;
    assert!(log.len() < bound, "{} of {}", log.len(), 100 * text.len());
}

#[tokio::test]
async fn concurrent_writes_checkpoint_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let database = in_directory(&directory);
    let page = "x".repeat(4000);
    let mut largest = 0;
    for round in 0..6_i64 {
        let calls: Vec<_> = (0..i64::from(limits::CHECKPOINT_PAGES))
            .map(|n| {
                let page = page.clone();
                let n = round * i64::from(limits::CHECKPOINT_PAGES) + n;
                database.write(move |write| insert(write.connection(), n, &page))
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let log = std::fs::metadata(directory.path().join("test.sqlite3-wal")).unwrap();
        largest = largest.max(log.len());
    }
    let written = 6 * u64::from(limits::CHECKPOINT_PAGES) * 4096;
    let bound = u64::from(limits::CHECKPOINT_PAGES + 3 * limits::GROUP_REQUESTS as u32) * 4096;
    assert!(largest < bound, "{largest} of {written}");
}

#[tokio::test]
async fn the_log_is_preallocated_and_its_frames_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("test.sqlite3-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    let database = in_directory(&directory);
    assert_eq!(length(), limits::RESERVED_LOG_BYTES);
    for n in 0..100 {
        put(&database, n).await.unwrap();
    }
    assert_eq!(length(), limits::RESERVED_LOG_BYTES);

    // The state that a killed process leaves: frames with zeros behind them, and then also a
    // truncated file.
    for cut in [false, true] {
        let left = tempfile::tempdir().unwrap();
        for file in ["test.sqlite3", "test.sqlite3-wal"] {
            std::fs::copy(directory.path().join(file), left.path().join(file)).unwrap();
        }
        let log = left.path().join("test.sqlite3-wal");
        if cut {
            let log = std::fs::OpenOptions::new().write(true).open(&log);
            log.unwrap()
                .set_len(limits::RESERVED_LOG_BYTES / 2)
                .unwrap();
        }
        let again = in_directory(&left);
        assert_eq!(again.read(all).await.unwrap().len(), 100);
        put(&again, 100).await.unwrap();
        assert_eq!(again.read(all).await.unwrap().len(), 101);
        assert_eq!(
            std::fs::metadata(&log).unwrap().len(),
            limits::RESERVED_LOG_BYTES
        );
    }
}

#[test]
fn components_migrate_independently_and_a_newer_file_is_refused() {
    const MORE: &[&str] = &[NUMBERS[0], "ALTER TABLE numbers ADD COLUMN more TEXT"];
    const BROKEN: &[&str] = &["CREATE TABLE others (n)", "CREATE TABLE others (n)"];
    let directory = tempfile::tempdir().unwrap();
    {
        let database = in_directory(&directory);
        database.migrate("test", MORE).unwrap();
        database.migrate("test", MORE).unwrap();
        let broken = database.migrate("others", BROKEN).unwrap_err();
        assert!(
            matches!(broken, OpenError::Migrate { version: 2, .. }),
            "{broken}"
        );
        database.migrate("others", &BROKEN[..1]).unwrap();
    }
    let database = Database::open(&Location::File(directory.path().join("test.sqlite3"))).unwrap();
    let newer = database.migrate("test", NUMBERS).unwrap_err();
    assert!(matches!(
        newer,
        OpenError::Newer {
            component: "test",
            found: 2,
            known: 1
        }
    ));
    assert_eq!(
        newer.to_string(),
        "the data directory was written by a newer jobcast: its test tables are at version 2, and this program supports them up to \
         version 1; use a newer jobcast, or another --data directory"
    );
    database.migrate("test", MORE).unwrap();
}

#[test]
fn an_open_error_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere/test.sqlite3");
    let error = Database::open(&Location::File(nowhere)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("check that the directory exists"),
        "{error}"
    );

    let other = directory.path().join("other");
    std::fs::write(
        &other,
        "no database, but long enough to be taken for one. ".repeat(100),
    )
    .unwrap();
    let error = Database::open(&Location::File(other)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(
        error.to_string().contains("restore it from a backup"),
        "{error}"
    );
}

#[tokio::test]
async fn a_transaction_left_open_by_a_read_is_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let database = in_directory(&directory);
    database
        .read(|connection| {
            connection.execute_batch("BEGIN; SELECT * FROM numbers")?;
            Ok::<_, Failure>(())
        })
        .await
        .unwrap();
    put(&database, 1).await.unwrap();
    assert_eq!(database.read(all).await.unwrap(), [1]);
}

#[tokio::test]
async fn reads_over_the_limit_wait_for_a_free_reader() {
    let directory = tempfile::tempdir().unwrap();
    let database = in_directory(&directory);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reads: Vec<_> = (0..limits::READERS * 8)
        .map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let database = database.clone();
            tokio::spawn(async move {
                database
                    .read(move |connection| {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        let result = all(connection);
                        running.fetch_sub(1, Ordering::SeqCst);
                        result
                    })
                    .await
            })
        })
        .collect();
    for read in reads {
        read.await.unwrap().unwrap();
    }
    assert!((1..=limits::READERS).contains(&most.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writers_panic_on_a_callers_thread_fails_all_pending_writes() {
    let database = in_memory();
    let last = database.write(|write| {
        write.after_commit(|| panic!("against the rules"));
        Ok::<_, Failure>(())
    });
    assert!(matches!(last.await, Err(WriteError::Closed)));
    assert!(matches!(put(&database, 1).await, Err(WriteError::Closed)));
    assert!(matches!(database.read(all).await, Err(ReadError::Closed)));
}

#[tokio::test]
async fn a_writers_panic_fails_all_pending_writes() {
    let database = in_memory();
    let release = hold(&database).await;
    let last = database.write(|write| {
        write.after_commit(|| panic!("against the rules"));
        Ok::<_, Failure>(())
    });
    let waiting = database.write(|_| Ok::<_, Failure>(()));
    release.send(()).unwrap();
    assert!(matches!(last.await, Err(WriteError::Closed)));
    assert!(matches!(waiting.await, Err(WriteError::Closed)));
    assert!(matches!(put(&database, 1).await, Err(WriteError::Closed)));
    assert!(matches!(database.read(all).await, Err(ReadError::Closed)));
}
