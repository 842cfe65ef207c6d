//! The map run of a distributed Map and its child executions, as the API shows them.

use jiff::Timestamp;

use crate::Status;
use crate::limits::MAX_HISTORY;

/// Maximum number of concurrent child executions of a Map.
const CONCURRENCY: usize = 1_000;

/// Maximum number of states that a child execution may enter. Two events for each of them fill a
/// history.
pub(super) const MAX_CHILD_STATES: u64 = MAX_HISTORY / 2;

/// A map run, as `DescribeMapRun` shows it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of DescribeMapRun")]
pub struct MapRun {
    pub arn: String,
    pub state: String,
    pub max_concurrency: u64,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
    pub total: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub status: Status,
    pub start: Timestamp,
    pub stop: Option<Timestamp>,
    pub redrive_count: u32,
    pub(super) children: Vec<MapRunChild>,
}

impl MapRun {
    /// Its child executions, in the order of their start.
    pub fn children(&self) -> impl ExactSizeIterator<Item = MapRunChild> + DoubleEndedIterator {
        self.children.iter().map(|child| {
            let mut child = child.clone();
            if child.status == Status::Running && self.status != Status::Running {
                (child.status, child.stopped) = (Status::Aborted, self.stop);
            }
            child
        })
    }

    /// The ARN of a child execution.
    #[must_use]
    pub fn child_arn(&self, name: &str) -> String {
        let within = self.arn.rsplit_once(':').map_or("", |parts| parts.0);
        format!("{}:{name}", within.replacen(":mapRun:", ":execution:", 1))
    }

    /// Continues the run with the children that did not succeed.
    pub(super) fn redrive(&mut self) {
        (self.failed, self.status, self.stop) = (0, Status::Running, None);
        self.redrive_count += 1;
        let again = self
            .children
            .iter_mut()
            .filter(|child| child.status != Status::Succeeded);
        for child in again {
            (child.status, child.stopped) = (Status::Running, None);
            child.redrive_count += 1;
        }
    }

    /// Whether more child executions failed than the Map tolerates.
    pub(super) fn is_over(&self) -> bool {
        if self.failed == 0 {
            return false;
        }
        let percentage = self.failed as f64 * 100.0 / self.total.max(1) as f64;
        match (
            self.tolerated_failure_count,
            self.tolerated_failure_percentage,
        ) {
            (None, None) => true,
            (count, share) => {
                count.is_some_and(|c| self.failed > c) || share.is_some_and(|s| percentage > s)
            }
        }
    }
}

/// A child execution of a map run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of ListExecutions")]
pub struct MapRunChild {
    pub name: String,
    pub status: Status,
    pub started: Timestamp,
    pub stopped: Option<Timestamp>,
    pub redrive_count: u32,
}

/// The concurrency for a `MaxConcurrency`; 0 means no limit beyond [`CONCURRENCY`].
pub(super) fn at_once(concurrency: usize) -> usize {
    if concurrency == 0 {
        CONCURRENCY
    } else {
        concurrency.min(CONCURRENCY)
    }
}
