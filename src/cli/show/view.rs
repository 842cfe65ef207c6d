//! What an output of a running job is notified of.

use crate::cli::error::CliError;
use crate::cli::show::job::Seen;

/// An output that shows a job.
pub(crate) trait View {
    /// The current version of the job. The last one is finished and has its result.
    fn job(&mut self, seen: &Seen);
    /// The connection was lost: the output may be out of date.
    fn lost(&mut self, why: &CliError);
    /// The connection is restored.
    fn back(&mut self);
}
