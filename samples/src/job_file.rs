//! Files that the submitter of a job named.

use std::sync::OnceLock;

use functions::{Download, Failure, Job, Places};

/// The variable with addresses that the samples read in addition to the files of the job's server,
/// separated by commas.
pub const PLACES: &str = "JOBCAST_SAMPLE_ADDRESSES";

/// Opens a file that the submitter of the job named: one of the server's own, or one at an address
/// of [`PLACES`].
pub(crate) async fn open(job: &Job, url: &str) -> Result<Download, Failure> {
    static ALLOWED: OnceLock<Places> = OnceLock::new();
    let allowed = match ALLOWED.get() {
        Some(allowed) => allowed,
        None => {
            let places = Places::parse(&std::env::var(PLACES).unwrap_or_default())?;
            ALLOWED.get_or_init(|| places)
        }
    };
    Ok(job.download_from(url, allowed).await?)
}
