//! The settings of a mapping: defaults, ranges and errors of `CreateEventSourceMapping`, and the
//! mapping as AWS shows it. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::filter::Filters;

/// An error of the Lambda API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Its name, such as `InvalidParameterValueException`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong.
    pub message: String,
}

impl ApiError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        ApiError {
            code: "InvalidParameterValueException",
            status: 400,
            message: message.into(),
        }
    }
}

/// What a mapping reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A DynamoDB stream.
    DynamoDb,
    /// A Kinesis stream.
    Kinesis,
    /// A queue.
    Sqs,
    /// A queue that keeps order.
    SqsFifo,
}

impl SourceKind {
    /// The kind of a source's ARN.
    #[must_use]
    pub fn of(arn: &str) -> Option<Self> {
        match arn.split(':').nth(2)? {
            "dynamodb" if arn.contains("/stream/") => Some(SourceKind::DynamoDb),
            "kinesis" => Some(SourceKind::Kinesis),
            "sqs" if arn.ends_with(".fifo") => Some(SourceKind::SqsFifo),
            "sqs" => Some(SourceKind::Sqs),
            _ => None,
        }
    }

    /// Whether it is a stream.
    #[must_use]
    pub fn is_stream(self) -> bool {
        matches!(self, SourceKind::DynamoDb | SourceKind::Kinesis)
    }
}

/// Maximum number of records of a batch.
pub const BATCH_SIZE: i64 = 10_000;
/// Maximum number of messages of a batch of a FIFO queue.
pub const FIFO_BATCH_SIZE: i64 = 10;
/// Maximum time to gather a batch.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Maximum number of batches of one shard that run at once.
pub const PARALLELIZATION: i64 = 10;
/// Maximum number of retries of a batch, where it is bounded.
pub const RETRIES: i64 = 10_000;
/// The range of the maximum age of a record, in seconds, where it is bounded.
pub const RECORD_AGE: (i64, i64) = (60, 604_800);
/// Maximum number of concurrent invocations of a queue's mapping that names no maximum.
pub const CONCURRENCY: usize = 1_250;

/// How the records of a stream go to the function.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPolicy {
    /// Maximum number of records of a batch.
    pub batch_size: usize,
    /// Time allowed to gather a batch.
    pub window: Duration,
    /// Which records go to the function.
    pub filters: Filters,
    /// Whether the function's answer names the records that failed.
    pub report_failures: bool,
    /// Whether a batch is halved when the function fails.
    pub bisect: bool,
    /// Maximum number of retries of a batch; `None` is unbounded.
    pub retries: Option<u32>,
    /// Maximum age of a record; `None` is unbounded.
    pub record_age: Option<Duration>,
    /// Maximum number of batches of one shard that run at once.
    pub parallelization: usize,
}

/// How the messages of a queue go to the function.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuePolicy {
    /// Maximum number of messages of a batch.
    pub batch_size: usize,
    /// Time allowed to gather a batch.
    pub window: Duration,
    /// Which messages go to the function; the others are deleted.
    pub filters: Filters,
    /// Whether the function's answer names the messages that failed.
    pub report_failures: bool,
    /// Maximum number of concurrent invocations.
    pub concurrency: usize,
}

/// The settings of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingConfig {
    /// What it reads.
    pub kind: SourceKind,
    /// The ARN of that.
    pub source: String,
    /// The function: a name or an ARN.
    pub function: String,
    /// The failure destination's ARN.
    pub on_failure: Option<String>,
    /// `TRIM_HORIZON` or `LATEST` of a stream.
    pub starting_position: Option<String>,
    batch_size: i64,
    window: i64,
    filter_criteria: Option<Value>,
    filters: Filters,
    report_failures: bool,
    bisect: bool,
    retries: i64,
    record_age: i64,
    parallelization: i64,
    concurrency: Option<i64>,
}

fn number(request: &Value, name: &str, default: i64, range: (i64, i64)) -> Result<i64, ApiError> {
    let Some(value) = request.get(name).filter(|value| !value.is_null()) else {
        return Ok(default);
    };
    let found = value.as_i64();
    let valid = found.filter(|found| *found == default || (range.0..=range.1).contains(found));
    valid.ok_or_else(|| {
        ApiError::invalid(format!(
            "{name} is {value}: it must be from {} to {}",
            range.0, range.1
        ))
    })
}

impl MappingConfig {
    /// Reads a request of `CreateEventSourceMapping`.
    ///
    /// # Errors
    /// [`ApiError`], in AWS's words where they are recorded.
    pub fn of(request: &Value) -> Result<Self, ApiError> {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        let source = text("EventSourceArn").unwrap_or_default();
        let kind = SourceKind::of(&source)
            .ok_or_else(|| ApiError::invalid(format!("Unrecognized event source: {source}")))?;
        let function = text("FunctionName")
            .ok_or_else(|| ApiError::invalid("FunctionName is missing: name the function"))?;
        let is_stream = kind.is_stream();
        let batch_size = number(
            request,
            "BatchSize",
            if is_stream { 100 } else { 10 },
            (1, BATCH_SIZE),
        )?;
        let longest = i64::try_from(WINDOW.as_secs()).expect("a few minutes");
        let window = number(request, "MaximumBatchingWindowInSeconds", 0, (0, longest))?;
        if !is_stream && batch_size > FIFO_BATCH_SIZE && window == 0 {
            return Err(ApiError::invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is \
                 greater than 10",
            ));
        }
        if kind == SourceKind::SqsFifo && (window > 0 || batch_size > FIFO_BATCH_SIZE) {
            return Err(ApiError::invalid(
                "a FIFO queue has no batching window and a batch size of at most 10",
            ));
        }
        let starting_position = text("StartingPosition");
        if is_stream
            && !matches!(
                starting_position.as_deref(),
                Some("TRIM_HORIZON" | "LATEST")
            )
        {
            return Err(ApiError::invalid(
                "StartingPosition of a stream must be TRIM_HORIZON or LATEST",
            ));
        }
        let criteria = request.get("FilterCriteria").filter(|one| !one.is_null());
        let filters = criteria.map(Filters::of).transpose();
        let filters = filters.map_err(|invalid| ApiError::invalid(invalid.to_string()))?;
        let types = request["FunctionResponseTypes"].as_array();
        let scaling = &request["ScalingConfig"];
        Ok(MappingConfig {
            kind,
            source,
            function,
            on_failure: request["DestinationConfig"]["OnFailure"]["Destination"]
                .as_str()
                .map(str::to_owned),
            starting_position,
            batch_size,
            window,
            filter_criteria: criteria.cloned(),
            filters: filters.unwrap_or_default(),
            report_failures: types
                .is_some_and(|list| list.contains(&json!("ReportBatchItemFailures"))),
            bisect: request["BisectBatchOnFunctionError"]
                .as_bool()
                .unwrap_or_default(),
            retries: number(request, "MaximumRetryAttempts", -1, (0, RETRIES))?,
            record_age: number(request, "MaximumRecordAgeInSeconds", -1, RECORD_AGE)?,
            parallelization: number(request, "ParallelizationFactor", 1, (1, PARALLELIZATION))?,
            concurrency: scaling
                .get("MaximumConcurrency")
                .map(|_| number(scaling, "MaximumConcurrency", 2, (2, 1_000)))
                .transpose()?,
        })
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.window.unsigned_abs())
    }

    /// Whether batches are gathered over a time.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.window > 0
    }

    /// How the records of its stream go to the function.
    #[must_use]
    pub fn stream_policy(&self) -> StreamPolicy {
        StreamPolicy {
            batch_size: usize::try_from(self.batch_size).unwrap_or(1),
            window: self.window(),
            filters: self.filters.clone(),
            report_failures: self.report_failures,
            bisect: self.bisect,
            retries: u32::try_from(self.retries).ok(),
            record_age: u64::try_from(self.record_age).ok().map(Duration::from_secs),
            parallelization: usize::try_from(self.parallelization).unwrap_or(1),
        }
    }

    /// How the messages of its queue go to the function.
    #[must_use]
    pub fn queue_policy(&self) -> QueuePolicy {
        let concurrency = self.concurrency.and_then(|most| usize::try_from(most).ok());
        QueuePolicy {
            batch_size: usize::try_from(self.batch_size).unwrap_or(1),
            window: self.window(),
            filters: self.filters.clone(),
            report_failures: self.report_failures,
            concurrency: concurrency.unwrap_or(CONCURRENCY),
        }
    }

    /// The mapping's own part of what AWS shows.
    #[must_use]
    pub(crate) fn shown(&self) -> Value {
        let types = if self.report_failures {
            json!(["ReportBatchItemFailures"])
        } else {
            json!([])
        };
        let mut shown = json!({
            "BatchSize": self.batch_size,
            "EventSourceArn": self.source,
            "FunctionResponseTypes": types,
            "MaximumBatchingWindowInSeconds": self.window,
        });
        if let Some(criteria) = &self.filter_criteria {
            shown["FilterCriteria"] = criteria.clone();
        }
        if let Some(most) = self.concurrency {
            shown["ScalingConfig"] = json!({"MaximumConcurrency": most});
        }
        if self.kind.is_stream() {
            let destination = match &self.on_failure {
                Some(arn) => json!({"Destination": arn}),
                None => json!({}),
            };
            shown["BisectBatchOnFunctionError"] = json!(self.bisect);
            shown["DestinationConfig"] = json!({"OnFailure": destination});
            shown["MaximumRecordAgeInSeconds"] = json!(self.record_age);
            shown["MaximumRetryAttempts"] = json!(self.retries);
            shown["ParallelizationFactor"] = json!(self.parallelization);
            shown["StartingPosition"] = json!(self.starting_position);
            shown["TumblingWindowInSeconds"] = json!(0);
        }
        shown
    }
}
