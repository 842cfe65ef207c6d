//! The packages that the templates of `infra/` deploy, written to `target/infra`. Deploying them is
//! the work of other tools: `sam`, `aws cloudformation`.
//!
//! | module | what |
//! |---|---|
//! | [`machines`] | the state machines with the names of one account, and their template |
//! | [`functions`] | a directory for each function: its program and the state machines |

pub(crate) mod functions;
pub(crate) mod machines;

use std::fs;
use std::path::{Path, PathBuf};

/// Directory of everything that is packaged.
pub(crate) const PACKAGES: &str = "target/infra";
/// Directory of the job types of this repository.
const MACHINES: &str = "state-machines";

/// Values of options, `--name value`.
pub(crate) struct Options(Vec<(String, String)>);

impl Options {
    /// Reads the arguments of a task, which has these options.
    ///
    /// # Errors
    /// Names the argument that is not one of them.
    pub(crate) fn read(arguments: &[&str], known: &[&str]) -> Result<Self, String> {
        let mut found = Vec::new();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let known = name.strip_prefix("--").filter(|name| known.contains(name));
            let known = known.ok_or_else(|| format!("{name} is no option of this task"))?;
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            found.push((known.to_owned(), (*value).to_owned()));
        }
        Ok(Self(found))
    }

    /// The value of an option, or its default.
    fn or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.map_or(default, |(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, String> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        let value = found.map(|(_, value)| value.as_str());
        value.ok_or_else(|| format!("--{name} is missing"))
    }
}

/// The files of a directory whose names have this ending, with their names without it, sorted.
fn files(directory: &Path, ending: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(name) = name.strip_suffix(ending) {
            found.push((name.to_owned(), path.clone()));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(format!("{} has no file *{ending}", directory.display()));
    }
    Ok(found)
}

/// An empty directory.
fn emptied(path: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    if path.exists() {
        fs::remove_dir_all(path).map_err(failed)?;
    }
    fs::create_dir_all(path).map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
