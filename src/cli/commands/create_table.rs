//! `create-table`: the DynamoDB table of `[aws]`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::print;
use crate::config::{Config, Secret, ServeFlags};
use crate::server::create_table;

/// Creates the DynamoDB table of the configuration, with its indexes, its stream and its time to
/// live
///
/// Waits until the table can be used. The table is billed per request. An existing table is not
/// changed and is an error.
#[derive(Debug, Args)]
pub(crate) struct CreateTable {
    /// Configuration file [default: jobcast.toml, if it exists]
    #[arg(long, env = "JOBCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Secret with which all nodes sign
    #[arg(
        long,
        env = "JOBCAST_SECRET",
        value_name = "TEXT",
        hide_env_values = true
    )]
    secret: Option<Secret>,
}

impl CreateTable {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let config = Config::load(ServeFlags {
            config: self.config,
            secret: self.secret,
            ..ServeFlags::default()
        })?;
        let table = create_table(&config).await?;
        print(format_args!("created the table {table}"));
        Ok(Outcome::Succeeded)
    }
}
