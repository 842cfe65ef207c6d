//! Defaults that other parts of the server fill in, or that follow from other settings, as
//! [`InForce`](super::InForce) shows them.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use serde_json::Value;
use workflow::lambda::{default_concurrency, limits};
use workflow::services::ServiceSettings;

use super::lines::Part;
use super::setting::Source;
use super::{Address, Aws, Config, usual_url};
use crate::graphql::rate::SUBMITS_PER_SECOND;
use crate::http::guard::usual_origins;
use crate::intake::worker;
use crate::masked::MASK;
use crate::peers::{SHARE_OF_AN_ADDRESS, slots};
use crate::realtime::broker::valkey;
use crate::realtime::usual_repair;
use crate::session;

/// A value, unless it is the one of the configuration, and its source.
type Usual = (Option<Value>, Source);

const WITH_AWS: &str = "[aws] is configured";
const WITH_AUTH: &str = "[auth] is configured";
const WITHOUT_AUTH: &str = "[auth] is not configured";

/// The value in force of a setting that is not given; `None` if it is the configuration's.
pub(super) fn usual(config: &Config, path: &[Part]) -> Option<Usual> {
    let keys: Vec<&str> = path
        .iter()
        .filter_map(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            Part::Entry(_) => None,
        })
        .collect();
    match keys[..] {
        [key] => of_the_top(config, key),
        ["auth", "oidc", "owner_prefix"] => {
            let mut pairs = config.auth.oidc.windows(2);
            let several = pairs.any(|two| two[0].issuer != two[1].issuer);
            several.then(|| because("there are several identity providers"))
        }
        ["aws", key] => of_aws(config.aws.as_ref(), key),
        ["broker", "prefix"] => Some(value(valkey::PREFIX)),
        ["intake", "max_receives"] => Some(value(worker::MAX_RECEIVES)),
        ["intake", "visibility"] => Some(value(duration(worker::VISIBILITY))),
        ["limits", key] => of_limits(key),
        ["functions", _, key] => of_a_function(key),
        ["services", key] => of_services(config, key),
        _ => None,
    }
}

fn of_the_top(config: &Config, key: &str) -> Option<Usual> {
    let with_auth = config.auth.is_configured();
    let auth = if with_auth { WITH_AUTH } else { WITHOUT_AUTH };
    Some(match key {
        "internal_listen" | "internal_secret_required" if config.aws.is_some() => {
            value_because(Value::Null, WITH_AWS)
        }
        "internal_secret_required" => because(auth),
        "samples" if config.aws.is_some() => because(WITH_AWS),
        "state_machines" => because(match config.state_machines {
            Some(_) => "the directory exists",
            None => "there is no directory state-machines beside the configuration",
        }),
        "public_url" if config.listen.port() == 0 => because("listen takes a free port"),
        "public_url" => value_because(usual_url(config.listen), "it follows from listen"),
        "allowed_origins" => value_because(usual_origins(!with_auth), auth),
        "repair_every" => {
            let usual = value(duration(usual_repair(config.chaos.is_some())));
            match config.chaos {
                Some(_) => (usual.0, Source::Default(Some("chaos is set"))),
                None => usual,
            }
        }
        _ => return None,
    })
}

fn of_limits(key: &str) -> Option<Usual> {
    let sessions = session::Settings::default();
    Some(match key {
        "connections" => value(sessions.connections),
        "connections_per_caller" => value(sessions.per_caller),
        "strangers_per_address" => {
            let slots = slots(getrlimit(Resource::Nofile).current);
            value_because(
                slots / SHARE_OF_AN_ADDRESS,
                "it is half of what the limit of open files allows",
            )
        }
        "submits_per_second" => value(SUBMITS_PER_SECOND.get()),
        _ => return None,
    })
}

fn of_a_function(key: &str) -> Option<Usual> {
    Some(match key {
        "concurrency" => {
            value_because(default_concurrency(), "it follows from the machine's cores")
        }
        "timeout" => value(duration(limits::TIMEOUT)),
        "init_timeout" => value(duration(limits::INIT)),
        "directory" => because("it is the directory of the configuration"),
        _ => return None,
    })
}

fn of_aws(aws: Option<&Aws>, key: &str) -> Option<Usual> {
    let Some(aws) = aws else {
        return Some(because("[aws] is not configured"));
    };
    let shared = |endpoint: Option<&Address>| {
        endpoint.map(|_| value_because(endpoint, "endpoint_url of [aws] is set"))
    };
    match key {
        "region" => Some(value_because(aws.region(), "it is the region of the ARN")),
        "bucket" => Some(because("files are in the directory data")),
        "dynamodb_endpoint_url" => shared(aws.dynamodb_endpoint()),
        "step_functions_endpoint_url" => shared(aws.step_functions_endpoint()),
        "s3_endpoint_url" => shared(aws.s3_endpoint()),
        _ => None,
    }
}

fn of_services(config: &Config, key: &str) -> Option<Usual> {
    if config.aws.is_some() {
        return None;
    }
    let variable = match key {
        "region" => return Some(value(ServiceSettings::default().region)),
        "access_key_id" => "AWS_ACCESS_KEY_ID",
        "secret_access_key" => "AWS_SECRET_ACCESS_KEY",
        _ => return None,
    };
    let environment = |name: &str| std::env::var(name).ok();
    config.services.credentials(environment)?;
    Some((Some(MASK.into()), Source::Variable(variable.to_owned())))
}

fn value(value: impl serde::Serialize) -> Usual {
    let value = serde_json::to_value(value).expect("a default can be shown");
    (Some(value), Source::Default(None))
}

fn value_because(of: impl serde::Serialize, reason: &'static str) -> Usual {
    (value(of).0, Source::Default(Some(reason)))
}

fn because(reason: &'static str) -> Usual {
    (None, Source::Default(Some(reason)))
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
