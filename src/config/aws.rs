//! The section `[aws]`: jobs in DynamoDB, executions in Step Functions, files in S3. Every build
//! reads and checks it; only a build with the feature `aws` serves it.

use serde::{Deserialize, Serialize};

use super::limits::SECRET_BYTES;
use super::{Address, ConfigError, Secret};

/// DynamoDB and Step Functions: `[aws]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// The DynamoDB table of the jobs.
    pub table: String,
    /// Prefix of a job type's name in the ARN of its state machine:
    /// `arn:aws:states:REGION:ACCOUNT:stateMachine:`, with a prefix of the names if they have one.
    pub state_machine_arn_prefix: String,
    /// The region [default: the region of the ARN].
    pub region: Option<String>,
    /// The S3 bucket of the files [default: the directory `files` of the data directory, which all
    /// nodes must share].
    pub bucket: Option<String>,
    /// Address of all services, if they are not at AWS.
    pub endpoint_url: Option<Address>,
    /// Address of DynamoDB and its streams, if they have another one.
    pub dynamodb_endpoint_url: Option<Address>,
    /// Address of Step Functions, if it has another one.
    pub step_functions_endpoint_url: Option<Address>,
    /// Address of S3, if it has another one.
    pub s3_endpoint_url: Option<Address>,
    /// Whether this node reads the table's stream and publishes its changes [default: true].
    #[serde(default = "yes")]
    pub follow_stream: bool,
    /// How the steps of jobs arrive [default: read].
    #[serde(default)]
    pub steps: Steps,
    /// Whether this node looks for jobs whose start or end was lost [default: true].
    #[serde(default = "yes")]
    pub sweep: bool,
    /// Signs tokens and addresses; equal on every node. The variable `JOBCAST_SECRET` overrides it.
    pub secret: Option<Secret>,
}

/// How the steps of jobs arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Steps {
    /// The nodes read the histories of the executions that they started or took up.
    #[default]
    Read,
    /// Functions apply what the log and EventBridge push, and the nodes read no history.
    Pushed,
}

fn yes() -> bool {
    true
}

impl Aws {
    /// Refuses settings with which no server can work.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !cfg!(feature = "aws") {
            return Err(ConfigError::BuiltWithoutAws);
        }
        if self.table.is_empty() {
            return Err(ConfigError::NoTable);
        }
        if self.bucket.as_ref().is_some_and(String::is_empty) {
            return Err(ConfigError::NoBucket);
        }
        if self.arn_region().is_none() {
            let prefix = self.state_machine_arn_prefix.clone();
            return Err(ConfigError::StateMachineArn(prefix));
        }
        match &self.secret {
            Some(secret) if secret.0.len() >= SECRET_BYTES => Ok(()),
            Some(secret) => Err(ConfigError::ShortSecret(secret.0.len())),
            None => Err(ConfigError::NoSecret),
        }
    }

    /// The region: as configured, otherwise the region of the ARN.
    pub fn region(&self) -> &str {
        let region = self.region.as_deref().or_else(|| self.arn_region());
        region.unwrap_or_default()
    }

    /// Address of DynamoDB and its streams, if they are not at AWS.
    pub fn dynamodb_endpoint(&self) -> Option<&Address> {
        self.dynamodb_endpoint_url
            .as_ref()
            .or(self.endpoint_url.as_ref())
    }

    /// Address of Step Functions, if it is not at AWS.
    pub fn step_functions_endpoint(&self) -> Option<&Address> {
        self.step_functions_endpoint_url
            .as_ref()
            .or(self.endpoint_url.as_ref())
    }

    /// Address of S3, if it is not at AWS.
    pub fn s3_endpoint(&self) -> Option<&Address> {
        self.s3_endpoint_url.as_ref().or(self.endpoint_url.as_ref())
    }

    /// The region in the ARN; `None` if it is not the ARN of a state machine.
    fn arn_region(&self) -> Option<&str> {
        let mut parts = self.state_machine_arn_prefix.splitn(7, ':');
        let mut next = || parts.next();
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, kind, _name) = (next()?, next()?, next()?, next()?);
        let is_one = arn == "arn"
            && !partition.is_empty()
            && service == "states"
            && !account.is_empty()
            && kind == "stateMachine";
        Some(region).filter(|region| is_one && !region.is_empty())
    }
}
