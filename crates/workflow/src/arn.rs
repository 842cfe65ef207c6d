//! ARNs: the one place that writes them and takes them apart. Whether the named resource exists is
//! not checked here.

use asl::{Resource, WorkflowType};

/// Why an ARN cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArnError {
    /// It is not an ARN of the service, or it names another type of resource.
    #[error("Invalid Arn: '{0}'")]
    Invalid(String),
    /// It has a qualifier where none can be.
    #[error("State Machine Does Not Exist: '{0}'")]
    NoMachine(String),
    /// It names no execution.
    #[error("Execution Does Not Exist: '{0}'")]
    NoExecution(String),
}

/// The ARN of an optimized integration, as a Task state names it.
pub(crate) fn integration(resource: &Resource) -> String {
    format!("arn:aws:states:::{resource}")
}

/// The region and the account of ARNs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
}

impl Scope<'_> {
    /// An ARN of Step Functions: `kind` is the resource type, such as `activity`.
    pub(crate) fn states(self, kind: &str, name: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:states:{region}:{account}:{kind}:{name}")
    }

    pub(crate) fn machine(self, name: &str) -> String {
        self.states("stateMachine", name)
    }

    /// The ARN of an execution. The name of an Express execution contains its unique part.
    pub(crate) fn execution(self, kind: WorkflowType, machine: &str, name: &str) -> String {
        let Self { region, account } = self;
        let resource = match kind {
            WorkflowType::Standard => "execution",
            WorkflowType::Express => "express",
        };
        format!("arn:aws:states:{region}:{account}:{resource}:{machine}:{name}")
    }

    pub(crate) fn function(self, name: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:lambda:{region}:{account}:function:{name}")
    }

    /// The ARN of the role that executions show when their state machine names none.
    pub(crate) fn default_role(self) -> String {
        format!("arn:aws:iam::{}:role/jobcast", self.account)
    }
}

/// A state machine's ARN. The account is not compared: the embedded service has one name space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MachineArn<'a> {
    pub(crate) name: &'a str,
    pub(crate) qualifier: Option<Qualifier<'a>>,
}

/// What follows a state machine's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier<'a> {
    Version(u32),
    Alias(&'a str),
}

/// The resource type and what follows it.
fn resource(arn: &str) -> Result<(&str, &str), ArnError> {
    let invalid = ArnError::Invalid;
    let mut parts = arn.splitn(7, ':');
    if parts.next() != Some("arn") || !arn.contains(":states:") {
        return Err(invalid(format!("Invalid ARN prefix: {arn}")));
    }
    match (parts.nth(4), parts.next()) {
        (Some(kind), Some(rest)) if !rest.is_empty() => Ok((kind, rest)),
        _ => Err(invalid(format!("Request ARN is not valid: {arn}"))),
    }
}

fn wrong_type(kind: &str) -> ArnError {
    ArnError::Invalid(format!("Resource type not valid in this context: {kind}"))
}

impl<'a> MachineArn<'a> {
    pub(crate) fn parse(arn: &'a str) -> Result<MachineArn<'a>, ArnError> {
        let ("stateMachine", rest) = resource(arn)? else {
            return Err(wrong_type(resource(arn)?.0));
        };
        let (name, qualifier) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, qualifier)) => (
                name,
                Some(
                    qualifier
                        .parse()
                        .map_or(Qualifier::Alias(qualifier), Qualifier::Version),
                ),
            ),
        };
        Ok(MachineArn { name, qualifier })
    }

    /// The state machine's name, of an ARN without a qualifier.
    pub(crate) fn plain(arn: &'a str) -> Result<&'a str, ArnError> {
        let parsed = MachineArn::parse(arn)?;
        match parsed.qualifier {
            None => Ok(parsed.name),
            Some(_) => Err(ArnError::NoMachine(arn.to_owned())),
        }
    }
}

/// The state machine and the execution of an execution's ARN.
pub(crate) fn execution(arn: &str) -> Result<(&str, &str), ArnError> {
    match resource(arn)? {
        ("execution", rest) => rest
            .split_once(':')
            .ok_or_else(|| ArnError::NoExecution(arn.to_owned())),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// An activity's name.
pub(crate) fn activity(arn: &str) -> Result<&str, ArnError> {
    match resource(arn)? {
        ("activity", name) => Ok(name),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// Checks that an ARN is a map run's.
pub(crate) fn map_run(arn: &str) -> Result<(), ArnError> {
    match resource(arn)? {
        ("mapRun", _) => Ok(()),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// What may have tags: a state machine's name or an activity's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taggable<'a> {
    Machine(&'a str),
    Activity(&'a str),
}

pub(crate) fn taggable(arn: &str) -> Result<Taggable<'_>, ArnError> {
    match resource(arn)? {
        ("stateMachine", name) => Ok(Taggable::Machine(name)),
        ("activity", name) => Ok(Taggable::Activity(name)),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// Whether AWS Lambda would take this as the plain name of a function.
#[must_use]
pub fn is_function_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The plain name in a name, a partial ARN or an ARN, each with or without a version or alias.
#[must_use]
pub fn function_name(text: &str) -> &str {
    let name = match text.split_once(":function:") {
        Some((_, name)) => name,
        None => text.strip_prefix("function:").unwrap_or(text),
    };
    name.split_once(':').map_or(name, |(name, _)| name)
}

/// The version or alias in a name or an ARN.
pub(crate) fn qualifier(text: &str) -> Option<&str> {
    let name = match text.split_once(":function:") {
        Some((_, name)) => name,
        None => text.strip_prefix("function:").unwrap_or(text),
    };
    Some(name.split_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_machine_s_arn_has_a_name_and_perhaps_a_qualifier() {
        let arn = |rest: &str| format!("arn:aws:states:us-east-1:000000000000:{rest}");
        for (rest, want) in [
            ("stateMachine:m", Some(("m", None))),
            ("stateMachine:m:7", Some(("m", Some(Qualifier::Version(7))))),
            (
                "stateMachine:m:PROD",
                Some(("m", Some(Qualifier::Alias("PROD")))),
            ),
            ("activity:m", None),
            ("stateMachine", None),
            ("stateMachine:", None),
        ] {
            let arn = arn(rest);
            let found = MachineArn::parse(&arn).ok();
            assert_eq!(found.map(|arn| (arn.name, arn.qualifier)), want, "{rest}");
        }
        let refusal = |arn: &str| MachineArn::parse(arn).unwrap_err().to_string();
        assert_eq!(
            refusal("machine"),
            "Invalid Arn: 'Invalid ARN prefix: machine'"
        );
        assert_eq!(
            refusal(&arn("execution:m:e")),
            "Invalid Arn: 'Resource type not valid in this context: execution'"
        );
        assert_eq!(execution(&arn("execution:m:e")).unwrap(), ("m", "e"));
        assert!(execution(&arn("express:m:e:u")).is_err());
        assert_eq!(activity(&arn("activity:a")).unwrap(), "a");
    }

    #[test]
    fn a_function_is_named_plainly_or_by_an_arn() {
        for text in [
            "resize",
            "resize:1",
            "function:resize",
            "arn:aws:lambda:us-east-1:000000000000:function:resize",
            "arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST",
            "000000000000:function:resize",
        ] {
            assert_eq!(function_name(text), "resize", "{text}");
        }
        for (text, expected) in [
            ("resize", None),
            ("resize:1", Some("1")),
            ("function:resize:live", Some("live")),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST",
                Some("$LATEST"),
            ),
            ("000000000000:function:resize", None),
        ] {
            assert_eq!(qualifier(text), expected, "{text}");
        }
    }
}
