//! `workflow`: the engine alone, durable, in this process or, for memory and crashes, in a child.
//!
//! | module | what |
//! |---|---|
//! | `rates` | transitions, executions, a large Map |
//! | `waiting` | memory of waiting executions |
//! | `recovery` | a crash with many open executions |
//! | `child` | this program as a child process |

pub(crate) mod child;
mod rates;
mod recovery;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use sqlite::{Database, Location};
use workflow::task::TaskRunner;
use workflow::{Engine, Listener, Machine, Machines, Settings};

use crate::report::Section;
use crate::{BenchArgs, Result};

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let mut section = Section::new(
        "workflow",
        "the engine alone, every history event on disk before its effect",
    );
    rates::transitions(args, &mut section).await?;
    rates::executions(args, &mut section).await?;
    rates::map(args, &mut section).await?;
    waiting::run(args, &mut section).await?;
    recovery::run(args, &mut section).await?;
    Ok(section)
}

/// An engine with one state machine, in this directory.
async fn open(
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
