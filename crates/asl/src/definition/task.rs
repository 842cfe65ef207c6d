//! The fields of a Task: its resource, time limits and credentials.

use serde_json::{Map, Value};

use super::model::{Language, TaskState};
use super::reader::DefinitionReader;
use super::values::{object, text};
use crate::expression::Known;
use crate::substitution::{has_placeholder, is_placeholder};
use crate::{Pattern, Resource, WorkflowType};

/// The required fields of the request to an optimized integration, by service and action.
const REQUIRED: [(&str, &str, &[&str]); 19] = [
    ("apigateway", "invoke", &["ApiEndpoint", "Method"]),
    ("athena", "startQueryExecution", &["QueryString"]),
    (
        "batch",
        "submitJob",
        &["JobName", "JobDefinition", "JobQueue"],
    ),
    ("codebuild", "startBuild", &["ProjectName"]),
    ("dynamodb", "getItem", &["TableName", "Key"]),
    ("dynamodb", "putItem", &["TableName", "Item"]),
    ("dynamodb", "deleteItem", &["TableName", "Key"]),
    ("dynamodb", "updateItem", &["TableName", "Key"]),
    ("ecs", "runTask", &["TaskDefinition"]),
    ("events", "putEvents", &["Entries"]),
    ("glue", "startJobRun", &["JobName"]),
    ("http", "invoke", &["ApiEndpoint", "Method"]),
    ("lambda", "invoke", &["FunctionName"]),
    ("s3", "getObject", &["Bucket", "Key"]),
    ("s3", "listObjectsV2", &["Bucket"]),
    ("s3", "putObject", &["Bucket"]),
    ("sns", "publish", &["Message"]),
    ("sqs", "sendMessage", &["QueueUrl", "MessageBody"]),
    ("states", "startExecution", &["StateMachineArn"]),
];

impl DefinitionReader {
    pub(super) fn task(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<TaskState> {
        let timeout = self.number(map, "TimeoutSeconds", "TimeoutSecondsPath", at, language);
        let heartbeat = self.number(
            map,
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            at,
            language,
        );
        if let (Some(timeout), Some(heartbeat)) = (
            map.get("TimeoutSeconds").and_then(Value::as_f64),
            map.get("HeartbeatSeconds").and_then(Value::as_f64),
        ) && timeout >= 1.0
            && heartbeat >= timeout
        {
            self.bad(
                &format!("{at}/HeartbeatSeconds"),
                "HeartbeatSeconds must be smaller than TimeoutSeconds",
            );
        }
        let arn = text(map, "Resource")?;
        let here = format!("{at}/Resource");
        let Some(resource) = Resource::parse(&arn) else {
            self.bad(&here, format!("The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."));
            return None;
        };
        let credentials = object(map, "Credentials").and_then(|credentials| {
            self.credentials(
                credentials,
                &resource,
                &format!("{at}/Credentials"),
                language,
            );
            self.template(map, "Credentials", at, language, Known::BEFORE)
        });
        self.of_the_type(&resource, &here);
        if !has_placeholder(&arn) {
            self.request(map, &resource, &arn, at, language);
        }
        Some(TaskState {
            resource,
            arn,
            timeout,
            heartbeat,
            credentials,
        })
    }

    fn credentials(
        &mut self,
        credentials: &Map<String, Value>,
        resource: &Resource,
        at: &str,
        language: Language,
    ) {
        if matches!(resource, Resource::Activity { .. }) {
            self.bad(
                at,
                "The field 'Credentials' is not supported for activities",
            );
        }
        // Only JSONPath has the suffix for a selected value.
        let selected = language == Language::JsonPath && credentials.contains_key("RoleArn.$");
        if !credentials.contains_key("RoleArn") && !selected {
            self.bad(at, "The field 'RoleArn' is required but was missing");
        }
        if let Some(role) = credentials.get("RoleArn")
            && !role.is_string()
            && !is_placeholder(role)
        {
            self.bad(&format!("{at}/RoleArn"), "Expected value of type String");
        }
    }

    /// Refuses integration patterns that an Express machine cannot wait for.
    fn of_the_type(&mut self, resource: &Resource, at: &str) {
        let waits = match resource {
            Resource::Activity { .. } => "Activity ARN",
            Resource::Service { pattern, .. } => match pattern {
                Pattern::RequestResponse => return,
                Pattern::WaitForTaskToken => "'.waitForTaskToken' service integration ",
                Pattern::Sync => "'.sync' service integration ",
                Pattern::Sync2 => "'.sync:2' service integration ",
            },
            Resource::Lambda { .. } => return,
        };
        if self.workflow_type == WorkflowType::Express {
            self.bad(
                at,
                format!("Express state machine does not support {waits}"),
            );
        }
    }

    /// Reports required fields that are missing from the request to a service.
    pub(super) fn request(
        &mut self,
        map: &Map<String, Value>,
        resource: &Resource,
        arn: &str,
        at: &str,
        language: Language,
    ) {
        let Resource::Service {
            service, action, ..
        } = resource
        else {
            return;
        };
        let field = match language {
            Language::JsonPath => "Parameters",
            Language::Jsonata => "Arguments",
        };
        let Some(request) = map.get(field) else {
            return self.bad(
                at,
                format!("{field} field is required for resource ARN: {arn}"),
            );
        };
        let required = REQUIRED
            .iter()
            .find(|(of, call, _)| of == service && call == action);
        let Some(request) = request.as_object().filter(|_| !is_placeholder(request)) else {
            return;
        };
        for name in required.map_or(&[][..], |(_, _, names)| *names) {
            let dynamic = format!("{name}.$");
            let there = request.keys().any(|key| key == name || *key == dynamic);
            // A placeholder may be any field.
            if !there && !request.keys().any(|key| has_placeholder(key)) {
                self.bad(
                    &format!("{at}/{field}"),
                    format!("The field '{name}' is required but was missing"),
                );
            }
        }
    }
}
