//! The data directory of the embedded mode: one server at a time, the database, the files, the secret.
//!
//! | path | what |
//! |---|---|
//! | `lock` | held by the server that uses the directory, with its process id |
//! | `jobcast.db` | jobs, their feed, executions |
//! | `files/` | uploads and results |
//! | `secret.key` | 32 random bytes: signs tokens and addresses |

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// How long a directory that is in use is waited for. A killed server holds it a little longer than it lives: through a function's process
/// that it was starting at that moment.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
/// How often it is tried meanwhile.
const LOCK_EVERY: Duration = Duration::from_millis(10);

/// A data directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It belongs to another server.
    #[error(
        "the data directory {} is used by another jobcast server{}: stop that one, or give this one another directory with --data",
        path.display(),
        pid.as_ref().map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other server's process.
        pid: Option<String>,
    },
    /// A file of it cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The secret is not one.
    #[error("{} must hold 32 bytes: restore it from a backup, or delete it to make a new one (tokens and signed addresses given out so far then end)", .0.display())]
    Secret(PathBuf),
}

impl DataDirectory {
    /// Makes the directory if needed, and takes it for this process.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn open(path: &Path) -> Result<DataDirectory, DataError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| DataError::Io { path, source }
        };
        std::fs::create_dir_all(path).map_err(failed(path))?;
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        let opened = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path);
        let mut lock = opened.map_err(failed(&lock_path))?;
        let tried_until = Instant::now() + LOCK_WITHIN;
        while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(&lock_path)(error.into()));
            }
            if Instant::now() < tried_until {
                std::thread::sleep(LOCK_EVERY);
                continue;
            }
            let mut pid = String::new();
            // It is only told to the person who reads the error.
            let _ = lock.read_to_string(&mut pid);
            return Err(DataError::InUse {
                path: path.to_path_buf(),
                pid: Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty()),
            });
        }
        let written = lock.set_len(0).and_then(|()| lock.rewind());
        // The number is for that error only: a full disk is no reason not to start.
        if written
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .is_err()
        {
            tracing::warn!(path = %lock_path.display(), "the process id could not be written into the lock");
        }
        Ok(DataDirectory {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.path.join("jobcast.db")
    }

    /// The directory of the files, made if needed.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn files(&self) -> Result<PathBuf, DataError> {
        shared_files(&self.path)
    }

    /// The secret; made from `fresh` at the first start.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], DataError> {
        let path = self.path.join("secret.key");
        let failed = |source| DataError::Io {
            path: path.clone(),
            source,
        };
        match std::fs::read(&path) {
            Ok(bytes) => return bytes.try_into().map_err(|_| DataError::Secret(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // Written beside and moved into place: a crash leaves either no secret or a whole one.
        let beside = self.path.join("secret.key.new");
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&fresh)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
        let directory = File::open(&self.path).map_err(failed)?;
        directory.sync_all().map_err(failed)?;
        Ok(fresh)
    }
}

/// The directory of the files below a data directory that several servers share: nobody holds it. Made if needed.
///
/// # Errors
/// [`DataError::Io`].
pub fn shared_files(data: &Path) -> Result<PathBuf, DataError> {
    let path = data.join("files");
    std::fs::create_dir_all(&path).map_err(|source| DataError::Io {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_server_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new/data");
        let first = DataDirectory::open(&path).expect("free");
        let error = DataDirectory::open(&path).expect_err("taken").to_string();
        assert!(
            error.contains(&format!("(process {})", std::process::id())),
            "{error}"
        );
        drop(first);
        DataDirectory::open(&path).expect("free again");
    }

    #[test]
    fn is_waited_for_while_its_last_server_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_path_buf();
        let first = DataDirectory::open(&path).expect("free");
        let second = std::thread::spawn(move || DataDirectory::open(&path));
        drop(first);
        second.join().expect("no panic").expect("free soon");
    }

    #[test]
    fn the_secret_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::open(directory.path()).expect("free");
        assert_eq!(data.secret([1; 32]).expect("made"), [1; 32]);
        assert_eq!(data.secret([2; 32]).expect("kept"), [1; 32]);
        std::fs::write(directory.path().join("secret.key"), "short").expect("written");
        assert!(matches!(data.secret([3; 32]), Err(DataError::Secret(_))));
    }

    #[test]
    fn a_place_that_cannot_be_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = DataDirectory::open(&file.join("data"))
            .expect_err("no directory")
            .to_string();
        assert!(error.contains("file/data cannot be used"), "{error}");
    }
}
