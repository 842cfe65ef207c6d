//! The directory of a benchmark, removed when the benchmark is over.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Result;

static MADE: AtomicU32 = AtomicU32::new(0);

/// The directory.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// A new directory below `under`, or below the system's directory for temporary files.
    pub(crate) fn new(under: Option<&Path>, name: &str) -> Result<Place> {
        let under = under.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = under.join(format!(
            "jobcast-bench-{}-{number}-{name}",
            std::process::id()
        ));
        std::fs::create_dir_all(&path).map_err(|error| {
            format!(
                "{} cannot be made: {error}; choose another directory with --data",
                path.display()
            )
        })?;
        Ok(Place(path.canonicalize()?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} was not removed: {error}", self.0.display());
        }
    }
}
