//! State machines for one account: every name of a function, an activity or another state machine
//! gets its account, its region and its prefix, and a template deploys all of them.
//!
//! The files of a repository name functions as `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, or as
//! `NAME` in `FunctionName`, with any region and account.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{MACHINES, Options, PACKAGES, emptied, files, write};

/// The options of the task.
pub(crate) const OPTIONS: &[&str] = &[
    "account",
    "region",
    "prefix",
    "function-prefix",
    "from",
    "partition",
];
/// Maximum length of the name of a state machine at Step Functions.
const NAME_CHARACTERS: usize = 80;

/// The names of one deployment.
pub(crate) struct Names<'a> {
    pub(crate) partition: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    /// Before the names of state machines and activities.
    pub(crate) prefix: &'a str,
    /// Before the names of functions.
    pub(crate) function_prefix: &'a str,
}

/// Writes `target/infra/state-machines/*.asl.json` and `target/infra/machines.yaml`.
///
/// # Errors
/// Says which file or option is wrong.
pub(crate) fn package(arguments: &[&str]) -> Result<(), String> {
    let options = Options::read(arguments, OPTIONS)?;
    let names = Names {
        partition: options.or("partition", "aws"),
        account: options.required("account")?,
        region: options.required("region")?,
        prefix: options.or("prefix", "jobcast-"),
        function_prefix: options.or("function-prefix", "jobcast-job-"),
    };
    if names.account.len() != 12 || !names.account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("--account {} is not 12 digits", names.account));
    }
    let target = Path::new(PACKAGES).join("state-machines");
    emptied(&target)?;
    let machines = files(Path::new(options.or("from", MACHINES)), ".asl.json")?;
    for (name, path) in &machines {
        let shown = path.display();
        let length = names.prefix.len() + name.len();
        if length > NAME_CHARACTERS {
            return Err(format!(
                "{shown}: {}{name} has {length} characters, and the limit of Step Functions is {NAME_CHARACTERS}: choose a shorter --prefix",
                names.prefix
            ));
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        let definition =
            serde_json::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
        let renamed = renamed(definition, &names);
        let text = serde_json::to_string_pretty(&renamed).expect("JSON is written as JSON");
        write(&target.join(format!("{name}.asl.json")), &text)?;
    }
    let list: Vec<_> = machines.into_iter().map(|(name, _)| name).collect();
    let template = Path::new(PACKAGES).join("machines.yaml");
    write(&template, &self::template(&list, names.prefix))?;
    println!(
        "{}: {} state machines for account {} in {}",
        template.display(),
        list.len(),
        names.account,
        names.region
    );
    Ok(())
}

/// The same definition with the names of this deployment.
pub(crate) fn renamed(definition: Value, names: &Names<'_>) -> Value {
    match definition {
        Value::String(text) => Value::String(arn(&text, names).unwrap_or(text)),
        Value::Array(values) => values
            .into_iter()
            .map(|value| renamed(value, names))
            .collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let value = match value {
                    Value::String(name) if key == "FunctionName" && is_name(&name) => {
                        format!("{}{name}", names.function_prefix).into()
                    }
                    other => renamed(other, names),
                };
                (key, value)
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// A function's own name, which is neither an ARN nor an expression.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.bytes().all(is_part)
}

/// The ARN of this deployment for one of a resource that belongs to it. Integrations
/// (`arn:aws:states:::…`) have no region, and stay as they are.
fn arn(text: &str, names: &Names<'_>) -> Option<String> {
    let Names {
        partition,
        account,
        region,
        prefix,
        function_prefix,
    } = names;
    let mut parts = text.splitn(6, ':');
    let (arn, _, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (old_region, _, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if arn != "arn" || old_region.is_empty() {
        return None;
    }
    let resource = match service {
        "lambda" => {
            let name = resource.strip_prefix("function:")?;
            format!("function:{function_prefix}{name}")
        }
        "states" => {
            let (kind, name) = resource.split_once(':')?;
            format!("{kind}:{prefix}{name}")
        }
        _ => return None,
    };
    Some(format!(
        "arn:{partition}:{service}:{region}:{account}:{resource}"
    ))
}

/// A template with one Standard state machine for each name.
pub(crate) fn template(machines: &[String], prefix: &str) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask package-machines`; serverless.yaml nests it.\n\
         AWSTemplateFormatVersion: \"2010-09-09\"\n\
         Description: Jobcast - state machines\n\
         \n\
         Metadata:\n  cfn-lint:\n    config:\n      ignore_checks:\n        \
         # The definitions are files until this template is packaged.\n        - W3002\n\
         \n\
         Parameters:\n  RoleArn:\n    Type: String\n  LogGroupArn:\n    Type: String\n\
         \n\
         Resources:\n",
    );
    for (number, name) in machines.iter().enumerate() {
        text.push_str(&format!(
            "  Machine{number}:\n    \
               Type: AWS::StepFunctions::StateMachine\n    \
               Properties:\n      \
                 StateMachineName: {prefix}{name}\n      \
                 StateMachineType: STANDARD\n      \
                 RoleArn: !Ref RoleArn\n      \
                 DefinitionS3Location: state-machines/{name}.asl.json\n      \
                 TracingConfiguration:\n        Enabled: true\n      \
                 LoggingConfiguration:\n        \
                   Level: ALL\n        \
                   IncludeExecutionData: false\n        \
                   Destinations:\n          \
                     - CloudWatchLogsLogGroup:\n              LogGroupArn: !Ref LogGroupArn\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: Names<'static> = Names {
        partition: "aws",
        account: "000000000001",
        region: "eu-west-1",
        prefix: "live-",
        function_prefix: "live-job-",
    };

    #[test]
    fn functions_machines_and_activities_get_the_names_of_the_deployment() {
        for (before, after) in [
            (
                json!("arn:aws:lambda:us-east-1:123456789012:function:greet:PROD"),
                json!("arn:aws:lambda:eu-west-1:000000000001:function:live-job-greet:PROD"),
            ),
            (
                json!({"FunctionName": "greet", "Payload": {"FunctionName.$": "$.name"}}),
                json!({"FunctionName": "live-job-greet", "Payload": {"FunctionName.$": "$.name"}}),
            ),
            (
                json!({"StateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:other"}),
                json!({"StateMachineArn": "arn:aws:states:eu-west-1:000000000001:stateMachine:live-other"}),
            ),
            (
                json!("arn:aws:states:us-east-1:123456789012:activity:work"),
                json!("arn:aws:states:eu-west-1:000000000001:activity:live-work"),
            ),
        ] {
            assert_eq!(renamed(before, &NAMES), after);
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "arn:aws:sns:us-east-1:123456789012:topic",
            "{% 'arn:aws:lambda:us-east-1:123456789012:function:' & $name %}",
            "greet",
        ] {
            assert_eq!(renamed(json!([text]), &NAMES), json!([text]));
        }
        let expression = json!({"FunctionName": "{% $name %}"});
        assert_eq!(renamed(expression.clone(), &NAMES), expression);
    }
}
