//! Checks at the start whether the command of a function can be run, before the first job fails. It
//! runs nothing.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Function;

/// File name extensions of scripts.
const SCRIPTS: &[&str] = &[
    "py", "js", "mjs", "cjs", "ts", "rb", "sh", "pl", "php", "jar",
];

/// The reason why a command cannot be run, if one can be seen without running it.
pub(super) fn problem(function: &Function, path: Option<OsString>) -> Option<String> {
    let program = function.command.first()?;
    let directory = match &function.directory {
        Some(directory) => directory.clone(),
        None => PathBuf::new(),
    };
    let own = function.environment.get("PATH").map(OsString::from);
    let found = if program.contains('/') {
        let file = directory.join(program);
        if !file.exists() {
            return Some(format!("there is no program {}", file.display()));
        }
        is_program(&file).then_some(file)
    } else {
        let places = own.or(path).unwrap_or_default();
        let mut places =
            std::env::split_paths(&places).map(|place| directory.join(place).join(program));
        let Some(found) = places.find(|file| is_program(file)) else {
            return Some(format!(
                "the program `{program}` is not in PATH: install it, or name it with its whole path"
            ));
        };
        Some(found)
    };
    if found.is_none() {
        let file = directory.join(program);
        return Some(format!(
            "{} may not be executed: run `chmod +x {}`, or put its interpreter before it",
            file.display(),
            file.display()
        ));
    }
    // The script of an interpreter is the first word that is not an option.
    let words = function.command.iter().skip(1);
    let script = words
        .take_while(|word| *word != "-m" && *word != "-c" && *word != "-e")
        .find(|word| !word.starts_with('-'))?;
    let is_script = Path::new(script)
        .extension()
        .is_some_and(|end| SCRIPTS.iter().any(|known| end == *known));
    let file = directory.join(script);
    (is_script && !file.exists()).then(|| format!("there is no file {}", file.display()))
}

fn is_program(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_run_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, mode: u32| {
            let path = directory.path().join(name);
            std::fs::write(&path, "").expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        file("resize.py", 0o644);
        file("run", 0o755);
        let problem = |command: &[&str]| {
            let function = Function {
                command: command.iter().map(|word| (*word).to_owned()).collect(),
                directory: Some(directory.path().to_owned()),
                ..Function::default()
            };
            super::problem(&function, Some(directory.path().into()))
        };
        for command in [
            &["run"][..],
            &["./run"],
            &["run", "resize.py"],
            &["run", "-u", "resize.py"],
            &["run", "-m", "missing.py"],
            &["run", "handler.main"],
            &[],
        ] {
            assert_eq!(problem(command), None, "{command:?}");
        }
        for (command, said) in [
            (&["no-such-program"][..], "`no-such-program` is not in PATH"),
            (&["./missing"], "there is no program "),
            (&["./resize.py"], "may not be executed: run `chmod +x "),
            (&["resize.py"], "is not in PATH"),
            (&["run", "missing.py"], "there is no file "),
            (&["run", "-u", "missing.js"], "there is no file "),
        ] {
            let found = problem(command).expect(said);
            assert!(found.contains(said), "{command:?}: {found}");
        }
    }
}
