//! State machines: list, describe.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::ApiError;
use super::{Api, Reply, page, page_token, position, seconds, text};
use crate::Machine;
use crate::alarm::timestamp;

impl Api {
    /// The state machine that an ARN names.
    pub(super) fn machine(&self, arn: &str) -> Result<Arc<Machine>, ApiError> {
        let parts: Vec<&str> = arn.split(':').collect();
        let name = match parts.as_slice() {
            ["arn", _, "states", _, _, "stateMachine", name, ..] => name,
            ["arn", _, "states", ..] => {
                return Err(ApiError::new(
                    "InvalidArn",
                    &format!(
                        "Invalid Arn: 'Resource type not valid in this context: {}'",
                        parts.get(5).unwrap_or(&"")
                    ),
                ));
            }
            _ => {
                return Err(ApiError::new(
                    "InvalidArn",
                    &format!("Invalid Arn: 'Invalid ARN prefix: {arn}'"),
                ));
            }
        };
        self.engine.machines().get(name).cloned().ok_or_else(|| {
            ApiError::new(
                "StateMachineDoesNotExist",
                &format!("State Machine Does Not Exist: '{arn}'"),
            )
        })
    }

    pub(super) fn list_state_machines(&self, parameters: &Value) -> Reply {
        let limit = page(parameters, 1_000, 100)?;
        let skip = usize::try_from(position(parameters)?.unwrap_or(0)).unwrap_or(usize::MAX);
        let mut rest = self.engine.machines().iter().skip(skip);
        let machines: Vec<Value> = rest
            .by_ref()
            .take(limit)
            .map(|machine| {
                json!({
                    "stateMachineArn": self.engine.machine_arn(machine.name()),
                    "name": machine.name(),
                    "type": "STANDARD",
                    "creationDate": 0,
                })
            })
            .collect();
        let more = rest.next().is_some();
        let mut reply = json!({"stateMachines": machines});
        if more {
            reply["nextToken"] = json!(page_token((skip + limit) as u64));
        }
        Ok(reply)
    }

    pub(super) fn describe_state_machine(&self, parameters: &Value) -> Reply {
        let machine = self.machine(text(parameters, "stateMachineArn")?)?;
        Ok(json!({
            "stateMachineArn": self.engine.machine_arn(machine.name()),
            "name": machine.name(),
            "status": "ACTIVE",
            "definition": machine.definition(),
            "roleArn": self.engine.role_arn(),
            "type": "STANDARD",
            "creationDate": 0,
            "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
            "tracingConfiguration": {"enabled": false},
        }))
    }

    pub(super) async fn describe_state_machine_for_execution(&self, parameters: &Value) -> Reply {
        let row = self.stored(parameters).await?;
        let definition = self.engine.definition_of(&row).await?;
        Ok(json!({
            "stateMachineArn": self.engine.machine_arn(&row.machine),
            "name": row.machine,
            "definition": definition,
            "roleArn": self.engine.role_arn(),
            "updateDate": seconds(timestamp(row.started)),
            "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
            "tracingConfiguration": {"enabled": false},
        }))
    }
}
