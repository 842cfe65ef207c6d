//! The children of a Parallel or a Map: its branches, iterations or child executions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::Value;

use super::data::Data;

/// The branches or iterations of a state.
#[derive(Debug)]
pub(super) struct Children {
    /// Index of the next child to start.
    pub(super) next: usize,
    /// Number of children that run.
    pub(super) open: usize,
    /// Number of children that succeeded.
    pub(super) done: u64,
    /// Number of children that failed.
    pub(super) failed: u64,
    pub(super) results: Vec<Option<Value>>,
    /// A Map's items that have not started; `None` for a Parallel.
    pub(super) items: Option<Vec<Value>>,
    /// Whether the items are the fields of an object, as pairs of key and value.
    pub(super) pairs: bool,
    pub(super) concurrency: usize,
    /// The input that `ItemSelector` sees as `$`.
    pub(super) input: Arc<Data>,
    /// The map run, for a distributed Map.
    pub(super) run: Option<Box<OpenMapRun>>,
}

impl Children {
    /// No children yet: those of a distributed Map whose files are read or written.
    pub(super) fn none(input: Arc<Data>, concurrency: usize, run: Box<OpenMapRun>) -> Self {
        Self {
            next: 0,
            open: 0,
            done: 0,
            failed: 0,
            results: Vec::new(),
            items: None,
            pairs: false,
            concurrency,
            input,
            run: Some(run),
        }
    }
}

/// The running map run of a distributed Map.
#[derive(Debug)]
pub(super) struct OpenMapRun {
    /// Index in [`super::Execution::map_runs`].
    pub(super) index: usize,
    /// The entries of the result files, succeeded and failed, if the Map has a `ResultWriter`.
    pub(super) reports: Option<(Vec<Value>, Vec<Value>)>,
}

/// A child execution of a distributed Map.
#[derive(Debug)]
pub(super) struct ChildExecution {
    /// Index in the run's `children`.
    pub(super) number: usize,
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) input: Arc<Data>,
    pub(super) started: Timestamp,
    states: AtomicU64,
}

impl ChildExecution {
    pub(super) fn new(
        number: usize,
        arn: String,
        name: String,
        input: Arc<Data>,
        started: Timestamp,
    ) -> Self {
        Self {
            number,
            arn,
            name,
            input,
            started,
            states: AtomicU64::new(0),
        }
    }

    /// Counts a state that was entered, and returns the number of entered states.
    pub(super) fn count(&self) -> u64 {
        self.states.fetch_add(1, Ordering::Relaxed) + 1
    }
}
