//! The sample job types as Lambda functions, as models for your own functions. They depend only on
//! the crate `functions`, and run unchanged under `jobcast serve` and on AWS Lambda.
//!
//! | job type | functions | shows |
//! |---|---|---|
//! | `thumbnails` | [`thumbnails`]: inspect, resize, assemble | Choice, Map, real pictures, errors with a name |
//! | `csv-report` | [`csv_report`]: analyze, chart | a file of any size in bounded memory, progress by bytes, Catch |
//! | `approval` | [`approval`]: request, finish | a person answers a waiting task |
//! | (benchmark) | [`noop`], [`bare`] | the cost of an empty step, with a library and without |
//!
//! The definitions are in `state-machines/`, inputs to try in `samples/files/`.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

pub mod approval;
pub mod bare;
pub mod csv_report;
pub mod noop;
pub mod thumbnails;

use std::pin::Pin;

use functions::lambda_runtime::Error;

/// The functions of the sample job types, as the definitions name them.
pub const FUNCTIONS: &[&str] = &[
    "thumbnails-inspect",
    "thumbnails-resize",
    "thumbnails-assemble",
    "csv-report-analyze",
    "csv-report-chart",
    "request-approval",
    "finish-approval",
];

/// The functions of tests and benchmarks, which no sample calls.
pub const NOOPS: &[&str] = &["noop1", "noop2", "noop3", "bare"];

/// Serves one of [`FUNCTIONS`] or [`NOOPS`] over the Lambda Runtime API until its host goes away.
///
/// # Errors
/// An unknown name, a missing variable of the Lambda environment, or the end of the Runtime API.
pub fn run(name: &str) -> Pin<Box<dyn Future<Output = Result<(), Error>> + '_>> {
    // In a box, it is compiled with this crate instead of with the caller's.
    Box::pin(serve(name))
}

async fn serve(name: &str) -> Result<(), Error> {
    match name {
        "thumbnails-inspect" => functions::run(thumbnails::inspect).await,
        "thumbnails-resize" => functions::run(thumbnails::resize).await,
        "thumbnails-assemble" => functions::run(thumbnails::assemble).await,
        "csv-report-analyze" => functions::run(csv_report::analyze).await,
        "csv-report-chart" => functions::run(csv_report::chart).await,
        "request-approval" => functions::run(approval::request).await,
        "finish-approval" => functions::run(approval::finish).await,
        "noop1" | "noop2" | "noop3" => functions::run(noop::noop).await,
        "bare" => bare::run().map(|never| match never {}),
        _ => Err(format!(
            "there is no sample function {name:?}; there are {}",
            FUNCTIONS.join(", ")
        )
        .into()),
    }
}

/// The variable with addresses that the samples read in addition to the files of the job's server,
/// separated by commas.
pub const PLACES: &str = "JOBCAST_SAMPLE_ADDRESSES";

/// Opens a file that the submitter of the job named: one of the server's own, or one at an address
/// of [`PLACES`].
async fn open(job: &functions::Job, url: &str) -> Result<functions::Download, functions::Failure> {
    static ALLOWED: std::sync::OnceLock<functions::Places> = std::sync::OnceLock::new();
    let allowed = match ALLOWED.get() {
        Some(allowed) => allowed,
        None => {
            let places = functions::Places::parse(&std::env::var(PLACES).unwrap_or_default())?;
            ALLOWED.get_or_init(|| places)
        }
    };
    Ok(job.download_from(url, allowed).await?)
}

/// Runs a long computation on a separate thread, so that progress is reported meanwhile.
async fn compute<T, F>(work: F) -> Result<T, functions::Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, functions::Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            // The wrapper around the handler turns the panic into an error.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(functions::Failure::new("Cancelled", cancelled.to_string())),
        },
    }
}
