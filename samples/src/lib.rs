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
mod compute;
pub mod csv_report;
mod job_file;
pub mod noop;
pub mod thumbnails;

use std::pin::Pin;

use functions::lambda_runtime::Error;

pub use job_file::PLACES;

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
