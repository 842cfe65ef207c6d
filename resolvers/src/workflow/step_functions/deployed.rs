//! Whether the state machines at AWS are those of the files, for the start of a node. A node that
//! shows the steps of another definition, or whose jobs cannot start, says so before the first job.
//!
//! A deployed definition may name functions and other resources of its account and region,
//! with a prefix before their names.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{AdapterState, StepFunctionsWorkflow};
use crate::workflow::{JobType, WorkflowError};

/// Maximum number of state machines that are described at a time.
const AT_ONCE: usize = 4;

impl StepFunctionsWorkflow {
    /// What is wrong with the deployed state machines: for each job type one sentence with what to
    /// do, if its state machine is missing or has another definition than its file.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`] if they cannot be read.
    pub async fn check_machines(&self) -> Result<Vec<String>, WorkflowError> {
        let checks = self.shared.job_types.iter().cloned();
        let checks = checks.map(|job_type| check(Arc::clone(&self.shared), job_type));
        let checked: Vec<_> = stream::iter(checks).buffered(AT_ONCE).collect().await;
        let checked: Result<Vec<Option<String>>, WorkflowError> = checked.into_iter().collect();
        Ok(checked?.into_iter().flatten().collect())
    }
}

/// What is wrong with the state machine of a job type.
async fn check(
    shared: Arc<AdapterState>,
    job_type: Arc<JobType>,
) -> Result<Option<String>, WorkflowError> {
    let name = &job_type.name;
    let arn = shared.machine_arn(name);
    let Some(found) = shared.calls.definition(&arn).await? else {
        return Ok(Some(format!(
            "there is no state machine {arn} for {name}.asl.json, so jobs of the type {name} fail: deploy it, or check state_machine_arn_prefix of [aws], its region and its account"
        )));
    };
    Ok(difference(&job_type.definition, &found).map(|place| {
        format!(
            "the state machine {arn} differs from {name}.asl.json at {place}: deploy the file, or update it on this node"
        )
    }))
}

/// The JSON pointer of the first difference between the definition of a file and a deployed one.
fn difference(file: &str, deployed: &str) -> Option<String> {
    let (Ok(file), Ok(deployed)) = (json::read(file), json::read(deployed)) else {
        return (file != deployed).then(|| "/".to_owned());
    };
    let mut place = String::new();
    (!is_same(&file, &deployed, &mut place)).then_some(place)
}

/// Whether the values are equal, apart from comments and from the places of resources. Otherwise
/// `place` is the pointer of the first difference.
fn is_same(file: &Value, deployed: &Value, place: &mut String) -> bool {
    let before = place.len();
    match (file, deployed) {
        (Value::Object(file), Value::Object(deployed)) => {
            let names = file
                .keys()
                .chain(deployed.keys().filter(|name| !file.contains_key(*name)));
            for name in names.filter(|name| *name != "Comment") {
                place.push('/');
                place.push_str(name);
                let both = file.get(name).zip(deployed.get(name));
                if !both.is_some_and(|(file, deployed)| is_same(file, deployed, place)) {
                    return false;
                }
                place.truncate(before);
            }
            true
        }
        (Value::Array(file), Value::Array(deployed)) if file.len() == deployed.len() => {
            for (at, (file, deployed)) in file.iter().zip(deployed).enumerate() {
                place.push_str(&format!("/{at}"));
                if !is_same(file, deployed, place) {
                    return false;
                }
                place.truncate(before);
            }
            true
        }
        (Value::String(file), Value::String(deployed)) => {
            file == deployed || (is_resource(file, place) && is_named_like(file, deployed))
        }
        (file, deployed) => file == deployed,
    }
}

/// Whether a text names a resource whose place differs between accounts.
fn is_resource(text: &str, place: &str) -> bool {
    text.starts_with("arn:") || place.ends_with("/FunctionName")
}

/// Whether a deployed resource has the name of the file's one, perhaps with a prefix.
fn is_named_like(file: &str, deployed: &str) -> bool {
    let name = file.rsplit([':', '/']).next().unwrap_or(file);
    let deployed = deployed.strip_suffix(":$LATEST").unwrap_or(deployed);
    !name.is_empty() && deployed.ends_with(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(resource: &str, function: &str, seconds: u32) -> String {
        json!({ "Comment": resource, "StartAt": "A", "States": {
            "A": { "Type": "Task", "Resource": resource, "Next": "B" },
            "B": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": { "FunctionName": function }, "Next": "C" },
            "C": { "Type": "Wait", "Seconds": seconds, "End": true } } })
        .to_string()
    }

    #[test]
    fn a_deployed_copy_differs_only_in_the_places_of_its_resources() {
        let file = definition(
            "arn:aws:lambda:us-east-1:000000000000:function:resize",
            "send",
            1,
        );
        let copy = definition(
            "arn:aws:lambda:eu-west-1:123456789012:function:jobcast-resize",
            "arn:aws:lambda:eu-west-1:123456789012:function:jobcast-send",
            1,
        );
        assert_eq!(difference(&file, &copy), None);
        let other = definition(
            "arn:aws:lambda:us-east-1:000000000000:function:crop",
            "send",
            1,
        );
        assert_eq!(
            difference(&file, &other).as_deref(),
            Some("/States/A/Resource")
        );
        let slower = definition(
            "arn:aws:lambda:us-east-1:000000000000:function:resize",
            "send",
            2,
        );
        assert_eq!(
            difference(&file, &slower).as_deref(),
            Some("/States/C/Seconds")
        );
    }

    #[test]
    fn a_state_more_or_less_is_a_difference() {
        let one = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}"#;
        let two = r#"{"StartAt":"A","States":{"A":{"Type":"Succeed"},"B":{"Type":"Succeed"}}}"#;
        assert_eq!(difference(one, two).as_deref(), Some("/States/B"));
        assert_eq!(difference(two, one).as_deref(), Some("/States/B"));
        assert_eq!(difference(one, "{").as_deref(), Some("/"));
    }
}
