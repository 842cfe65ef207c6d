//! The status of an execution or a map run.

/// The status of an execution or a map run, as in `DescribeExecution` and `DescribeMapRun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "AWS's own words")]
#[non_exhaustive]
pub enum Status {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}
