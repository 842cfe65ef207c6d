//! Every limit of a job. A value over its limit is an error that names the limit and the value;
//! nothing is truncated silently.

/// Maximum size of a job's input in bytes, as JSON text (AWS Step Functions: 256 KiB of UTF-8).
pub const INPUT_BYTES: usize = 256 * 1024;
/// Maximum size of a job's result in bytes, as JSON text.
pub const RESULT_BYTES: usize = 256 * 1024;
/// Maximum size of a message in bytes.
pub const MESSAGE_BYTES: usize = 1024;
/// Maximum number of tags of one job.
pub const TAGS: usize = 10;
/// Maximum size of one tag in bytes.
pub const TAG_BYTES: usize = 128;
/// Maximum size of a job type's name in bytes (AWS limits a state machine's name to 80).
pub const TYPE_BYTES: usize = 80;
/// Maximum size of an owner's name in bytes.
pub const OWNER_BYTES: usize = 256;
/// Maximum size of a `clientRequestToken` in bytes.
pub const TOKEN_BYTES: usize = 128;
/// Maximum size of an error's name in bytes (AWS: `error` of an execution, 256).
pub const ERROR_NAME_BYTES: usize = 256;
/// Maximum size of an error's message in bytes (AWS: `cause` of an execution, 32,768).
pub const ERROR_MESSAGE_BYTES: usize = 32_768;
/// Maximum number of steps that a job shows. Further top-level states of the state machine run
/// without a step.
pub const STEPS: usize = 100;
/// Maximum number of jobs in one `submitJobs`.
pub const BATCH: usize = 100;
/// Maximum number of jobs in one page of `listJobs`.
pub const LIST_PAGE: usize = 100;
/// Maximum number of values in one filter condition.
pub const FILTER_VALUES: usize = 100;
/// Maximum size of one value of a filter condition in bytes.
pub const FILTER_VALUE_BYTES: usize = 1024;
/// Time for which the same `clientRequestToken` returns the first job: 24 hours, in milliseconds.
pub const TOKEN_LIFE_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Time for which the change feed can be read back: 24 hours, in milliseconds (the retention of a
/// DynamoDB stream).
pub const FEED_LIFE_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A value is over its limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is too large: {value} {unit}, and the limit is {limit}")]
pub struct OverLimit {
    /// Name of the value as the caller knows it: `input`, `message`, …
    pub what: &'static str,
    /// Actual size or number.
    pub value: usize,
    /// Maximum size or number.
    pub limit: usize,
    /// Unit of both numbers: `bytes`, `tags`, …
    pub unit: &'static str,
}

/// Refuses `value` when it is over `limit`.
///
/// # Errors
/// [`OverLimit`], with both numbers.
pub fn check(
    what: &'static str,
    unit: &'static str,
    value: usize,
    limit: usize,
) -> Result<(), OverLimit> {
    if value <= limit {
        return Ok(());
    }
    Err(OverLimit {
        what,
        value,
        limit,
        unit,
    })
}

/// The longest prefix of `text` that has at most `limit` bytes and ends between two characters.
/// Used for texts from an engine or a function, where refusing the whole text would lose an error.
pub fn beginning(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_over_its_limit_is_refused_with_both_numbers() {
        assert_eq!(
            check("message", "bytes", MESSAGE_BYTES, MESSAGE_BYTES),
            Ok(())
        );
        let over = check("message", "bytes", MESSAGE_BYTES + 1, MESSAGE_BYTES).unwrap_err();
        assert_eq!(
            over.to_string(),
            "message is too large: 1025 bytes, and the limit is 1024"
        );
    }

    #[test]
    fn a_prefix_ends_between_characters() {
        assert_eq!(beginning("abc", 5), "abc");
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
    }
}
