//! Aliases of state machines: a name for one version, or for two with weights.

use serde_json::{Value, json};

use super::error::ApiError;
use super::required;
use super::shape::{ARN, DESCRIPTION, NAME, PAGE_TOKEN, Shape};
use super::{Api, Call, Reply, now, page_token, position, stored_seconds, with_next};
use crate::arn::{MachineArn, Qualifier};
use crate::catalog::{Alias, Tables};

/// Aliases of one state machine (Step Functions quota).
pub(crate) const ALIASES: usize = 100;
/// Versions that one alias may lead to.
pub(crate) const ROUTES: usize = 2;

const NAME_PATTERN: &str = r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$";

fn is_alias(name: &str) -> bool {
    let sign = |c: char| matches!(c, '_' | '-' | '.');
    name.chars().all(|c| c.is_ascii_alphanumeric() || sign(c))
        && name.chars().any(|c| c.is_ascii_alphabetic() || sign(c))
}

/// A routing configuration as it was given.
#[derive(Debug)]
struct Routing {
    /// The state machine whose versions these are.
    machine: String,
    routes: Vec<(u32, u32)>,
    /// The ARNs of the versions.
    arns: Vec<String>,
}

/// Reads the members of a routing configuration; `None` when there is none.
fn routes<'a>(shape: &mut Shape<'a>) -> Option<Vec<(&'a str, i64)>> {
    let given = shape.list("routingConfiguration")?;
    let shown = given.iter().map(|route| {
        let (arn, weight) = (&route["stateMachineVersionArn"], &route["weight"]);
        let arn = arn.as_str().unwrap_or("null");
        format!("RoutingConfigurationListItem(stateMachineVersionArn={arn}, weight={weight})")
    });
    let shown = format!("'[{}]'", shown.collect::<Vec<_>>().join(", "));
    let at = "routingConfiguration";
    let (least, most) = (!given.is_empty(), given.len() <= ROUTES);
    shape.require(least, &shown, at, "have length greater than or equal to 1");
    shape.require(
        most,
        &shown,
        at,
        &format!("have length less than or equal to {ROUTES}"),
    );
    let mut routes = Vec::new();
    for (index, route) in given.iter().enumerate() {
        shape.within(&format!("{at}.{}.member", index + 1), route, |inner| {
            let arn = inner.text("stateMachineVersionArn", ARN);
            let weight = inner.number("weight", 0..=100).unwrap_or_default();
            routes.push((arn, weight));
        });
    }
    Some(routes)
}

fn routing(given: &[(&str, i64)]) -> Result<Routing, ApiError> {
    let arns: Vec<String> = given.iter().map(|(arn, _)| (*arn).to_owned()).collect();
    let received = format!("Received: [{}]", arns.join(", "));
    let (mut machine, mut routes) = (None, Vec::new());
    for (arn, weight) in given {
        let parsed = MachineArn::parse(arn)?;
        let Some(Qualifier::Version(number)) = parsed.qualifier else {
            return Err(ApiError::invalid(format!(
                "Routing configuration must contain state machine version ARNs. {received}"
            )));
        };
        if *machine.get_or_insert(parsed.name) != parsed.name {
            return Err(ApiError::invalid(format!(
                "Routing configuration must contain versions of the same state machine. {received}"
            )));
        }
        routes.push((number, u32::try_from(*weight).unwrap_or_default()));
    }
    let machine = machine.unwrap_or_default().to_owned();
    if routes.len() == ROUTES && routes[0].0 == routes[1].0 {
        return Err(ApiError::invalid(format!(
            "Routing configuration must contain distinct state machine version ARNs. {received}"
        )));
    }
    if routes.iter().map(|(_, weight)| weight).sum::<u32>() != 100 {
        let weights: Vec<i64> = given.iter().map(|(_, weight)| *weight).collect();
        return Err(ApiError::invalid(format!(
            "Sum of routing configuration weights must equal 100. Received: {}",
            json!(weights)
        )));
    }
    Ok(Routing {
        machine,
        routes,
        arns,
    })
}

/// Every version that is routed to must be there.
fn check_versions(tables: &Tables<'_>, routing: &Routing) -> Result<(), ApiError> {
    for ((number, _), arn) in routing.routes.iter().zip(&routing.arns) {
        if tables.version(&routing.machine, *number)?.is_none() {
            return Err(ApiError::no_resource(arn));
        }
    }
    Ok(())
}

fn conflict() -> ApiError {
    ApiError::new(
        "ConflictException",
        "Failed to create alias because an alias with the same name and a different routing configuration already exists.",
    )
}

fn missing() -> ApiError {
    ApiError::new(
        "ResourceNotFound",
        "Request references a resource that does not exist.",
    )
}

/// The state machine and the alias of an alias's ARN.
fn parts(arn: &str) -> Result<(String, String), ApiError> {
    let parsed = MachineArn::parse(arn)?;
    match parsed.qualifier {
        Some(Qualifier::Alias(alias)) => Ok((parsed.name.to_owned(), alias.to_owned())),
        _ => Err(ApiError::new(
            "InvalidArn",
            format!("Invalid Arn: 'Resource type not valid in this context: {arn}'"),
        )),
    }
}

impl Api {
    pub(super) async fn create_state_machine_alias(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let name = shape.text("name", NAME);
        let fits = name.is_empty() || is_alias(name);
        let pattern = format!("satisfy regular expression pattern: {NAME_PATTERN}");
        shape.require(fits, &format!("'{name}'"), "name", &pattern);
        let description = shape.optional("description", DESCRIPTION);
        shape.required_list("routingConfiguration");
        let routes = routes(&mut shape).unwrap_or_default();
        shape.check()?;
        let routing = routing(&routes)?;
        let at = now();
        let alias = Alias {
            name: name.to_owned(),
            description: description.map(str::to_owned),
            routing: routing.routes.clone(),
            created: at,
            updated: at,
        };
        let of = routes.first().map_or("", |route| route.0).to_owned();
        let (account, machine, created) = self
            .write(move |tables| {
                let record = required(&tables, &routing.machine, &of)?;
                let machine = routing.machine.clone();
                if let Some(earlier) = tables.alias(&machine, &alias.name)? {
                    if earlier.routing != alias.routing || earlier.description != alias.description {
                        return Err(conflict());
                    }
                    return Ok((record.account, machine, earlier.created));
                }
                check_versions(&tables, &routing)?;
                if tables.count_aliases(&machine)? >= ALIASES {
                    return Err(ApiError::new(
                        "ServiceQuotaExceededException",
                        format!("State machine '{machine}' has {ALIASES} aliases, and no more are possible: delete some"),
                    ));
                }
                tables.put_alias(&machine, &alias)?;
                Ok((record.account, machine, at))
            })
            .await?;
        let arn = self.arn(&account, "stateMachine", &machine);
        Ok(json!({
            "stateMachineAliasArn": format!("{arn}:{name}"),
            "creationDate": stored_seconds(created),
        }))
    }

    pub(super) async fn update_state_machine_alias(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineAliasArn");
        let description = shape.optional("description", DESCRIPTION);
        let routes = routes(&mut shape);
        shape.check()?;
        let (machine, name) = parts(arn)?;
        if description.is_none() && routes.is_none() {
            return Err(ApiError::new(
                "MissingRequiredParameter",
                "Either the description or the RoutingConfiguration must be specified",
            ));
        }
        let routing = routes.as_deref().map(routing).transpose()?;
        let other = routing
            .as_ref()
            .filter(|routing| routing.machine != machine);
        if let Some(other) = other {
            return Err(ApiError::invalid(format!(
                "Routing configuration must contain versions of the alias's own state machine. Received: [{}]",
                other.arns.join(", ")
            )));
        }
        let (description, at) = (description.map(str::to_owned), now());
        self.write(move |tables| {
            let mut alias = tables.alias(&machine, &name)?.ok_or_else(missing)?;
            if let Some(routing) = routing {
                check_versions(&tables, &routing)?;
                alias.routing = routing.routes;
            }
            alias.description = description.or(alias.description);
            alias.updated = at;
            tables.put_alias(&machine, &alias)?;
            Ok(json!({"updateDate": stored_seconds(at)}))
        })
        .await
    }

    pub(super) async fn describe_state_machine_alias(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineAliasArn");
        shape.check()?;
        let (machine, name) = parts(arn)?;
        let (account, alias) = self
            .read({
                let machine = machine.clone();
                move |tables| {
                    let record = tables.machine(&machine)?.ok_or_else(missing)?;
                    let alias = tables.alias(&machine, &name)?.ok_or_else(missing)?;
                    Ok((record.account, alias))
                }
            })
            .await?;
        let own = self.arn(&account, "stateMachine", &machine);
        let routes: Vec<Value> = alias
            .routing
            .iter()
            .map(|(number, weight)| {
                json!({"stateMachineVersionArn": format!("{own}:{number}"), "weight": weight})
            })
            .collect();
        let mut reply = json!({
            "stateMachineAliasArn": format!("{own}:{}", alias.name),
            "name": alias.name,
            "routingConfiguration": routes,
            "creationDate": stored_seconds(alias.created),
            "updateDate": stored_seconds(alias.updated),
        });
        if let Some(description) = alias.description {
            reply["description"] = json!(description);
        }
        Ok(reply)
    }

    pub(super) async fn list_state_machine_aliases(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineArn");
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        shape.check()?;
        let parsed = MachineArn::parse(arn)?;
        let version = match parsed.qualifier {
            None => None,
            Some(Qualifier::Version(number)) => Some(number),
            Some(Qualifier::Alias(_)) => return Err(ApiError::no_machine(arn)),
        };
        let after = position(token)?.unwrap_or_default();
        if token.is_some() && !is_alias(&after) {
            return Err(ApiError::invalid_token());
        }
        if self.engine.machines().get(parsed.name).is_some() {
            return Ok(json!({"stateMachineAliases": []}));
        }
        let (name, whole) = (parsed.name.to_owned(), arn.to_owned());
        let (account, aliases) = self
            .read(move |tables| {
                let record = required(&tables, &name, &whole)?;
                // A state machine has few aliases: the version is looked for among all.
                let mut aliases = tables.aliases(&name, &after, ALIASES)?;
                if let Some(version) = version {
                    aliases.retain(|alias| alias.routing.iter().any(|one| one.0 == version));
                }
                Ok((record.account, aliases))
            })
            .await?;
        let next = (aliases.len() > limit).then(|| page_token(&aliases[limit - 1].name));
        let own = self.arn(&account, "stateMachine", parsed.name);
        let aliases: Vec<Value> = aliases
            .iter()
            .take(limit)
            .map(|alias| {
                json!({
                    "stateMachineAliasArn": format!("{own}:{}", alias.name),
                    "creationDate": stored_seconds(alias.created),
                })
            })
            .collect();
        Ok(with_next(json!({"stateMachineAliases": aliases}), next))
    }

    pub(super) async fn delete_state_machine_alias(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("stateMachineAliasArn");
        shape.check()?;
        let (machine, name) = parts(arn)?;
        self.write(move |tables| {
            tables.delete_alias(&machine, &name)?;
            Ok(json!({}))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_letter_or_a_sign() {
        for (name, good) in [
            ("PROD", true),
            ("v1.2", true),
            ("1-2", true),
            ("123", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_alias(name), good, "{name}");
        }
    }

    #[test]
    fn weights_are_a_hundred_together() {
        let arn = |number: u32| format!("arn:aws:states:us-east-1:0:stateMachine:m:{number}");
        let (one, two) = (arn(1), arn(2));
        let refusal = |given: &[(&str, i64)]| routing(given).err().map(|error| error.to_string());
        assert_eq!(refusal(&[(&one, 100)]), None);
        assert_eq!(refusal(&[(&one, 1), (&two, 99)]), None);
        for wrong in [
            &[(one.as_str(), 99)][..],
            &[(&one, 50), (&two, 51)],
            &[(&one, 50), (&one, 50)],
            &[("arn:aws:states:us-east-1:0:stateMachine:m", 100)],
        ] {
            assert!(refusal(wrong).is_some(), "{wrong:?}");
        }
    }
}
