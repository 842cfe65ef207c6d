//! A Task's own fields: what it calls, for how long, in whose name.
use super::{
    MAX_SECONDS,
    model::{Language, TaskState},
    reader::Reader,
};
use crate::{Pattern, Resource, execution::Kind as Type};
use serde_json::{Map, Value};

impl Reader {
    pub(super) fn task(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<TaskState> {
        self.required(map, &["Resource"], at);
        let seconds = (1.0, MAX_SECONDS, true);
        let timeout = self.number(
            map,
            "TimeoutSeconds",
            "TimeoutSecondsPath",
            at,
            seconds,
            language,
        );
        let heartbeat = self.number(
            map,
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            at,
            seconds,
            language,
        );
        if let (Some(timeout), Some(heartbeat)) = (
            map.get("TimeoutSeconds").and_then(Value::as_f64),
            map.get("HeartbeatSeconds").and_then(Value::as_f64),
        ) && heartbeat >= timeout
        {
            self.bad(
                &format!("{at}/HeartbeatSeconds"),
                "HeartbeatSeconds must be smaller than TimeoutSeconds",
            );
        }
        let credentials = match self.object(map, "Credentials", at) {
            None => None,
            Some(credentials) => {
                let here = format!("{at}/Credentials");
                if !credentials.contains_key("RoleArn") && !credentials.contains_key("RoleArn.$") {
                    self.bad(&here, "The field 'RoleArn' is required but was missing");
                }
                for key in ["RoleArn", "RoleArn.$"] {
                    if credentials.get(key).is_some_and(|v| !v.is_string()) {
                        self.bad(&format!("{here}/{key}"), "Expected value of type String");
                    }
                }
                self.template(map, "Credentials", at, language)
            }
        };
        let arn = self.string(map, "Resource", at)?;
        let here = format!("{at}/Resource");
        let Some(resource) = Resource::parse(&arn) else {
            self.bad(&here, format!("The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."));
            return None;
        };
        let waits = match &resource {
            Resource::Activity { .. } => Some("Activity ARN"),
            Resource::Service {
                pattern: Pattern::WaitForTaskToken,
                ..
            } => Some("'.waitForTaskToken' service integration "),
            Resource::Service {
                pattern: Pattern::Sync,
                ..
            } => Some("'.sync' service integration "),
            Resource::Service {
                pattern: Pattern::Sync2,
                ..
            } => Some("'.sync:2' service integration "),
            _ => None,
        };
        if let (Type::Express, Some(pattern)) = (self.kind, waits) {
            self.bad(
                &here,
                format!("Express state machine does not support {pattern}"),
            );
        }
        if map["Resource"].is_string() {
            self.unresolved(&map["Resource"], &here);
        }
        Some(TaskState {
            resource,
            arn,
            timeout,
            heartbeat,
            credentials,
        })
    }
}
