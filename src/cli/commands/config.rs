//! `config`: the settings in force and their sources. It starts nothing and needs no server.

use clap::Args;

use crate::cli::Outcome;
use crate::cli::error::CliError;
use crate::cli::show::config::{as_json, lines};
use crate::cli::show::output::{note, print, print_json};
use crate::cli::show::text::{YELLOW, paint, text};
use crate::config::{Given, InForce, ServeFlags};
use crate::log::filter;
use crate::server::allow_open_files;

/// Prints every setting with its value in force and its source
///
/// Takes the flags, variables and file of `jobcast serve`, and starts nothing. The source of a
/// setting is a flag, a variable, a line of the file, or `default`. Secrets are printed as `***`.
/// An invalid configuration is the same error as that of `jobcast serve`.
#[derive(Debug, Args)]
pub(crate) struct PrintConfig {
    // The flags below take their values away, so this is read before them.
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    flags: ServeFlags,
    /// Prints the settings; the command does so without it too
    #[arg(long = "print")]
    _print: bool,
    /// Prints only JSON: one array on one line
    #[arg(long)]
    json: bool,
}

impl PrintConfig {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        // A default follows from the limit of open files, which `serve` raises too.
        allow_open_files();
        let InForce { config, settings } = InForce::load(self.flags, &self.given)?;
        filter::parse(&config.log).map_err(|source| CliError::log(&config.log, source))?;
        if self.json {
            print_json(&settings.iter().map(as_json).collect::<Vec<_>>());
        } else {
            lines(&settings).for_each(print);
        }
        for notice in &config.notices {
            note(text![paint(YELLOW, "warning:"), " ", notice]);
        }
        Ok(Outcome::Succeeded)
    }
}
