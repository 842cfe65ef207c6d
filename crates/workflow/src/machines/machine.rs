//! One state machine: its definition, read and checked.

use std::sync::Arc;

use asl::{Diagnostic, StateMachine, StepPlan};
use sha2::{Digest, Sha256};

use crate::arn::function_name;
use crate::supported::supports;

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
    ) -> Result<Self, Vec<Diagnostic>> {
        let parsed = Arc::new(StateMachine::parse(&definition)?);
        let mut problems = parsed.unsupported(supports);
        if !problems.is_empty() {
            problems.extend_from_slice(parsed.warnings());
            return Err(problems);
        }
        Ok(Self {
            name: name.into(),
            hash: hash(&definition),
            definition,
            parsed,
            input_schema,
        })
    }

    /// A state machine whose definition was checked before.
    pub(crate) fn known(
        name: &str,
        definition: Arc<str>,
        hash: [u8; 32],
        parsed: Arc<StateMachine>,
    ) -> Self {
        Self {
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

    /// The functions that its Task states name literally: the location of the name, and the name.
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

/// The hash by which the journal refers to a definition's text.
pub(crate) fn hash(definition: &str) -> [u8; 32] {
    Sha256::digest(definition.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_that_task_states_name_literally() {
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
}
