//! The data directory of the embedded mode, for one server at a time: the database, the files, the
//! secret. Only its owner may read it.
//!
//! | path | what |
//! |---|---|
//! | `lock` | held by the server that uses the directory, with its process id |
//! | `jobcast.db` | jobs, their feed, executions |
//! | `files/` | uploads and results |
//! | `secret.key` | 32 random bytes: signs tokens and addresses |
//! | `internal.key` | the secret of the internal listener, another at each start |

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// Time for which opening waits for a directory that is in use. A killed server holds it a little
/// longer than it lives, through a function's process that it was starting.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
/// Interval between two attempts meanwhile.
const LOCK_EVERY: Duration = Duration::from_millis(10);

/// A data directory that belongs to this process until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It is in use by another server.
    #[error(
        "the data directory {} is used by another jobcast server{}: stop that one, or give this one another directory with --data",
        path.display(),
        pid.as_ref().map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other server's process id, if known.
        pid: Option<String>,
    },
    /// It contains something else.
    #[error("the data directory {} is not a directory: remove that file, or give the server another directory with --data", .0.display())]
    NoDirectory(PathBuf),
    /// It is not writable.
    #[error("nothing can be written into the data directory {}: {source}; it must belong to the user that runs the server, and be on a file system that is not read-only", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of it cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file of the secret has no valid secret.
    #[error("{} must hold 32 bytes: restore it from a backup, or delete it to make a new one (tokens and signed addresses given out so far then end)", .0.display())]
    Secret(PathBuf),
}

impl DataDirectory {
    /// Creates the directory if needed, and takes it for this process. Permissions of other users
    /// are removed.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn open(path: &Path) -> Result<DataDirectory, DataError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| DataError::Io { path, source }
        };
        match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => tighten_directory(path, &about),
            Ok(_) => return Err(DataError::NoDirectory(path.to_path_buf())),
            Err(_) => make_directory(path).map_err(failed(path))?,
        }
        let lock_path = path.join("lock");
        let mut lock = private_file(&lock_path).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                DataError::NotWritable {
                    path: path.to_path_buf(),
                    source,
                }
            }
            _ => failed(&lock_path)(source),
        })?;
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
            // The number is only shown in an error.
            let _ = lock.read_to_string(&mut pid);
            return Err(DataError::InUse {
                path: path.to_path_buf(),
                pid: Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty()),
            });
        }
        for name in FILES {
            tighten(&path.join(name), PRIVATE_FILE);
        }
        let written = lock.set_len(0).and_then(|()| lock.rewind());
        // The number is only for that error, so a full disk does not prevent the start.
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

    /// The database, created empty if needed. SQLite gives the files beside it the same
    /// permissions.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn database(&self) -> Result<PathBuf, DataError> {
        let path = self.path.join("jobcast.db");
        match private_file(&path) {
            Ok(_) => Ok(path),
            Err(source) => Err(DataError::Io { path, source }),
        }
    }

    /// The directory of the files, created if needed.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn files(&self) -> Result<PathBuf, DataError> {
        let path = self.path.join("files");
        match std::fs::metadata(&path) {
            Ok(about) if is_open(&about) => {
                tighten(&path, PRIVATE_DIRECTORY);
                tighten_below(&path);
            }
            Ok(_) => {}
            Err(_) => make_directory(&path).map_err(|source| DataError::Io {
                path: path.clone(),
                source,
            })?,
        }
        Ok(path)
    }

    /// The secret. `fresh` becomes the secret at the first start.
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
        let beside = self.path.join("secret.key.new");
        replace(&beside, &path, &fresh).map_err(failed)?;
        let directory = File::open(&self.path).map_err(failed)?;
        directory.sync_all().map_err(failed)?;
        Ok(fresh)
    }

    /// Writes the secret of the internal listener over that of the last start, and returns its
    /// path.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn internal_key(&self, secret: &str) -> Result<PathBuf, DataError> {
        let path = self.path.join(INTERNAL_KEY);
        let beside = self.path.join(INTERNAL_KEY_NEW);
        match replace(&beside, &path, secret.as_bytes()) {
            Ok(()) => Ok(path),
            Err(source) => Err(DataError::Io { path, source }),
        }
    }
}

/// Permissions of a directory that only its owner may use.
pub const PRIVATE_DIRECTORY: u32 = 0o700;
/// Permissions of a file that only its owner may use.
pub const PRIVATE_FILE: u32 = 0o600;

/// The file with the secret of the internal listener.
pub const INTERNAL_KEY: &str = "internal.key";
/// The same file while it is written.
const INTERNAL_KEY_NEW: &str = "internal.key.new";

/// The files of a data directory.
const FILES: &[&str] = &[
    "jobcast.db",
    "jobcast.db-wal",
    "jobcast.db-shm",
    "jobcast.db-journal",
    "lock",
    "secret.key",
    "secret.key.new",
    INTERNAL_KEY,
    INTERNAL_KEY_NEW,
];
/// Other names that may be in a data directory: the files, and those that file systems have at
/// their top.
const DIRECTORIES: &[&str] = &["files", "lost+found"];

/// Creates a directory that only its owner may use, regardless of the umask. The directories above
/// it have the usual permissions.
fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(PRIVATE_DIRECTORY).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIRECTORY)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces a file with one that only its owner may use. It is written beside the other and moved:
/// a crash leaves either no file or a complete one.
fn replace(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = options.mode(PRIVATE_FILE).open(beside)?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Opens a file to read and write. A new one may be used by its owner only.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(PRIVATE_FILE);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Whether other users have any permission.
fn is_open(about: &Metadata) -> bool {
    about.permissions().mode() & 0o077 != 0
}

/// Removes the permissions of other users. A directory that holds something else, such as a home
/// directory, is not changed.
fn tighten_directory(path: &Path, about: &Metadata) {
    if !is_open(about) {
        return;
    }
    let foreign = std::fs::read_dir(path).into_iter().flatten().flatten();
    let foreign = foreign.map(|entry| entry.file_name()).find(|name| {
        let ours = |known: &&&str| name.to_str() == Some(**known);
        !FILES.iter().chain(DIRECTORIES).any(|known| ours(&known))
    });
    match foreign {
        None => tighten(path, PRIVATE_DIRECTORY),
        Some(name) => tracing::warn!(
            "the data directory {} is open to other users of this machine, and stays so because it holds more than data ({}): give the server \
             its own directory, or run `chmod 700` on this one",
            path.display(),
            name.display()
        ),
    }
}

/// Removes the permissions of other users, and logs that.
fn tighten(path: &Path, mode: u32) {
    let open =
        std::fs::symlink_metadata(path).is_ok_and(|about| !about.is_symlink() && is_open(&about));
    if !open {
        return;
    }
    match std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        Ok(()) => tracing::info!(
            "{} was open to other users of this machine; now it is its owner's alone",
            path.display()
        ),
        Err(error) => {
            tracing::warn!(%error, "{} is open to other users of this machine, and that cannot be changed", path.display())
        }
    }
}

/// Does the same for everything in a directory of files, once. Below a closed directory nothing is
/// accessible.
fn tighten_below(directory: &Path) {
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let kind = entry.file_type();
            let is = |wanted: fn(&std::fs::FileType) -> bool| kind.as_ref().is_ok_and(wanted);
            let mode = if is(std::fs::FileType::is_dir) {
                directories.push(entry.path());
                PRIVATE_DIRECTORY
            } else if is(std::fs::FileType::is_file) {
                PRIVATE_FILE
            } else {
                continue;
            };
            // A file that cannot be changed is below a closed directory anyway.
            let _ = std::fs::set_permissions(entry.path(), Permissions::from_mode(mode));
        }
    }
}

/// The directory of the files below a data directory that several servers share, created if needed.
/// No process takes it.
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
    fn a_directory_belongs_to_one_server_at_a_time() {
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
    fn a_directory_is_waited_for_while_its_last_server_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().to_path_buf();
        let first = DataDirectory::open(&path).expect("free");
        let second = std::thread::spawn(move || DataDirectory::open(&path));
        drop(first);
        second.join().expect("no panic").expect("free soon");
    }

    #[test]
    fn the_secret_stays_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDirectory::open(directory.path()).expect("free");
        assert_eq!(data.secret([1; 32]).expect("made"), [1; 32]);
        assert_eq!(data.secret([2; 32]).expect("kept"), [1; 32]);
        std::fs::write(directory.path().join("secret.key"), "short").expect("written");
        assert!(matches!(data.secret([3; 32]), Err(DataError::Secret(_))));
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_directory_is_closed_to_other_users() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new/data");
        let data = DataDirectory::open(&path).expect("free");
        data.secret([1; 32]).expect("made");
        data.files().expect("made");
        data.database().expect("made");
        assert_eq!((mode(&path), mode(&path.join("files"))), (0o700, 0o700));
        for name in ["lock", "secret.key", "jobcast.db"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn an_open_directory_is_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data");
        let open = |name: &str, mode: u32| {
            let path = path.join(name);
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
        };
        std::fs::create_dir_all(path.join("files/id")).expect("made");
        for name in ["jobcast.db", "jobcast.db-wal", "lock", "files/id/a.txt"] {
            std::fs::write(path.join(name), "").expect("written");
            open(name, 0o644);
        }
        ["", "files", "files/id"]
            .iter()
            .for_each(|name| open(name, 0o755));
        let data = DataDirectory::open(&path).expect("free");
        data.files().expect("there");
        for name in ["", "files", "files/id"] {
            assert_eq!(mode(&path.join(name)), 0o700, "{name}");
        }
        for name in ["jobcast.db", "jobcast.db-wal", "lock", "files/id/a.txt"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_directory_with_other_files_keeps_its_permissions() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("set");
        std::fs::write(path.join("letters.txt"), "").expect("written");
        DataDirectory::open(path).expect("free");
        assert_eq!((mode(path), mode(&path.join("lock"))), (0o755, 0o600));
    }

    #[test]
    fn an_unusable_directory_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = |path: &Path| {
            DataDirectory::open(path)
                .expect_err("no directory")
                .to_string()
        };
        let below = error(&file.join("data"));
        assert!(below.contains("file/data cannot be used"), "{below}");
        let itself = error(&file);
        assert!(
            itself.contains("file is not a directory: remove that file"),
            "{itself}"
        );
    }
}
