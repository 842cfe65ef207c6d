//! Preallocates the write-ahead log. A commit that overwrites existing blocks has only its pages to
//! sync; a commit that makes the file longer also waits for the file system's own journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::limits::RESERVED_LOG_BYTES;

/// Number of zeros written at once.
const CHUNK: usize = 1024 * 1024;

/// Makes the log of this open database [`RESERVED_LOG_BYTES`] long. No write may be in progress.
/// Zeros behind the log's frames are not frames (SQLite, "WAL-mode File Format", 4.3: the checksum
/// must match). If the disk has no room for it, the log grows as it is written.
pub(crate) fn reserve(database: &Path) {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    match lengthen(Path::new(&path)) {
        Ok(None) => {}
        Ok(Some(log)) => sync(log),
        Err(error) => {
            tracing::debug!(%error, log = %Path::new(&path).display(), "no room was made for the write-ahead log");
        }
    }
}

/// The log's file, if this made it longer.
fn lengthen(path: &Path) -> io::Result<Option<File>> {
    let mut log = OpenOptions::new().write(true).open(path)?;
    let before = log.metadata()?.len();
    let missing = RESERVED_LOG_BYTES.saturating_sub(before);
    if missing == 0 {
        return Ok(None);
    }
    log.seek(SeekFrom::Start(before))?;
    if let Err(error) = zeros(&mut log, missing) {
        log.set_len(before)?;
        return Err(error);
    }
    Ok(Some(log))
}

fn zeros(log: &mut File, mut missing: u64) -> io::Result<()> {
    let chunk = vec![0; CHUNK];
    while missing > 0 {
        let length = usize::try_from(missing).map_or(CHUNK, |missing| missing.min(CHUNK));
        log.write_all(&chunk[..length])?;
        missing -= length as u64;
    }
    Ok(())
}

/// Syncs the log on a separate thread. Only a commit that starts meanwhile waits for it.
fn sync(log: File) {
    let thread = std::thread::Builder::new().name("sqlite-log".to_owned());
    let started = thread.spawn(move || {
        if let Err(error) = log.sync_data() {
            tracing::debug!(%error, "the room for the write-ahead log was not written out");
        }
    });
    if let Err(error) = started {
        tracing::debug!(%error, "the room for the write-ahead log is written out by the first commit");
    }
}
