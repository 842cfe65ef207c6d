//! The engine that is measured.

use std::path::Path;
use std::sync::Arc;

use sqlite::{Database, Location};
use workflow::task::TaskRunner;
use workflow::{Engine, Listener, Machine, Machines, Settings};

use crate::error::Result;

/// An engine with one state machine, in this directory.
pub(super) async fn open(
    place: &Path,
    name: &str,
    definition: &str,
    tasks: Arc<dyn TaskRunner>,
    listener: Arc<dyn Listener>,
) -> Result<Engine> {
    let mut machines = Machines::default();
    let machine = Machine::parse(name, definition.into(), None);
    machines.insert(machine.map_err(|problems| format!("{problems:?}"))?);
    let database = Database::open(&Location::File(place.join("jobcast.db")))?;
    let settings = Settings {
        machines,
        ..Settings::default()
    };
    Ok(Engine::open(database, settings, tasks, listener).await?)
}
