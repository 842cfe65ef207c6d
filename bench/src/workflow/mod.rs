//! `workflow`: the engine alone, durable, in this process or, for memory and crashes, in a child.
//!
//! | module | what |
//! |---|---|
//! | `rates` | transitions, executions, a large Map |
//! | `waiting` | memory of waiting executions |
//! | `recovery` | a crash with many open executions |
//! | `engine` | the engine |
//! | `child` | this program as a child process |

mod child;
mod engine;
mod rates;
mod recovery;
mod waiting;

use std::path::Path;

use crate::args::{BenchArgs, Role};
use crate::error::Result;
use crate::report::Section;

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

/// Does the task of a child process.
pub(crate) async fn play(role: Role, place: &Path, count: usize) -> Result<()> {
    match role {
        Role::Wait => waiting::child(place, count).await,
        Role::Begin => recovery::begin(place, count).await,
        Role::GoOn => recovery::go_on(place, count).await,
    }
}
