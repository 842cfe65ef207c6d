//! Which resources Task states may name here. A definition that names another one is refused when
//! it is read.

use asl::{Pattern, Resource};

use crate::services;

/// Whether the server's runner does the work of a resource.
pub(crate) fn supports(resource: &Resource) -> bool {
    match resource {
        Resource::Lambda { .. } | Resource::Activity { .. } => true,
        Resource::Service {
            service,
            action,
            pattern,
        } => match (service.as_str(), action.as_str()) {
            ("lambda", "invoke") => {
                matches!(
                    pattern,
                    Pattern::RequestResponse | Pattern::WaitForTaskToken
                )
            }
            ("states", "startExecution") => true,
            _ => services::knows(resource),
        },
    }
}
