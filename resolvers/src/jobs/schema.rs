//! Checks inputs against the JSON Schema of their job type. Each schema is compiled once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Error;
use crate::workflow::JobType;

/// Maximum number of problems that are listed for one input.
const PROBLEMS: usize = 10;

#[derive(Default)]
pub(super) struct Schemas {
    /// By the text of the schema, so that a changed schema is compiled again.
    compiled: Mutex<HashMap<Arc<str>, Arc<jsonschema::Validator>>>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schemas")
    }
}

impl Schemas {
    /// Refuses an input that does not match. Without a schema every input matches.
    pub(super) fn check(&self, job_type: &JobType, input: &str) -> Result<(), Error> {
        let Some(text) = &job_type.input_schema else {
            return Ok(());
        };
        let refuse = |problems: Vec<String>| Error::InvalidInput {
            job_type: job_type.name.clone(),
            problems,
        };
        let validator = self
            .validator(text)
            .map_err(|problem| refuse(vec![problem]))?;
        let value = json::read(input).map_err(|refused| refuse(vec![refused.to_string()]))?;
        // A schema may refer to itself at each level of the input.
        let problems: Vec<String> = json::with_room(|| {
            let errors = validator.iter_errors(&value).take(PROBLEMS);
            let texts = errors.map(|error| match error.instance_path().to_string() {
                place if place.is_empty() => error.to_string(),
                place => format!("{place}: {error}"),
            });
            texts.collect()
        });
        if problems.is_empty() {
            return Ok(());
        }
        Err(refuse(problems))
    }

    fn validator(&self, text: &Arc<str>) -> Result<Arc<jsonschema::Validator>, String> {
        if let Some(compiled) = self.compiled.lock().get(text) {
            return Ok(Arc::clone(compiled));
        }
        let validator = Arc::new(compile(text)?);
        self.compiled
            .lock()
            .insert(Arc::clone(text), Arc::clone(&validator));
        Ok(validator)
    }
}

fn compile(text: &str) -> Result<jsonschema::Validator, String> {
    let bad = |error: &dyn fmt::Display| format!("the schema itself is not valid: {error}");
    let schema = json::read(text).map_err(|refused| bad(&format_args!("it is {refused}")))?;
    json::with_room(|| jsonschema::validator_for(&schema)).map_err(|error| bad(&error))
}

/// Checks that inputs can be checked against a JSON Schema.
///
/// # Errors
/// The error of the schema.
pub fn check_schema(text: &str) -> Result<(), String> {
    compile(text).map(drop)
}
