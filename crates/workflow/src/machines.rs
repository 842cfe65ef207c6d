//! The directory of state machines: `NAME.asl.json`, with `NAME.input.schema.json` beside it when inputs are checked. It reports every
//! problem of every file, and it does not watch the directory. Files that systems and editors leave there are not definitions: hidden ones, links
//! that lead nowhere, and whatever is no file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::arn::function_name;
use crate::supported::supports;
use asl::{Diagnostic, Severity, StateMachine, StepPlan};
use sha2::{Digest, Sha256};

/// The end of a definition's file name.
const DEFINITION: &str = ".asl.json";
/// The end of a schema's file name.
const INPUT_SCHEMA: &str = ".input.schema.json";

/// A state machine that can be started.
#[derive(Debug)]
pub struct Machine {
    name: Arc<str>,
    definition: Arc<str>,
    hash: [u8; 32],
    parsed: Arc<StateMachine>,
    input_schema: Option<Arc<str>>,
}

impl Machine {
    /// Reads a definition.
    ///
    /// # Errors
    /// Every problem of the definition.
    pub fn parse(
        name: &str,
        definition: Arc<str>,
        input_schema: Option<Arc<str>>,
    ) -> Result<Machine, Vec<Diagnostic>> {
        let parsed = Arc::new(StateMachine::parse(&definition)?);
        let mut problems = parsed.unsupported(supports);
        if !problems.is_empty() {
            problems.extend_from_slice(parsed.warnings());
            return Err(problems);
        }
        Ok(Machine {
            name: name.into(),
            hash: hash(&definition),
            definition,
            parsed,
            input_schema,
        })
    }

    /// One whose definition was looked at before.
    pub(crate) fn known(
        name: &str,
        definition: Arc<str>,
        hash: [u8; 32],
        parsed: Arc<StateMachine>,
    ) -> Machine {
        Machine {
            name: name.into(),
            definition,
            hash,
            parsed,
            input_schema: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its definition's text.
    #[must_use]
    pub fn definition(&self) -> &Arc<str> {
        &self.definition
    }

    /// The definition's `Comment`.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.parsed.comment()
    }

    /// Its top-level states that do work, in order.
    #[must_use]
    pub fn steps(&self) -> &[StepPlan] {
        self.parsed.steps()
    }

    /// The JSON Schema of its input, JSON.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Arc<str>> {
        self.input_schema.as_ref()
    }

    /// The names of the functions that its Task states name in so many words, each with its place.
    #[must_use]
    pub fn functions(&self) -> Vec<(String, String)> {
        let functions = self.parsed.functions().into_iter();
        functions
            .map(|(at, name)| (at, function_name(&name).to_owned()))
            .collect()
    }

    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub(crate) fn parsed(&self) -> &Arc<StateMachine> {
        &self.parsed
    }
}

/// What names a definition's text in the journal.
pub(crate) fn hash(definition: &str) -> [u8; 32] {
    Sha256::digest(definition.as_bytes()).into()
}

/// State machines by name.
#[derive(Clone, Debug, Default)]
pub struct Machines(BTreeMap<Arc<str>, Arc<Machine>>);

impl Machines {
    /// Reads a directory. One that is not there has no state machines.
    ///
    /// # Errors
    /// [`MachinesError`], with every problem of every file.
    pub fn load(directory: &Path) -> Result<Machines, MachinesError> {
        let (mut machines, mut problems) = (Machines::default(), Vec::new());
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
        self.0.insert(machine.name.clone(), Arc::new(machine));
    }

    /// Adds all of another directory, each in the place of one of the same name.
    pub fn extend(&mut self, others: Machines) {
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
    /// The schemas of those that can be read: the file and its text. Whether they are JSON Schemas is not checked here.
    pub schemas: Vec<(PathBuf, Arc<str>)>,
}

/// The definitions of a directory with their names, in order. One that is not there has none.
fn definitions(directory: &Path) -> Result<Vec<(PathBuf, String)>, Box<Problem>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Box::new(Problem::of_file(directory, &error))),
    };
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.strip_suffix(DEFINITION)?;
        let hidden = name.is_empty() || name.starts_with(['.', '#']);
        // Follows links.
        let ignored = match std::fs::metadata(&path) {
            _ if hidden => true,
            Ok(about) => !about.is_file(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), "a link that leads nowhere is no state machine");
                true
            }
            // To be named as what it is when it is read.
            Err(_) => false,
        };
        (!ignored).then(|| (path.clone(), name.to_owned()))
    });
    let mut files: Vec<_> = named.collect();
    files.sort();
    Ok(files)
}

fn schema_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{INPUT_SCHEMA}"))
}

/// The text of a definition, and of its schema where it has one.
type Texts = (Arc<str>, Option<Arc<str>>);

fn texts(directory: &Path, file: &Path, name: &str) -> Result<Texts, Box<Problem>> {
    let failed = |file: &Path, error: &dyn fmt::Display| Box::new(Problem::of_file(file, error));
    let text = read_text(file).map_err(|error| failed(file, &error))?;
    let schema_file = schema_file(directory, name);
    let schema = match read_text(&schema_file) {
        Ok(schema) => {
            let schema = json::check(&schema).map_err(|refused| failed(&schema_file, &refused))?;
            Some(schema.into())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => None,
        Err(error) => return Err(failed(&schema_file, &error)),
    };
    Ok((text.into(), schema))
}

/// A text file, in UTF-8, without the byte order mark that some editors write at its beginning.
///
/// # Errors
/// It cannot be read, or is in another encoding; the error says which one it looks like.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    decode_text(std::fs::read(path)?)
}

/// As [`read_text`], for bytes that came otherwise.
///
/// # Errors
/// They are in another encoding.
pub fn decode_text(bytes: Vec<u8>) -> std::io::Result<String> {
    let invalid = |said: String| std::io::Error::new(std::io::ErrorKind::InvalidData, said);
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, 0, ..] | [_, 0, _, 0, ..] = bytes[..] {
        return Err(invalid("it is UTF-16: save it as UTF-8".to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let before = &bytes[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(format!("it is not UTF-8 in line {line}: save it as UTF-8"))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
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

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The innermost state that it is in.
    pub state: Option<String>,
    /// The field as AWS names it, such as `/States/A/Choices[0]/Next`; empty for the whole file.
    pub field: String,
    /// Line and column from 1, where the file is not JSON.
    pub position: Option<(usize, usize)>,
    /// How bad it is.
    pub severity: Severity,
    /// A stable code, as in AWS's `ValidateStateMachineDefinition`; empty for the whole file.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// The whole file cannot be used.
    pub fn of_file(file: &Path, error: &dyn fmt::Display) -> Problem {
        Problem {
            file: file.to_owned(),
            state: None,
            field: String::new(),
            position: None,
            severity: Severity::Error,
            code: "",
            message: error.to_string(),
            hint: None,
        }
    }

    fn new(file: &Path, diagnostic: &Diagnostic) -> Problem {
        Problem {
            file: file.to_owned(),
            state: diagnostic.state.clone(),
            field: diagnostic.location.clone(),
            position: diagnostic.position,
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(state) = &self.state {
            write!(f, ": state `{state}`")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        if let Some((line, column)) = self.position {
            write!(f, ": line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Some state machines cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MachinesError(pub Vec<Problem>);

impl fmt::Display for MachinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the state machines have a problem:")?,
            count => write!(f, "the state machines have {count} problems:")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_that_are_named_in_so_many_words() {
        let task = |resource: &str, more: &str| {
            format!(r#"{{"Type":"Task","Resource":"{resource}",{more}"End":true}}"#)
        };
        let invoke = "arn:aws:states:::lambda:invoke";
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:two:live";
        let definition = format!(
            r#"{{"StartAt":"P","States":{{"P":{{"Type":"Parallel","End":true,"Branches":[
                {{"StartAt":"A","States":{{"A":{}}}}},
                {{"StartAt":"B","States":{{"B":{}}}}},
                {{"StartAt":"C/D","States":{{"C/D":{}}}}},
                {{"StartAt":"E","States":{{"E":{}}}}},
                {{"StartAt":"F","States":{{"F":{}}}}},
                {{"StartAt":"G","States":{{"G":{}}}}}]}}}}}}"#,
            task("one", ""),
            task(arn, ""),
            task(invoke, r#""Parameters":{"FunctionName":"three:$LATEST"},"#),
            task(invoke, r#""Parameters":{"FunctionName.$":"$.name"},"#),
            task(
                invoke,
                r#""QueryLanguage":"JSONata","Arguments":{"FunctionName":"four"},"#
            ),
            task(
                invoke,
                r#""QueryLanguage":"JSONata","Arguments":{"FunctionName":"{% $states.input.name %}"},"#
            ),
        );
        let machine = Machine::parse("m", definition.into(), None).unwrap();
        let branch = |n: usize, rest: &str| format!("/States/P/Branches[{n}]/States/{rest}");
        let expected = [
            (branch(0, "A/Resource"), "one"),
            (branch(1, "B/Resource"), "two"),
            (branch(2, "C/D/Parameters/FunctionName"), "three"),
            (branch(4, "F/Arguments/FunctionName"), "four"),
        ];
        assert_eq!(
            machine.functions(),
            expected.map(|(at, name)| (at, name.to_owned()))
        );
    }

    #[test]
    fn every_problem_of_every_file_is_named_with_its_place() {
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
    fn what_a_deployment_tool_will_fill_is_a_warning() {
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
    fn what_systems_and_editors_leave_is_no_state_machine() {
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
    fn texts_come_as_editors_save_them() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        for text in ["{}", "{\r\n}\r\n", ""] {
            assert_eq!(decode_text(text.into()).unwrap(), text);
            assert_eq!(decode_text(format!("\u{feff}{text}").into()).unwrap(), text);
        }
        for bytes in [
            utf16("\u{feff}{}", true),
            utf16("\u{feff}{}", false),
            utf16("{ }", true),
            utf16("{ }", false),
        ] {
            let error = decode_text(bytes).unwrap_err().to_string();
            assert!(error.contains("UTF-16"), "{error}");
        }
        let error = decode_text(b"{\n\xe9}".to_vec()).unwrap_err().to_string();
        assert!(error.contains("not UTF-8 in line 2"), "{error}");
    }

    #[test]
    fn a_schema_belongs_to_its_definition() {
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
