//! The second step: the histograms as a picture. Its failure does not fail the job: the definition
//! catches it and reports without a chart.

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::svg::{MAX_CHARTED, draw};

/// The event that the state machine passes.
#[derive(Debug, Deserialize)]
pub struct Chart {
    rows: u64,
    histograms: Vec<Histogram>,
}

/// The stored chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Charted {
    /// The signed address to read it from; an SVG image.
    pub url: String,
    /// The file's size.
    pub bytes: u64,
    /// Number of columns in the chart.
    pub charts: usize,
}

/// Draws and stores the chart.
///
/// # Errors
/// `NothingToDraw` without a histogram, `InvalidInput` for more than [`MAX_CHARTED`], and those of
/// an upload.
pub async fn chart(event: Chart, job: Job) -> Result<Charted, Failure> {
    let charts = event.histograms.len();
    if charts == 0 {
        return Err(Failure::new(
            "NothingToDraw",
            "the table has no column of numbers",
        ));
    }
    if charts > MAX_CHARTED {
        let message = format!("`histograms` has {charts} entries, at most {MAX_CHARTED} are drawn");
        return Err(Failure::new("InvalidInput", message));
    }
    let svg = draw(event.rows, &event.histograms);
    let uploaded = job.upload("chart.svg", "image/svg+xml", svg).await?;
    job.progress(100, format!("{charts} columns drawn"));
    Ok(Charted {
        url: uploaded.get_url,
        bytes: uploaded.bytes,
        charts,
    })
}
