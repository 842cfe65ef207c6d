//! Every limit of a job. Over a limit is an error that names the limit and the value; nothing is cut off silently.

/// Bytes of a job's input, as JSON text (AWS Step Functions: 256 KiB of UTF-8).
pub const INPUT_BYTES: usize = 256 * 1024;
/// Bytes of a job's result, as JSON text.
pub const RESULT_BYTES: usize = 256 * 1024;
/// Bytes of a message.
pub const MESSAGE_BYTES: usize = 1024;
/// Tags of one job.
pub const TAGS: usize = 10;
/// Bytes of one tag.
pub const TAG_BYTES: usize = 128;
/// Bytes of a job type's name (a state machine's name in AWS: 80).
pub const TYPE_BYTES: usize = 80;
/// Bytes of an owner's name.
pub const OWNER_BYTES: usize = 256;
/// Bytes of a `clientRequestToken`.
pub const TOKEN_BYTES: usize = 128;
/// Bytes of an error's name (AWS: `error` of an execution, 256).
pub const ERROR_NAME_BYTES: usize = 256;
/// Bytes of an error's message (AWS: `cause` of an execution, 32,768).
pub const ERROR_MESSAGE_BYTES: usize = 32_768;
/// Steps that a job shows; a state machine may have more top-level states, which then run without a step.
pub const STEPS: usize = 100;
/// Jobs in one `submitJobs`.
pub const BATCH: usize = 100;
/// Jobs in one page of `listJobs`.
pub const LIST_PAGE: usize = 100;
/// Values of one filter condition.
pub const FILTER_VALUES: usize = 100;
/// Bytes of one value of a filter condition.
pub const FILTER_VALUE_BYTES: usize = 1024;
/// How long the same `clientRequestToken` returns the first job: 24 hours, in milliseconds.
pub const TOKEN_LIFE_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How long the change feed can be read back: 24 hours, in milliseconds (a DynamoDB stream's own life).
pub const FEED_LIFE_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Something is larger than its limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is too large: {value} {unit}, and the limit is {limit}")]
pub struct OverLimit {
    /// What is too large, as the caller knows it: `input`, `message`, …
    pub what: &'static str,
    /// How large it is.
    pub value: usize,
    /// How large it may be.
    pub limit: usize,
    /// What is counted: `bytes`, `tags`, …
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

/// The longest beginning of `text` of at most `limit` bytes that ends between two characters. For texts that come from an
/// engine or a function, where refusing the whole would lose an error.
pub fn beginning(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_under_passes_and_one_over_says_both_numbers() {
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
    fn a_beginning_ends_between_characters() {
        assert_eq!(beginning("abc", 5), "abc");
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
    }
}
