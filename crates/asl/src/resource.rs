//! Parses a Task's `Resource`. It calls nothing.

use std::fmt;

use crate::substitution::has_placeholder;

/// The way in which a service integration answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// The response is the result.
    RequestResponse,
    /// The result follows when the job has ended.
    Sync,
    /// Like `Sync`, with a parsed output.
    Sync2,
    /// The result follows with the task token.
    WaitForTaskToken,
}

impl Pattern {
    /// The suffix of the pattern in a resource's name.
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

/// The resource of a Task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the parts of the ARN")]
pub enum Resource {
    /// A Lambda function, by ARN or plain name (the payload is the request itself).
    Lambda { function: String },
    /// An activity.
    Activity { arn: String },
    /// A service integration such as `lambda:invoke`; a service of the SDK has the name
    /// `aws-sdk:NAME`.
    Service {
        service: String,
        action: String,
        pattern: Pattern,
    },
}

/// One of AWS's optimized integrations.
struct Integration {
    service: &'static str,
    /// Empty if all actions are accepted.
    actions: &'static [&'static str],
    /// The actions that can wait for their job.
    jobs: &'static [&'static str],
    /// Whether jobs can return a parsed output (`.sync:2`).
    parses: bool,
    /// Whether a task token can answer.
    token: bool,
}

impl Integration {
    const fn new(service: &'static str, actions: &'static [&'static str]) -> Self {
        Self {
            service,
            actions,
            jobs: &[],
            parses: false,
            token: false,
        }
    }

    const fn jobs(self, jobs: &'static [&'static str]) -> Self {
        Self { jobs, ..self }
    }

    const fn parses(self) -> Self {
        Self {
            parses: true,
            ..self
        }
    }

    const fn token(self) -> Self {
        Self {
            token: true,
            ..self
        }
    }

    fn offers(&self, action: &str, pattern: Pattern) -> bool {
        let known = self.actions.is_empty() || self.actions.contains(&action);
        known
            && match pattern {
                Pattern::RequestResponse => true,
                Pattern::Sync => self.jobs.contains(&action),
                Pattern::Sync2 => self.parses && self.jobs.contains(&action),
                Pattern::WaitForTaskToken => self.token,
            }
    }
}

/// AWS's optimized integrations. Source: developer guide, "Integrating optimized services", with a
/// page for each service.
const SERVICES: [Integration; 22] = [
    Integration::new("apigateway", &["invoke"]).token(),
    Integration::new(
        "athena",
        &[
            "startQueryExecution",
            "stopQueryExecution",
            "getQueryExecution",
            "getQueryResults",
        ],
    )
    .jobs(&["startQueryExecution"]),
    Integration::new("batch", &["submitJob"]).jobs(&["submitJob"]),
    Integration::new("bedrock", &["invokeModel", "createModelCustomizationJob"])
        .jobs(&["createModelCustomizationJob"])
        .token(),
    Integration::new("bedrock-agentcore", &[]),
    Integration::new(
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
    )
    .jobs(&["startBuild", "startBuildBatch", "retryBuildBatch"]),
    Integration::new("databrew", &["startJobRun"]).jobs(&["startJobRun"]),
    Integration::new(
        "dynamodb",
        &["getItem", "putItem", "deleteItem", "updateItem"],
    ),
    Integration::new("ecs", &["runTask"])
        .jobs(&["runTask"])
        .token(),
    Integration::new(
        "eks",
        &[
            "call",
            "runJob",
            "createCluster",
            "deleteCluster",
            "createFargateProfile",
            "deleteFargateProfile",
            "createNodegroup",
            "deleteNodegroup",
        ],
    )
    .jobs(&[
        "runJob",
        "createCluster",
        "deleteCluster",
        "createFargateProfile",
        "deleteFargateProfile",
        "createNodegroup",
        "deleteNodegroup",
    ])
    .token(),
    Integration::new(
        "elasticmapreduce",
        &[
            "createCluster",
            "setClusterTerminationProtection",
            "terminateCluster",
            "addStep",
            "cancelStep",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ],
    )
    .jobs(&["createCluster", "terminateCluster", "addStep"]),
    Integration::new(
        "emr-containers",
        &[
            "createVirtualCluster",
            "deleteVirtualCluster",
            "startJobRun",
        ],
    )
    .jobs(&["deleteVirtualCluster", "startJobRun"]),
    Integration::new(
        "emr-serverless",
        &[
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ],
    )
    .jobs(&[
        "createApplication",
        "startApplication",
        "stopApplication",
        "deleteApplication",
        "startJobRun",
        "cancelJobRun",
    ]),
    Integration::new("events", &["putEvents"]).token(),
    Integration::new("glue", &["startJobRun"]).jobs(&["startJobRun"]),
    Integration::new("http", &["invoke"]),
    Integration::new("lambda", &["invoke"]).token(),
    Integration::new("mediaconvert", &["createJob"]).jobs(&["createJob"]),
    Integration::new(
        "sagemaker",
        &[
            "createEndpoint",
            "createEndpointConfig",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createModel",
            "createProcessingJob",
            "createTrainingJob",
            "createTransformJob",
            "updateEndpoint",
        ],
    )
    .jobs(&[
        "createHyperParameterTuningJob",
        "createLabelingJob",
        "createProcessingJob",
        "createTrainingJob",
        "createTransformJob",
    ]),
    Integration::new("sns", &["publish"]).token(),
    Integration::new("sqs", &["sendMessage"]).token(),
    Integration::new("states", &["startExecution"])
        .jobs(&["startExecution"])
        .parses()
        .token(),
];
/// Every call of the SDK.
const SDK: Integration = Integration::new("aws-sdk", &[]).token();

impl Resource {
    /// Whether a Lambda function runs the task: by its ARN or name, or through `lambda:invoke`.
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

    /// Parses the `Resource` field; `None` if AWS would not accept it.
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
            let known = if service.starts_with("aws-sdk:") {
                &SDK
            } else {
                SERVICES.iter().find(|known| known.service == service)?
            };
            let named = known.service != SDK.service || is_call_of_the_sdk(service, action);
            if !named || !known.offers(action, *pattern) {
                return None;
            }
        }
        Some(parsed)
    }

    /// Parses the resource of an `ItemReader` or a `ResultWriter`: one of these actions of `s3`.
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
            // The specification of the language shows this one; AWS has no such integration.
            ["arn", _, "swf", _, _, "task", name] if !name.is_empty() => Some(Self::Lambda {
                function: text.to_owned(),
            }),
            // A partly substituted name, which is not known yet.
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

    /// Whether a caller answers the task by its token.
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

    /// Whether the context object has a token. `.sync` has one too.
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

/// Whether these are names of the SDK as AWS writes them here: a service in lower case, an action
/// in camel case.
fn is_call_of_the_sdk(service: &str, action: &str) -> bool {
    let service = service.strip_prefix("aws-sdk:").unwrap_or_default();
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !service.is_empty()
        && service.chars().all(small)
        && action.starts_with(|c: char| c.is_ascii_lowercase())
        && action.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether it is a function's name with its version or alias: letters, digits, `-` and `_`, or
/// `$LATEST`.
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
    fn known_resources_are_parsed_and_unknown_ones_refused() {
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
            ("arn:aws:states:::aws-sdk:S3:listBuckets", None),
            ("arn:aws:states:::aws-sdk:s3:ListBuckets", None),
            ("arn:aws:states:::aws-sdk::listBuckets", None),
            (
                "arn:aws:states:::sagemaker:createTrainingJob.sync",
                Some("sagemaker:createTrainingJob.sync"),
            ),
            ("arn:aws:states:::sagemaker:createEndpoint.sync", None),
            ("arn:aws:states:::sagemaker:listModels", None),
            ("arn:aws:states:::elasticmapreduce:cancelStep.sync", None),
            ("arn:aws:states:::eks:call.sync", None),
            ("arn:aws:states:::athena:getQueryResults.sync", None),
            ("arn:aws:states:::codebuild:stopBuild.sync", None),
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
