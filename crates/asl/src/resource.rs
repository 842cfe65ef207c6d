//! A Task's `Resource`, parsed. It does not call anything.
use crate::definition::substitution::has_placeholder;
use std::fmt;

/// How a service integration answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// The response is the result.
    RequestResponse,
    /// Wait for the job to end.
    Sync,
    /// Like `Sync`, with a parsed output.
    Sync2,
    /// Wait for the token to come back.
    WaitForTaskToken,
}
impl Pattern {
    /// What follows the action in a resource's name.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::RequestResponse => "",
            Self::Sync => ".sync",
            Self::Sync2 => ".sync:2",
            Self::WaitForTaskToken => ".waitForTaskToken",
        }
    }
}

/// What a Task calls.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the parts of the ARN")]
pub enum Resource {
    /// A Lambda function, by ARN or plain name (the payload is the request itself).
    Lambda { function: String },
    /// An activity.
    Activity { arn: String },
    /// A service integration such as `lambda:invoke`; a service of the SDK has the name `aws-sdk:NAME`.
    Service {
        service: String,
        action: String,
        pattern: Pattern,
    },
}

/// One of AWS's optimized integrations.
struct Integration {
    service: &'static str,
    /// Empty where any is taken.
    actions: &'static [&'static str],
    /// The patterns besides the request itself.
    patterns: &'static [Pattern],
}
const fn integration(
    service: &'static str,
    actions: &'static [&'static str],
    patterns: &'static [Pattern],
) -> Integration {
    Integration {
        service,
        actions,
        patterns,
    }
}
const NONE: &[Pattern] = &[];
const SYNC: &[Pattern] = &[Pattern::Sync];
const TOKEN: &[Pattern] = &[Pattern::WaitForTaskToken];
const BOTH: &[Pattern] = &[Pattern::Sync, Pattern::WaitForTaskToken];
const ALL: &[Pattern] = &[Pattern::Sync, Pattern::Sync2, Pattern::WaitForTaskToken];

/// AWS's optimized integrations. Source: developer guide, "Integrating optimized services".
const SERVICES: [Integration; 22] = [
    integration("apigateway", &["invoke"], TOKEN),
    integration(
        "athena",
        &[
            "startQueryExecution",
            "stopQueryExecution",
            "getQueryExecution",
            "getQueryResults",
        ],
        SYNC,
    ),
    integration("batch", &["submitJob"], SYNC),
    integration(
        "bedrock",
        &["invokeModel", "createModelCustomizationJob"],
        BOTH,
    ),
    integration("bedrock-agentcore", &[], NONE),
    integration(
        "codebuild",
        &[
            "startBuild",
            "stopBuild",
            "batchDeleteBuilds",
            "batchGetReports",
            "startBuildBatch",
            "stopBuildBatch",
            "retryBuildBatch",
            "deleteBuildBatch",
        ],
        SYNC,
    ),
    integration("databrew", &["startJobRun"], SYNC),
    integration(
        "dynamodb",
        &["getItem", "putItem", "deleteItem", "updateItem"],
        NONE,
    ),
    integration("ecs", &["runTask"], BOTH),
    integration("eks", &[], BOTH),
    integration("elasticmapreduce", &[], SYNC),
    integration("emr-containers", &[], SYNC),
    integration("emr-serverless", &[], SYNC),
    integration("events", &["putEvents"], TOKEN),
    integration("glue", &["startJobRun"], SYNC),
    integration("http", &["invoke"], NONE),
    integration("lambda", &["invoke"], TOKEN),
    integration("mediaconvert", &["createJob"], SYNC),
    integration("sagemaker", &[], SYNC),
    integration("sns", &["publish"], TOKEN),
    integration("sqs", &["sendMessage"], TOKEN),
    integration("states", &["startExecution"], ALL),
];

impl Resource {
    /// Whether a Lambda function does it: by its ARN or name, or through `lambda:invoke`.
    #[must_use]
    pub fn runs_function(&self) -> bool {
        match self {
            Self::Lambda { .. } => true,
            Self::Activity { .. } => false,
            Self::Service {
                service, action, ..
            } => service == "lambda" && action == "invoke",
        }
    }

    /// Parses the `Resource` field; `None` when AWS would not know it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = Self::split(text)?;
        if let Self::Service {
            service,
            action,
            pattern,
        } = &parsed
            && !text.contains("${")
        {
            let (actions, patterns) = if service.starts_with("aws-sdk:") {
                (&[][..], TOKEN)
            } else {
                let known = SERVICES.iter().find(|known| known.service == service)?;
                (known.actions, known.patterns)
            };
            let offered = *pattern == Pattern::RequestResponse || patterns.contains(pattern);
            if !offered || !(actions.is_empty() || actions.contains(&action.as_str())) {
                return None;
            }
        }
        Some(parsed)
    }
    /// Parses the resource of an `ItemReader` or a `ResultWriter`, which is one of these actions of `s3`.
    pub(crate) fn parse_s3(text: &str, actions: &[&str]) -> Option<Self> {
        Self::split(text).filter(|r| {
            text.contains("${")
                || matches!(r, Self::Service { service, action, pattern: Pattern::RequestResponse }
                if service == "s3" && actions.contains(&action.as_str()))
        })
    }
    fn split(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return None;
        }
        if !text.starts_with("arn:") {
            return Some(Self::Lambda {
                function: text.to_owned(),
            });
        }
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        match parts.as_slice() {
            ["arn", _, "lambda", _, _, "function", name]
                if is_function(name) || text.contains("${") =>
            {
                Some(Self::Lambda {
                    function: text.to_owned(),
                })
            }
            ["arn", _, "states", _, _, "activity", name] if !name.is_empty() => {
                Some(Self::Activity {
                    arn: text.to_owned(),
                })
            }
            ["arn", _, "states", _, _, "aws-sdk", call] => {
                let (service, action) = call.split_once(':')?;
                Self::service(&format!("aws-sdk:{service}"), action)
            }
            ["arn", _, "states", _, _, service, action] => Self::service(service, action),
            // The language's own specification shows this one; AWS has no such integration.
            ["arn", _, "swf", _, _, "task", name] if !name.is_empty() => Some(Self::Lambda {
                function: text.to_owned(),
            }),
            // A partly substituted name: what it will be is not known yet.
            _ if text.contains("${") => Some(Self::Lambda {
                function: text.to_owned(),
            }),
            _ => None,
        }
    }
    fn service(service: &str, action: &str) -> Option<Self> {
        let (action, pattern) = match action.split_once('.') {
            None => (action, Pattern::RequestResponse),
            Some((action, "sync")) => (action, Pattern::Sync),
            Some((action, "sync:2")) => (action, Pattern::Sync2),
            Some((action, "waitForTaskToken")) => (action, Pattern::WaitForTaskToken),
            Some(_) => return None,
        };
        (!service.is_empty() && !action.is_empty()).then(|| Self::Service {
            service: service.to_owned(),
            action: action.to_owned(),
            pattern,
        })
    }
    /// Whether a deployment tool has yet to write it, or a part of it.
    pub(crate) fn is_placeholder(&self) -> bool {
        let parts = match self {
            Self::Lambda { function } => [function, function],
            Self::Activity { arn } => [arn, arn],
            Self::Service {
                service, action, ..
            } => [service, action],
        };
        parts.into_iter().any(|part| has_placeholder(part))
    }
    /// Whether the task is answered by a token from outside.
    pub(crate) fn wants_token(&self) -> bool {
        matches!(
            self,
            Self::Activity { .. }
                | Self::Service {
                    pattern: Pattern::WaitForTaskToken,
                    ..
                }
        )
    }
    /// Whether the context object offers a token: `.sync` has one too.
    pub(crate) fn offers_token(&self) -> bool {
        self.wants_token()
            || matches!(
                self,
                Self::Service {
                    pattern: Pattern::Sync | Pattern::Sync2,
                    ..
                }
            )
    }
}

/// A function's name with its version or alias: letters, digits, `-` and `_`, or `$LATEST`.
fn is_function(name: &str) -> bool {
    let word = |s: &str| {
        !s.is_empty()
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match name.split_once(':') {
        None => word(name),
        Some((name, version)) => word(name) && (word(version) || version == "$LATEST"),
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lambda { function } => f.write_str(function),
            Self::Activity { arn } => f.write_str(arn),
            Self::Service {
                service,
                action,
                pattern,
            } => write!(f, "{service}:{action}{}", pattern.suffix()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn known_and_unknown() {
        for (text, shown) in [
            ("resize", Some("resize")),
            (
                "arn:aws:lambda:us-east-1:111111111111:function:f:ALIAS",
                Some("arn:aws:lambda:us-east-1:111111111111:function:f:ALIAS"),
            ),
            ("arn:aws:states:::lambda:invoke", Some("lambda:invoke")),
            (
                "arn:aws:states:::states:startExecution.sync:2",
                Some("states:startExecution.sync:2"),
            ),
            (
                "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                Some("sqs:sendMessage.waitForTaskToken"),
            ),
            (
                "arn:aws:states:::aws-sdk:dynamodb:query",
                Some("aws-sdk:dynamodb:query"),
            ),
            (
                "arn:aws:states:::aws-sdk:s3:listBuckets.waitForTaskToken",
                Some("aws-sdk:s3:listBuckets.waitForTaskToken"),
            ),
            ("arn:aws:states:::dynamodb:query", None),
            ("arn:aws:states:::lambda:invoke.sync", None),
            (
                "arn:aws:states:::glue:startJobRun.sync",
                Some("glue:startJobRun.sync"),
            ),
            ("arn:aws:states:::glue:startJobRun.sync:2", None),
            ("arn:aws:states:::batch:submitJob.waitForTaskToken", None),
            ("arn:aws:states:::aws-sdk:glue:startJobRun.sync", None),
            ("arn:aws:states:::nothing:call", None),
            ("arn:aws:states:::lambda:invoke.later", None),
            ("arn:aws:lambda:us-east-1:111111111111:function:", None),
            ("arn:aws:s3:::bucket", None),
            ("", None),
        ] {
            assert_eq!(
                Resource::parse(text).map(|r| r.to_string()).as_deref(),
                shown,
                "{text}"
            );
        }
        for (text, taken) in [
            ("arn:aws:states:::s3:getObject", true),
            ("arn:aws:states:::s3:putObject", false),
            ("arn:aws:states:::s3:getObject.sync", false),
            ("arn:aws:states:::sqs:sendMessage", false),
        ] {
            let parsed = Resource::parse_s3(text, &["getObject"]);
            assert_eq!(parsed.is_some(), taken, "{text}");
        }
    }
}
