//! The first step: reads the table once, in a stream, and describes its columns.

use std::fmt::Write as _;

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

use super::column::{ColumnReport, Kind};
use super::feed::{feed, pump};
use super::histogram::Histogram;
use super::svg::{MAX_CHARTED, grouped};
use super::table::{Dialect, Table};
use crate::compute::compute;
use crate::job_file::open;

/// Maximum number of columns in the job's result. The report has all columns.
pub const MAX_SUMMARY: usize = 32;

/// The event that the state machine passes.
#[derive(Debug, Deserialize)]
pub struct Analyze {
    input: Input,
}

/// The job's input (`state-machines/csv-report.input.schema.json`).
#[derive(Debug, Deserialize)]
struct Input {
    csv: String,
    #[serde(default = "comma")]
    delimiter: String,
    #[serde(default = "yes")]
    header: bool,
}

fn comma() -> String {
    ",".into()
}

fn yes() -> bool {
    true
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The signed address to read it from.
    pub url: String,
    /// Its size.
    pub bytes: u64,
}

/// A short description of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    count: u64,
    empty: u64,
    distinct: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
}

/// The output for the state machine: the report's address, and the histograms to draw.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Number of rows, without the header.
    pub rows: u64,
    /// Number of columns.
    pub columns: usize,
    /// Number of bytes read.
    pub bytes: u64,
    /// Short descriptions of the first [`MAX_SUMMARY`] columns.
    summary: Vec<Summary>,
    /// The whole report, as JSON.
    pub report: File,
    /// The first [`MAX_CHARTED`] columns of numbers.
    pub histograms: Vec<Histogram>,
}

/// The report's file.
#[derive(Serialize)]
struct Report<'a> {
    rows: u64,
    bytes: u64,
    columns: &'a [ColumnReport],
}

/// Reads the table and stores the report.
///
/// # Errors
/// `InvalidCsv` with the line, `InvalidInput`, `FileNotAvailable` and `AddressNotAllowed`, which
/// are not worth a retry; `ServiceUnavailable`, which is.
pub async fn analyze(event: Analyze, job: Job) -> Result<Analysis, Failure> {
    let dialect = Dialect {
        delimiter: delimiter(&event.input.delimiter)?,
        header: event.input.header,
    };
    let download = open(&job, &event.input.csv).await?;
    let size = download.size();
    let (sender, feed) = feed();
    let reporter = job.clone();
    let reading = compute(move || {
        Table::read(feed, dialect, |bytes, rows| {
            tell(&reporter, bytes, size, rows)
        })
    });
    let mut reading = std::pin::pin!(reading);
    // Cancel-safe: `reading` continues in the second branch; a pump that is dropped has no reader
    // left.
    let table = tokio::select! {
        table = &mut reading => table?,
        () = pump(download, sender) => reading.await?,
    };
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(super::column::Column::report)
        .collect();
    let histograms = table
        .columns
        .iter()
        .filter_map(super::column::Column::histogram);
    let histograms = histograms.take(MAX_CHARTED).collect();
    job.progress(
        98,
        format!("{} rows read, writing the report", grouped(table.rows)),
    );
    let report = Report {
        rows: table.rows,
        bytes: table.bytes,
        columns: &columns,
    };
    let file = serde_json::to_vec_pretty(&report).map_err(|error| {
        Failure::new(
            "EncodingFailed",
            format!("the report cannot be written: {error}"),
        )
    })?;
    let uploaded = job.upload("report.json", "application/json", file).await?;
    job.progress(
        100,
        format!("{} rows, {} columns", grouped(table.rows), columns.len()),
    );
    Ok(Analysis {
        rows: table.rows,
        columns: columns.len(),
        bytes: table.bytes,
        summary: columns.iter().take(MAX_SUMMARY).map(Summary::of).collect(),
        report: File {
            url: uploaded.get_url,
            bytes: uploaded.bytes,
        },
        histograms,
    })
}

impl Summary {
    fn of(column: &ColumnReport) -> Self {
        let numbers = column.numbers.as_ref();
        Self {
            name: column.name.clone(),
            kind: column.kind,
            count: column.count,
            empty: column.empty,
            distinct: column.distinct,
            min: numbers.map(|numbers| numbers.min),
            max: numbers.map(|numbers| numbers.max),
            mean: numbers.map(|numbers| numbers.mean),
        }
    }
}

/// Reports progress by bytes if the size is known. The last few percent are for writing the report.
fn tell(job: &Job, bytes: u64, size: Option<u64>, rows: u64) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let mut message = format!("{} rows, {:.1}", grouped(rows), megabytes(bytes));
    match size.filter(|size| *size > 0) {
        Some(size) => {
            let _ = write!(message, " of {:.1} MB", megabytes(size));
            let percent = u128::from(bytes) * 95 / u128::from(size);
            job.progress(percent.min(95) as u8, message);
        }
        None => job.message(message + " MB"),
    }
}

fn delimiter(text: &str) -> Result<u8, Failure> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(Failure::new(
            "InvalidInput",
            format!(
                "`delimiter` is {text:?}: it is one ASCII character, such as \",\", \";\" or a tab"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!(delimiter(";").unwrap(), b';');
        assert_eq!(delimiter("\t").unwrap(), b'\t');
        for bad in ["", ";;", "\"", "\n", "é"] {
            assert_eq!(
                delimiter(bad).unwrap_err().name(),
                "InvalidInput",
                "{bad:?}"
            );
        }
    }
}
