//! `csv-report`: reads a table of any size, and writes statistics per column and a chart, in memory
//! that does not grow with the table. Statistics that cannot be exact in bounded memory are marked:
//!
//! | statistic | exact | otherwise |
//! |---|---|---|
//! | rows, count, empty, min, max, mean, standard deviation, text lengths | always | |
//! | distinct | up to [`MAX_DISTINCT`] | "at least", `distinctExact` false |
//! | quantiles, histogram | up to [`RESERVOIR`] numbers | from a uniform sample of that size: the rank of a quantile is off by more than 1 % of all values in 1 of 20 columns |
//! | top values | up to [`FREQUENT`] different values | `count` is at most `error` too high; a value in more than 1 of 64 rows is never missed |
//!
//! The state machine calls [`analyze`], and [`chart`] if there are numbers to draw. A failed chart
//! does not fail the report.

mod analyze;
mod chart;
mod column;
mod feed;
mod frequent;
mod histogram;
mod reservoir;
mod svg;
mod table;

pub use analyze::{Analysis, Analyze, File, MAX_SUMMARY, analyze};
pub use chart::{Chart, Charted, chart};
pub use column::{
    ColumnReport, KIND_SHARE, Kind, Lengths, MAX_DISTINCT, MAX_VALUE_BYTES, Numbers, Range,
};
pub use feed::FEED_CHUNKS;
pub use frequent::{FREQUENT, Frequent, TOP_VALUES};
pub use histogram::{BINS, Histogram};
pub use reservoir::RESERVOIR;
pub use svg::MAX_CHARTED;
pub use table::{MAX_COLUMNS, MAX_RECORD_BYTES};
