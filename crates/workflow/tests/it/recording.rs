//! Listeners that write events into the commit of the turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use sqlite::Write;
use workflow::{Engine, ExecutionEvent, Listener, Status};

use crate::engine::Echo;
use crate::world::{World, chain, until_closed};

#[derive(Debug, Default)]
struct Ledger {
    /// The number of first calls that fail.
    failures: AtomicU32,
    /// Whether it leaves everything to `notify`.
    declines: bool,
    told: Mutex<Vec<ExecutionEvent>>,
}

impl Listener for Ledger {
    fn record(&self, write: &mut Write<'_>, events: &[ExecutionEvent]) -> rusqlite::Result<bool> {
        if self.declines {
            return Ok(false);
        }
        for event in events {
            write.connection().execute(
                "INSERT INTO ledger VALUES (?1, ?2)",
                (event.position as i64, event.end.is_some()),
            )?;
        }
        let failing = |left: u32| left.checked_sub(1);
        let failed = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing);
        match failed {
            Ok(_) => Err(rusqlite::Error::InvalidQuery),
            Err(_) => Ok(true),
        }
    }

    fn notify(&self, event: ExecutionEvent) {
        self.told.lock().push(event);
    }
}

/// Runs three tasks to their end; returns the content of the ledger.
async fn run(ledger: &Arc<Ledger>) -> Vec<(i64, bool)> {
    const LEDGER: &[&str] = &["CREATE TABLE ledger (position INTEGER, is_end INTEGER)"];
    let world = World::new(&[("m", &chain(3))]);
    let database = world.database();
    database.migrate("ledger", LEDGER).unwrap();
    let tasks = Arc::new(Echo::default());
    let engine = Engine::open(database.clone(), world.settings(), tasks, ledger.clone())
        .await
        .unwrap();
    while engine.start("m", "e", "{}".into()).await.is_err() {}
    assert_eq!(until_closed(&engine, "e").await, Status::Succeeded);
    let rows = database.read(|connection| -> rusqlite::Result<Vec<(i64, bool)>> {
        connection
            .prepare("SELECT position, is_end FROM ledger ORDER BY rowid")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    });
    rows.await.unwrap()
}

fn is_whole(rows: &[(i64, bool)]) -> bool {
    rows.windows(2).all(|two| two[0].0 < two[1].0)
        && rows.iter().filter(|row| row.1).count() == 1
        && rows.last().is_some_and(|row| row.1)
}

#[tokio::test]
async fn what_is_recorded_is_not_told_again() {
    let ledger = Arc::<Ledger>::default();
    let rows = run(&ledger).await;
    assert!(is_whole(&rows), "{rows:?}");
    assert!(ledger.told.lock().is_empty());
}

#[tokio::test]
async fn a_record_that_fails_takes_its_turn_back_and_both_are_written_later() {
    let ledger = Arc::new(Ledger {
        failures: AtomicU32::new(3),
        ..Ledger::default()
    });
    let rows = run(&ledger).await;
    assert!(is_whole(&rows), "{rows:?}");
    assert_eq!(ledger.failures.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_declined_is_told() {
    let ledger = Arc::new(Ledger {
        declines: true,
        ..Ledger::default()
    });
    assert!(run(&ledger).await.is_empty());
    let told = ledger.told.lock();
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.position as i64, event.end.is_some()))
        .collect();
    assert!(is_whole(&told), "{told:?}");
}

/// Reports when a commit holds an end, before any other listener receives it.
#[derive(Debug)]
struct Bell(tokio::sync::mpsc::UnboundedSender<()>);

impl Listener for Bell {
    fn record(&self, write: &mut Write<'_>, events: &[ExecutionEvent]) -> rusqlite::Result<bool> {
        if events.iter().any(|event| event.end.is_some()) {
            let bell = self.0.clone();
            write.after_commit(move || {
                let _ = bell.send(());
            });
        }
        Ok(true)
    }

    fn notify(&self, _: ExecutionEvent) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sees_the_end_in_the_row_may_redrive_at_once() {
    const FAILS: &str = r#"{"StartAt":"F","States":{"F":{"Type":"Fail","Error":"E"}}}"#;
    let world = World::new(&[("m", FAILS)]);
    let (bell, mut rung) = tokio::sync::mpsc::unbounded_channel();
    let tasks = Arc::new(Echo::default());
    let engine = Engine::open(
        world.database(),
        world.settings(),
        tasks,
        Arc::new(Bell(bell)),
    )
    .await
    .unwrap();
    for n in 0..100 {
        let name = format!("e{n}");
        engine.start("m", &name, "{}".into()).await.unwrap();
        for _ in 0..3 {
            rung.recv().await.unwrap();
            engine.redrive(&name).await.unwrap();
        }
        rung.recv().await.unwrap();
    }
}
