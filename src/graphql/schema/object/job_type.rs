//! `JobType`.

use std::sync::Arc;

use async_graphql::Object;
use resolvers::workflow::JobType;

use crate::graphql::schema::scalar::AwsJson;

/// A job type: a state machine whose executions are jobs.
#[derive(Clone, Debug)]
pub struct JobTypeObject(pub Arc<JobType>);

/// A job type: a state machine whose executions are jobs.
#[Object(name = "JobType")]
impl JobTypeObject {
    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it does: the definition's Comment.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The JSON Schema of its input.
    async fn input_schema(&self) -> Option<AwsJson> {
        self.0.input_schema.clone().map(AwsJson)
    }

    /// The state machine, in Amazon States Language.
    async fn definition(&self) -> AwsJson {
        AwsJson(Arc::clone(&self.0.definition))
    }

    /// The names of its steps, in the order of the definition.
    async fn steps(&self) -> Vec<&str> {
        self.0.steps.iter().map(|(name, _)| name.as_str()).collect()
    }
}
