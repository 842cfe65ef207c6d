//! What the ARN of a state machine leads to when an execution is started: a state machine of the directory or of the catalog, a version,
//! or the version that an alias draws this time. It starts nothing.

use std::sync::Arc;

use asl::WorkflowType;
use rand::Rng as _;

use crate::api::arn::Qualifier;
use crate::catalog::Tables;
use crate::engine::{EngineError, Origin};
use crate::{Engine, Machine};

/// A state machine that can be started, wherever it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) machine: Arc<Machine>,
    pub(crate) kind: WorkflowType,
    pub(crate) account: Arc<str>,
    pub(crate) origin: Origin,
}

impl Target {
    /// The ARN of an execution whose row has this name.
    pub(crate) fn execution_arn(&self, engine: &Engine, row: &str) -> String {
        let resource = match self.kind {
            WorkflowType::Standard => "execution",
            WorkflowType::Express => "express",
        };
        let (region, account) = (&engine.settings().region, &self.account);
        format!(
            "arn:aws:states:{region}:{account}:{resource}:{}:{row}",
            self.machine.name()
        )
    }

    pub(crate) fn machine_arn(&self, engine: &Engine) -> String {
        let (region, account) = (&engine.settings().region, &self.account);
        format!(
            "arn:aws:states:{region}:{account}:stateMachine:{}",
            self.machine.name()
        )
    }
}

impl Engine {
    /// The state machine of this name, its version, or the version that its alias leads to.
    ///
    /// # Errors
    /// [`EngineError::UnknownMachine`] with the name; [`EngineError::Journal`].
    pub(crate) async fn target(
        &self,
        name: &str,
        qualifier: Option<Qualifier<'_>>,
    ) -> Result<Target, EngineError> {
        let none = || EngineError::UnknownMachine(name.to_owned());
        if let Some(machine) = self.machines().get(name) {
            if qualifier.is_some() {
                return Err(none());
            }
            return Ok(Target {
                machine: machine.clone(),
                kind: WorkflowType::Standard,
                account: self.settings().account.as_str().into(),
                origin: Origin::default(),
            });
        }
        let wanted = name.to_owned();
        let (number, alias) = match qualifier {
            None => (None, None),
            Some(Qualifier::Version(number)) => (Some(number), None),
            Some(Qualifier::Alias(alias)) => (None, Some(alias.to_owned())),
        };
        let draw = rand::rng().random_range(0..100);
        let read = self.database().read_row(move |connection| {
            let tables = Tables(connection);
            let Some(record) = tables.machine(&wanted)? else {
                return Ok::<_, rusqlite::Error>(None);
            };
            let number = match &alias {
                None => number,
                Some(alias) => {
                    let found = tables.alias(&wanted, alias)?;
                    match found.and_then(|alias| drawn(&alias.routing, draw)) {
                        None => return Ok(None),
                        drawn => drawn,
                    }
                }
            };
            let version = match number {
                None => None,
                Some(number) => match tables.version(&wanted, number)? {
                    None => return Ok(None),
                    version => version,
                },
            };
            Ok(Some((record, alias, version)))
        });
        let found = read
            .await
            .map_err(|error| EngineError::Journal(Arc::new(error)))?;
        let (record, alias, version) = found.ok_or_else(none)?;
        let number = version.as_ref().map(|version| version.number);
        let with = version.map_or(record.configuration, |version| version.configuration);
        Ok(Target {
            machine: self.machine_of(&record.name, with.definition)?,
            kind: record.kind,
            account: record.account.clone(),
            origin: Origin {
                account: Some(record.account),
                role: Some(with.role),
                version: number,
                alias: alias.map(Into::into),
            },
        })
    }
}

/// The version that a draw of 0 to 99 leads to.
fn drawn(routing: &[(u32, u32)], draw: u32) -> Option<u32> {
    let mut bound = 0;
    for (version, weight) in routing {
        bound += weight;
        if draw < bound {
            return Some(*version);
        }
    }
    routing.last().map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_divide_the_draws() {
        let to = |routing: &[(u32, u32)]| {
            (0..100)
                .map(|draw| drawn(routing, draw))
                .collect::<Vec<_>>()
        };
        assert!(to(&[(3, 100)]).iter().all(|version| *version == Some(3)));
        let both = to(&[(1, 30), (2, 70)]);
        let first = both.iter().filter(|version| **version == Some(1)).count();
        assert_eq!((first, both[29], both[30]), (30, Some(1), Some(2)));
        assert_eq!(drawn(&[], 0), None);
    }
}
