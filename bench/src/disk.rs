//! Baselines: the speed of this disk, and of SQLite on it, without Jobcast.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlite::rusqlite::{Connection, params};

use crate::error::Result;
use crate::report::{Section, Times};

/// Duration of each baseline.
const LENGTH: Duration = Duration::from_secs(1);

/// Appends of 4 KiB, each followed by `fdatasync`, with `pause` between two of them: a disk that
/// was idle takes longer.
pub(crate) fn sync(directory: &Path, pause: Duration, section: &mut Section) -> Result<()> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let (page, begun) = ([7; 4_096], Instant::now());
    let mut times = Times::default();
    while begun.elapsed() < LENGTH {
        let one = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.add(one.elapsed());
        std::thread::sleep(pause);
    }
    std::fs::remove_file(path)?;
    let apart = if pause.is_zero() {
        String::new()
    } else {
        format!(", {pause:?} apart")
    };
    section.latency(
        &format!("this disk alone, 4 KiB and fdatasync{apart}"),
        &mut times,
        None,
    );
    Ok(())
}

/// Rows that SQLite updates per second if each commit has `group` of them: write-ahead log,
/// `synchronous=FULL`, one row of 600 bytes by its key, no index.
pub(crate) fn group_commit(directory: &Path, group: i64) -> Result<f64> {
    let path = directory.join("baseline.db");
    let mut connection = Connection::open(&path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")?;
    let text = "x".repeat(600);
    let (mut rows, mut begun) = (0u32, Instant::now());
    for round in 0.. {
        let transaction = connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO row VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = ?2",
            )?;
            for id in 0..group {
                statement.execute(params![id, text])?;
            }
        }
        transaction.commit()?;
        if round == 0 {
            begun = Instant::now();
            continue;
        }
        rows += u32::try_from(group)?;
        if begun.elapsed() >= LENGTH {
            break;
        }
    }
    let rate = f64::from(rows) / begun.elapsed().as_secs_f64();
    drop(connection);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.join(format!("baseline.db{suffix}")));
    }
    Ok(rate)
}
