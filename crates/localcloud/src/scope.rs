//! The region and the account of a cloud, and the ARNs in them. Pure.

use workflow::lambda::function_name;

/// A region of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The region.
    pub region: String,
    /// The account's twelve digits.
    pub account: String,
}

impl Scope {
    /// The ARN of a function that is named, or given by its ARN.
    #[must_use]
    pub fn function(&self, function: &str) -> String {
        let name = function_name(function);
        format!(
            "arn:aws:lambda:{}:{}:function:{name}",
            self.region, self.account
        )
    }

    /// The ARN of an event source mapping.
    #[must_use]
    pub fn mapping(&self, uuid: &str) -> String {
        let Scope { region, account } = self;
        format!("arn:aws:lambda:{region}:{account}:event-source-mapping:{uuid}")
    }

    /// The ARN of a queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.region, self.account)
    }

    /// The ARN of an execution.
    #[must_use]
    pub fn execution(&self, machine: &str, name: &str) -> String {
        let Scope { region, account } = self;
        format!("arn:aws:states:{region}:{account}:execution:{machine}:{name}")
    }

    /// The ARN of a state machine.
    #[must_use]
    pub fn machine(&self, machine: &str) -> String {
        format!(
            "arn:aws:states:{}:{}:stateMachine:{machine}",
            self.region, self.account
        )
    }
}
