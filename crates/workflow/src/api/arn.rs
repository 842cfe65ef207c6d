//! ARNs of the service, taken apart. Whether what they name exists is not looked at.

use super::error::ApiError;

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
fn resource(arn: &str) -> Result<(&str, &str), ApiError> {
    let invalid = |what: String| ApiError::new("InvalidArn", format!("Invalid Arn: '{what}'"));
    let mut parts = arn.splitn(7, ':');
    if parts.next() != Some("arn") || !arn.contains(":states:") {
        return Err(invalid(format!("Invalid ARN prefix: {arn}")));
    }
    match (parts.nth(4), parts.next()) {
        (Some(kind), Some(rest)) if !rest.is_empty() => Ok((kind, rest)),
        _ => Err(invalid(format!("Request ARN is not valid: {arn}"))),
    }
}

fn wrong_type(kind: &str) -> ApiError {
    ApiError::new(
        "InvalidArn",
        format!("Invalid Arn: 'Resource type not valid in this context: {kind}'"),
    )
}

impl<'a> MachineArn<'a> {
    pub(super) fn parse(arn: &'a str) -> Result<MachineArn<'a>, ApiError> {
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
    pub(super) fn plain(arn: &'a str) -> Result<&'a str, ApiError> {
        let parsed = MachineArn::parse(arn)?;
        match parsed.qualifier {
            None => Ok(parsed.name),
            Some(_) => Err(ApiError::no_machine(arn)),
        }
    }
}

/// The state machine and the execution of an execution's ARN.
pub(super) fn execution(arn: &str) -> Result<(&str, &str), ApiError> {
    match resource(arn)? {
        ("execution", rest) => rest
            .split_once(':')
            .ok_or_else(|| ApiError::no_execution(arn)),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// An activity's name.
pub(super) fn activity(arn: &str) -> Result<&str, ApiError> {
    match resource(arn)? {
        ("activity", name) => Ok(name),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// Checks that an ARN is a map run's.
pub(super) fn map_run(arn: &str) -> Result<(), ApiError> {
    match resource(arn)? {
        ("mapRun", _) => Ok(()),
        (kind, _) => Err(wrong_type(kind)),
    }
}

/// What may have tags: a state machine's name or an activity's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taggable<'a> {
    Machine(&'a str),
    Activity(&'a str),
}

pub(super) fn taggable(arn: &str) -> Result<Taggable<'_>, ApiError> {
    match resource(arn)? {
        ("stateMachine", name) => Ok(Taggable::Machine(name)),
        ("activity", name) => Ok(Taggable::Activity(name)),
        (kind, _) => Err(wrong_type(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
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
        let told = |arn: &str| MachineArn::parse(arn).unwrap_err().to_string();
        assert_eq!(
            told("machine"),
            "InvalidArn: Invalid Arn: 'Invalid ARN prefix: machine'"
        );
        assert_eq!(
            told(&arn("execution:m:e")),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: execution'"
        );
        assert_eq!(execution(&arn("execution:m:e")).unwrap(), ("m", "e"));
        assert!(execution(&arn("express:m:e:u")).is_err());
        assert_eq!(activity(&arn("activity:a")).unwrap(), "a");
    }
}
