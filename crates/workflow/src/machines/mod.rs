//! The directory of state machines: `NAME.asl.json`, and `NAME.input.schema.json` beside it when
//! inputs are checked. Every problem of every file is reported. The directory is not watched. Files
//! that systems and editors leave there are ignored: hidden ones, links to missing files, and
//! anything that is not a file.

mod files;
mod machine;
mod problem;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asl::{Severity, StateMachine};

pub use self::files::{decode_text, read_text};
use self::files::{definitions, schema_file, texts};
pub use self::machine::Machine;
pub(crate) use self::machine::hash;
pub use self::problem::{MachinesError, Problem};
use crate::supported::supports;

/// State machines by name.
#[derive(Clone, Debug, Default)]
pub struct Machines(BTreeMap<Arc<str>, Arc<Machine>>);

impl Machines {
    /// Reads a directory. One that is not there has no state machines.
    ///
    /// # Errors
    /// [`MachinesError`], with every problem of every file.
    pub fn load(directory: &Path) -> Result<Self, MachinesError> {
        let (mut machines, mut problems) = (Self::default(), Vec::new());
        for (file, name) in
            definitions(directory).map_err(|problem| MachinesError(vec![*problem]))?
        {
            match read(directory, &file, &name) {
                Ok(machine) => machines.insert(machine),
                Err(found) => problems.extend(found),
            }
        }
        problems.retain(|problem| problem.severity == Severity::Error);
        if problems.is_empty() {
            Ok(machines)
        } else {
            Err(MachinesError(problems))
        }
    }

    /// Every problem of a directory, warnings too.
    #[must_use]
    pub fn check(directory: &Path) -> Checked {
        let mut checked = Checked::default();
        let files = definitions(directory).unwrap_or_else(|problem| {
            checked.problems.push(*problem);
            Vec::new()
        });
        checked.files = files.len();
        for (file, name) in &files {
            match texts(directory, file, name) {
                Ok((definition, schema)) => {
                    let mut found = asl::validate(&definition);
                    let parsed = StateMachine::parse(&definition).ok();
                    found.extend(
                        parsed
                            .iter()
                            .flat_map(|parsed| parsed.unsupported(supports)),
                    );
                    let problems = found.iter().map(|found| Problem::new(file, found));
                    checked.problems.extend(problems);
                    let schema = schema.map(|schema| (schema_file(directory, name), schema));
                    checked.schemas.extend(schema);
                }
                Err(problem) => checked.problems.push(*problem),
            }
        }
        checked
    }

    /// Adds a state machine, in the place of one of the same name.
    pub fn insert(&mut self, machine: Machine) {
        self.0.insert(Arc::clone(machine.name()), Arc::new(machine));
    }

    /// Adds all of another directory, each in the place of one of the same name.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The state machine with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Machine>> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Machine>> {
        self.0.values()
    }
}

/// What a check of a directory found.
#[derive(Debug, Default)]
pub struct Checked {
    /// How many definitions there are.
    pub files: usize,
    /// What is wrong with them.
    pub problems: Vec<Problem>,
    /// The schemas of those that can be read: the file and its text. Whether they are JSON Schemas
    /// is not checked here.
    pub schemas: Vec<(PathBuf, Arc<str>)>,
}

fn read(directory: &Path, file: &Path, name: &str) -> Result<Machine, Vec<Problem>> {
    let (text, schema) = texts(directory, file, name).map_err(|problem| vec![*problem])?;
    Machine::parse(name, text, schema).map_err(|diagnostics| {
        let problems = diagnostics.iter();
        problems
            .map(|diagnostic| Problem::new(file, diagnostic))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_every_file_is_reported_with_its_location() {
        let directory = tempfile::tempdir().unwrap();
        let file =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        file(
            "good.asl.json",
            r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#,
        );
        file(
            "bad.asl.json",
            r#"{"StartAt":"A","States":{"A/b":{"Type":"Wat"}}}"#,
        );
        file("worse.asl.json", "{");
        file("notes.txt", "no definition");
        let error = Machines::load(directory.path()).unwrap_err();
        let bad = error
            .0
            .iter()
            .find(|one| one.file.ends_with("bad.asl.json"))
            .unwrap();
        assert_eq!(bad.state.as_deref(), Some("A/b"));
        assert_eq!(bad.field, "/States/A/b/Type");
        assert!(
            error
                .0
                .iter()
                .any(|one| one.file.ends_with("worse.asl.json"))
        );
        assert!(error.to_string().contains("state `A/b`"), "{error}");
    }

    #[test]
    fn a_placeholder_of_a_deployment_tool_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"${SomeFunctionArn}","TimeoutSeconds":"${Seconds}","Next":"${Next}"},
            "B":{"Type":"Task","Resource":"arn:aws:states:::${Service}:${Action}","Parameters":{"a":"${A}"},"End":true}}}"#;
        std::fs::write(directory.path().join("a.asl.json"), definition).unwrap();
        let found = Machines::check(directory.path()).problems;
        let places: Vec<&str> = found.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            places,
            [
                "/States/A/Resource",
                "/States/A/TimeoutSeconds",
                "/States/A/Next",
                "/States/B/Resource",
                "/States/B/Parameters/a"
            ]
        );
        assert!(
            found
                .iter()
                .all(|one| one.severity == Severity::Warning
                    && one.code == "UNRESOLVED_SUBSTITUTION"),
            "{found:?}"
        );
        let machines = Machines::load(directory.path()).unwrap();
        assert!(machines.get("a").unwrap().functions().is_empty());
    }

    #[test]
    fn a_file_that_a_system_or_an_editor_leaves_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#;
        std::fs::write(path("greet.asl.json"), definition).unwrap();
        for left in [
            "._greet.asl.json",
            ".greet.asl.json",
            ".asl.json",
            ".DS_Store",
            "greet.asl.json~",
            "#greet.asl.json#",
            "#greet.asl.json",
            ".greet.asl.json.swp",
            "greet.asl.json.orig",
            "._greet.input.schema.json",
        ] {
            std::fs::write(path(left), b"\0\x05\x16\x07").unwrap();
        }
        std::os::unix::fs::symlink("me@host.1:2", path(".#greet.asl.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", path("gone.asl.json")).unwrap();
        std::os::unix::fs::symlink("greet.asl.json", path("linked.asl.json")).unwrap();
        std::fs::create_dir(path("folder.asl.json")).unwrap();
        std::fs::create_dir(path("greet.input.schema.json")).unwrap();
        let machines = Machines::load(directory.path()).unwrap();
        let names: Vec<&str> = machines.iter().map(|machine| &**machine.name()).collect();
        assert_eq!(names, ["greet", "linked"]);
        let checked = Machines::check(directory.path());
        assert_eq!((checked.files, checked.problems), (2, Vec::new()));
    }

    #[test]
    fn a_schema_is_read_with_its_definition() {
        let directory = tempfile::tempdir().unwrap();
        let file =
            |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        file(
            "a.asl.json",
            r#"{"Comment":"Does","StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#,
        );
        file("a.input.schema.json", r#"{"type":"object"}"#);
        let machines = Machines::load(directory.path()).unwrap();
        let machine = machines.get("a").unwrap();
        assert_eq!(machine.comment(), Some("Does"));
        assert_eq!(
            machine.input_schema().unwrap().as_ref(),
            r#"{"type":"object"}"#
        );
        file("a.input.schema.json", "{");
        assert!(Machines::load(directory.path()).is_err());
        assert!(
            Machines::load(&directory.path().join("none"))
                .unwrap()
                .iter()
                .next()
                .is_none()
        );
    }
}
