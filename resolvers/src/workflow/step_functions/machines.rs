//! Compares the state machines of the account with the files of the job types.

use std::fmt;

use serde_json::Value;

use super::StepFunctionsWorkflow;
use crate::workflow::WorkflowError;

/// A job type whose state machine is not as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineReport {
    /// The job type.
    pub job_type: String,
    /// The address of its state machine.
    pub arn: String,
    /// The difference.
    pub problem: MachineProblem,
}

/// The difference between a state machine and its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineProblem {
    /// There is no state machine.
    Missing,
    /// The states differ.
    OtherDefinition,
}

impl fmt::Display for MachineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job_type, arn) = (&self.job_type, &self.arn);
        match self.problem {
            MachineProblem::Missing => write!(
                f,
                "job type `{job_type}` has no state machine {arn}: deploy it, or correct the account, region and prefix of state_machine_arn_prefix"
            ),
            MachineProblem::OtherDefinition => write!(
                f,
                "state machine {arn} has other states than the file of job type `{job_type}`, so steps may not show: deploy the file, or take the deployed definition"
            ),
        }
    }
}

impl StepFunctionsWorkflow {
    /// The job types whose state machines are missing or have other states than their files. Calls
    /// `DescribeStateMachine` once for each.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`]: no service, or no permission.
    pub async fn check_machines(&self) -> Result<Vec<MachineReport>, WorkflowError> {
        let mut reports = Vec::new();
        for job_type in &self.shared.job_types {
            let arn = self.shared.machine_arn(&job_type.name);
            let problem = match self.shared.calls.definition(&arn).await? {
                None => Some(MachineProblem::Missing),
                Some(found) if outline(&found) != outline(&job_type.definition) => {
                    Some(MachineProblem::OtherDefinition)
                }
                Some(_) => None,
            };
            let job_type = job_type.name.clone();
            reports.extend(problem.map(|problem| MachineReport {
                job_type,
                arn,
                problem,
            }));
        }
        Ok(reports)
    }
}

/// A definition without the account and the prefix of its functions, which a deployment sets: the
/// part of each ARN after its service differs between a file and its deployed copy.
fn outline(definition: &str) -> Option<Value> {
    let mut root: Value = json::read(definition).ok()?;
    json::with_room(|| without_accounts(&mut root));
    Some(root)
}

fn without_accounts(value: &mut Value) {
    match value {
        Value::String(text) => {
            let mut parts = text.splitn(6, ':');
            let is_arn = parts.next() == Some("arn");
            let service = parts.nth(1);
            // Without an account it names an integration, which is equal everywhere.
            let account = parts.nth(1).unwrap_or_default();
            if let (true, Some(service), false) = (is_arn, service, account.is_empty()) {
                *text = format!("arn:{service}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_accounts),
        Value::Object(fields) => fields.values_mut().for_each(without_accounts),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accounts_and_prefixes_may_differ() {
        let machine = |resource: &str| {
            format!(
                r#"{{"StartAt":"A","States":{{"A":{{"Type":"Task","Resource":"{resource}","End":true}}}}}}"#
            )
        };
        let file = outline(&machine(
            "arn:aws:lambda:us-east-1:000000000000:function:resize",
        ));
        let deployed = outline(&machine(
            "arn:aws:lambda:eu-west-1:123456789012:function:my-resize",
        ));
        assert!(file.is_some() && file == deployed);
        let other = outline(&machine("arn:aws:states:::lambda:invoke"));
        assert_ne!(file, other);
        assert_ne!(
            other,
            outline(&machine("arn:aws:states:::lambda:invoke.waitForTaskToken"))
        );
    }
}
