//! A directory for each function, as `sam` and `aws cloudformation package` upload it: the program
//! under the name `bootstrap`, which the runtime starts, and the state machines.

use std::fs;
use std::path::Path;

use super::{MACHINES, Options, PACKAGES, emptied, files};

/// The options of the task.
pub(crate) const OPTIONS: &[&str] = &["programs", "state-machines"];
/// The programs of the functions, which `cargo build --features lambda` writes.
pub(crate) const FUNCTIONS: [&str; 5] = [
    "lambda-publish",
    "lambda-execution",
    "lambda-intake",
    "lambda-sweep",
    "lambda-http",
];

/// Writes `target/infra/functions/NAME` for each function.
///
/// # Errors
/// Names the program or the option that is missing.
pub(crate) fn package(arguments: &[&str]) -> Result<(), String> {
    let options = Options::read(arguments, OPTIONS)?;
    let programs = Path::new(options.required("programs")?);
    let machines = Path::new(options.or("state-machines", MACHINES));
    let missing: Vec<_> = FUNCTIONS
        .into_iter()
        .filter(|name| !programs.join(name).is_file())
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "{} has no {}: build them with --features lambda",
            programs.display(),
            missing.join(", ")
        ));
    }
    let target = Path::new(PACKAGES).join("functions");
    emptied(&target)?;
    let types = files(machines, ".json")?;
    for name in FUNCTIONS {
        let directory = target.join(name);
        let inside = directory.join("state-machines");
        fs::create_dir_all(&inside).map_err(|error| format!("{}: {error}", inside.display()))?;
        for (name, path) in &types {
            copy(path, &inside.join(format!("{name}.json")))?;
        }
        copy(&programs.join(name), &directory.join("bootstrap"))?;
    }
    println!("{}: {} functions", target.display(), FUNCTIONS.len());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = fs::copy(from, to);
    copied
        .map(drop)
        .map_err(|error| format!("{}: {error}", from.display()))
}
