//! The state machines of the job types: those of the directory, and the samples.

use resolvers::jobs::check_schema;
use workflow::{Machine, Machines};

use super::error::ServeError;
use crate::config::Config;

/// The sample job types and those of the directory. A file of the directory replaces a sample of
/// the same name.
pub(super) fn machines(config: &Config) -> Result<Machines, ServeError> {
    let mut machines = Machines::default();
    if config.samples {
        for (name, definition, schema) in SAMPLES {
            let machine = Machine::parse(name, (*definition).into(), Some((*schema).into()));
            machines.insert(machine.map_err(|problems| ServeError::Sample(name, problems))?);
        }
    }
    if let Some(directory) = &config.state_machines {
        machines.extend(Machines::load(directory)?);
    }
    for machine in machines.iter() {
        let checked = machine
            .input_schema()
            .map_or(Ok(()), |schema| check_schema(schema));
        checked.map_err(|problem| ServeError::Schema {
            job_type: machine.name().to_string(),
            problem,
        })?;
    }
    Ok(machines)
}

const SAMPLES: &[(&str, &str, &str)] = &[
    (
        "thumbnails",
        include_str!("../../state-machines/thumbnails.asl.json"),
        include_str!("../../state-machines/thumbnails.input.schema.json"),
    ),
    (
        "csv-report",
        include_str!("../../state-machines/csv-report.asl.json"),
        include_str!("../../state-machines/csv-report.input.schema.json"),
    ),
    (
        "approval",
        include_str!("../../state-machines/approval.asl.json"),
        include_str!("../../state-machines/approval.input.schema.json"),
    ),
];
