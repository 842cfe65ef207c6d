//! Rows of state machines, versions and aliases. No statements.

use std::sync::Arc;

use asl::WorkflowType;

/// What a state machine runs with; a version freezes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) definition: Arc<str>,
    pub(crate) role: Arc<str>,
    /// JSON, as the next two.
    pub(crate) logging: String,
    pub(crate) tracing: String,
    pub(crate) encryption: String,
}

/// A state machine.
#[derive(Clone, Debug)]
pub(crate) struct MachineRecord {
    pub(crate) name: String,
    pub(crate) account: Arc<str>,
    pub(crate) kind: WorkflowType,
    pub(crate) configuration: Configuration,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// None until the first update.
    pub(crate) revision: Option<String>,
    /// The highest number that a version ever had: none is given twice.
    pub(crate) published: u32,
}

/// A published version of a state machine.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) description: Option<String>,
    pub(crate) configuration: Configuration,
    pub(crate) created: i64,
    pub(crate) revision: Option<String>,
}

/// A name for one version, or for two with weights.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Versions with their weights, which are 100 together.
    pub(crate) routing: Vec<(u32, u32)>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}
